"""The tokenizer `text-chunks`: the steps of a reasoning trace to codes, a few for each chunk of text, and back."""

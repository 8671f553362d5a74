"""The tokenizer `text-chunks`: steps of a reasoning trace to a few codes for each chunk of text, and back."""

"""The scaling study of crtcore: the stage-2 compute that regularising a tokenizer saves."""

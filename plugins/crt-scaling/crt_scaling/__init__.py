"""The compute study of crtcore: what regularising a tokenizer saves in training stage 2."""

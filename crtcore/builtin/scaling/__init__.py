"""The scaling study: what regularising a tokenizer saves in the compute of stage 2."""

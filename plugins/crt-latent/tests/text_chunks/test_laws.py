"""The text tokenizer keeps the laws of its kind."""

from crt_latent.text_chunks.spec import TextChunks
from crt_laws import obeys

test_two_ids_a_code = obeys(TextChunks(chunk=4, rate=2, width=8, heads=2))
test_a_code_a_chunk = obeys(TextChunks(chunk=3, rate=3, width=4, heads=1, prompted=False))
test_a_code_an_id = obeys(TextChunks(chunk=1, rate=1, layers=2, width=4, heads=2))

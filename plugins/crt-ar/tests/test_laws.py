from crt_ar import LlamaGen, Transformer

from crtcore.testing import obeys

test_the_example = obeys(Transformer(layers=2, width=16, heads=2))
test_one_layer_of_narrow_heads = obeys(Transformer(layers=1, width=8, heads=4, hidden=12))
test_two_layers_over_a_grid = obeys(LlamaGen(layers=2, width=16, heads=2))
test_narrow_heads_over_a_grid = obeys(LlamaGen(layers=1, width=8, heads=2, recompute=True))

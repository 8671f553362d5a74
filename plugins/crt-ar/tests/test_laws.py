from crt_ar import FrozenLlama, Llama, LlamaFolder, LlamaGen, Transformer
from crt_laws import obeys

test_the_example = obeys(Transformer(layers=2, width=16, heads=2))
test_one_layer_of_narrow_heads = obeys(Transformer(layers=1, width=8, heads=4, hidden=12))
test_two_layers_over_a_grid = obeys(LlamaGen(layers=2, width=16, heads=2))
test_narrow_heads_over_a_grid = obeys(LlamaGen(layers=1, width=8, heads=2, recompute=True))
test_shared_keys_and_a_tied_output_layer = obeys(Llama(layers=2, width=16, heads=4, key_heads=2, hidden=24))
test_one_head_of_keys_and_a_layer_of_its_own = obeys(
    Llama(size="Llama-3.1-8B", layers=1, width=16, heads=4, key_heads=1, hidden=12, start=4, recompute=True)
)
test_a_folder = obeys(LlamaFolder(folder="set by the laws"))
test_a_frozen_folder = obeys(FrozenLlama(folder="set by the laws"))

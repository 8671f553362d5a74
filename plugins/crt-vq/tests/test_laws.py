"""The components keep the laws of their kinds."""

from crt_vq import VQ, Causal, Conv

from crtcore.testing import obeys

test_cosine_codes = obeys(VQ(codes=16))
test_euclidean_codes = obeys(VQ(codes=16, width=4, compare="euclidean"))
test_two_codes_of_one_channel = obeys(VQ(codes=2, width=1, commitment=0.0, compare="euclidean"))
test_codes_kept_up = obeys(VQ(codes=16, start="k-means", decay=0.9, patience=2))
test_uniform_codes = obeys(VQ(codes=16, start="uniform"))
test_a_turned_gradient = obeys(
    VQ(codes=16, gradient="rotation"),
    departs={"the-gradient-passes-straight-through": "it turns on the way, which is the method"},
)
test_one_halving = obeys(Conv(channels=8))
test_three_halvings = obeys(Conv(channels=4, halvings=3, blocks=0))
test_a_small_head = obeys(Causal(layers=1, width=8, heads=2))
test_a_head_without_ramp = obeys(Causal(layers=2, width=8, heads=1, ramp=0.0))

"""The components keep the laws of their kinds."""

from crt_laws import obeys
from crt_vib import Gaussian, Mixture, Rate, RateSquared, RateTarget

ESTIMATED = {"rate-and-loss-are-finite": "the rate of one sample is an estimate, which can be less than 0"}

test_a_linear_head = obeys(Gaussian(width=6, latent=4))
test_one_channel = obeys(Gaussian(width=1, latent=1))
test_a_hidden_layer = obeys(Gaussian(width=6, latent=4, hidden=8))
test_one_component = obeys(Gaussian(width=6, latent=4, components=1, free_bits=0.5))
test_several_components = obeys(Gaussian(width=6, latent=4, components=3), departs=ESTIMATED)
test_several_components_with_free_bits = obeys(Gaussian(width=6, latent=4, components=3, free_bits=0.5), ESTIMATED)
test_a_mixture = obeys(Mixture(width=6, latent=3, parts=4), departs=ESTIMATED)
test_a_mixture_of_one_part = obeys(Mixture(width=6, latent=2, hidden=8, parts=1))
test_a_rate = obeys(Rate(weight=0.1))
test_a_squared_rate = obeys(RateSquared())
test_a_target = obeys(RateTarget(target=2.0))

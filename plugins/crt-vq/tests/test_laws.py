"""The components keep the laws of their kinds."""

from crt_laws import obeys
from crt_vq import (
    BSQ,
    LFQ,
    VQ,
    VQGAN,
    Adversarial,
    Causal,
    CausalCE,
    CausalDecoder,
    CausalHead,
    Conv,
    EndToEnd,
    MatchedRate,
    Perceptual,
    Perturbed,
    Prefix,
    ResidualVQ,
    SimVQ,
    SoftReadout,
)

test_cosine_codes = obeys(VQ(codes=16))
test_euclidean_codes = obeys(VQ(codes=16, width=4, compare="euclidean"))
test_two_codes_of_one_channel = obeys(VQ(codes=2, width=1, commitment=0.0, compare="euclidean"))
test_updated_codes = obeys(VQ(codes=16, start="k-means", decay=0.9, patience=2))
test_uniform_codes = obeys(VQ(codes=16, start="uniform"))
test_a_rotated_gradient = obeys(
    VQ(codes=16, gradient="rotation"),
    departs={"the-gradient-passes-straight-through": "the method rotates it"},
)
test_mapped_codes = obeys(SimVQ(codes=16))
test_three_levels = obeys(ResidualVQ(codes=8, depth=3))
test_one_level = obeys(ResidualVQ(codes=4, width=1, depth=1))
test_signs = obeys(LFQ(width=5))
test_one_sign = obeys(LFQ(width=1, entropy=0.0))
test_signs_on_the_sphere = obeys(BSQ(width=5))
test_one_sign_on_the_sphere = obeys(BSQ(width=1))
test_swaps_of_a_few = obeys(Perturbed(bottleneck=VQ(codes=16), neighbours=4))
test_swaps_of_all = obeys(Perturbed(bottleneck=LFQ(width=4), neighbours=16, swapped=1.0, share=1.0))
test_one_halving = obeys(Conv(channels=8))
test_three_halvings = obeys(Conv(channels=4, halvings=3, blocks=0))
test_a_small_vqgan = obeys(VQGAN(channels=8, multipliers=(1, 2), blocks=1, latent=8))
test_a_vqgan_of_absolute_errors = obeys(VQGAN(channels=4, multipliers=(1, 1, 1), blocks=1, latent=4, loss="l1"))
test_a_small_head = obeys(Causal(layers=1, width=8, heads=2))
test_a_mixing_head = obeys(Causal(head="mixing", layers=1, width=8, heads=2))
test_a_masked_head = obeys(Causal(head="masked", layers=1, width=8))
test_a_head_that_begins_late = obeys(Causal(layers=1, width=8, heads=2, last=0.25, ramp=0.1))
test_a_head_without_ramp = obeys(Causal(layers=2, width=8, heads=1, ramp=0.0))
test_a_linear_head = obeys(Causal(layers=0, start=0.25))
test_raw_latents = obeys(Causal(layers=1, width=8, heads=2, space="raw", reduction="norm"))
test_predicted_codes = obeys(Causal(layers=1, width=8, heads=2, space="straight-through", reduction="sum"))
test_a_detached_target = obeys(Causal(layers=1, width=8, heads=2, detach="target", error="cosine"))
test_a_detached_context = obeys(Causal(layers=1, width=8, heads=2, detach="input", error="nll"))
test_a_learned_first_latent = obeys(Causal(layers=1, width=8, heads=2, first="learned"))
test_another_order = obeys(Causal(layers=1, width=8, heads=2, order=(2, 0, 3, 1)))
test_all_at_once = obeys(Causal(layers=0, order=(3, 2, 1, 0), first="learned", error="nll", reduction="sum"))
test_predicted_ids = obeys(CausalCE(layers=1, width=8, heads=2))
test_predicted_ids_in_another_order = obeys(CausalCE(layers=0, order=(2, 0, 3, 1), first="learned"))
test_a_head_as_a_prior = obeys(CausalHead())
test_a_head_as_a_prior_with_classes = obeys(CausalHead(class_bias=True))
test_a_random_network = obeys(Perceptual(stages=1))
test_a_patch_discriminator = obeys(Adversarial(layers=1, channels=4))
test_a_judge_of_adaptive_weight = obeys(Adversarial(layers=1, channels=4, adaptive=True, start=0.5))
test_a_causal_decoder = obeys(CausalDecoder(tokenizer=Conv(channels=8), layers=1, width=8, heads=2))
test_a_causal_decoder_over_a_vqgan = obeys(
    CausalDecoder(tokenizer=VQGAN(channels=4, multipliers=(1, 1), blocks=1, latent=4, loss="l1"), width=8, heads=2)
)
test_a_prefix = obeys(Prefix(tokenizer=Conv(channels=8), count=3, codes=16))
test_a_prefix_of_one_id = obeys(Prefix(tokenizer=Conv(channels=4, halvings=3, blocks=0), count=1, codes=2))
test_a_soft_read_out = obeys(SoftReadout(layers=1, width=8, heads=2))
test_a_soft_read_out_that_starts_late = obeys(SoftReadout(layers=4, width=8, heads=1, start=0.5, temperature=1.0))
test_ids_read_straight_through = obeys(EndToEnd(layers=1, width=8, heads=2))
test_soft_ids_as_a_context = obeys(EndToEnd(layers=2, width=8, heads=2, read_out="soft", through="context"))
test_soft_ids_as_targets = obeys(EndToEnd(layers=1, width=8, heads=2, read_out="soft", through="target", ramp=0.0))
test_a_matched_rate = obeys(MatchedRate(bits=4.0))
test_a_rate_of_nothing = obeys(MatchedRate(bits=0.0, temperature=1.0))

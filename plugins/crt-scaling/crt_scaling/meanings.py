"""What the numbers of the compute study mean."""

from __future__ import annotations

from collections.abc import Mapping

from crtcore.kinds import Meaning

MEANINGS: Mapping[str, Meaning] = {
    "id_code_length_bits": Meaning("bits of a sample's ids by the prior", "lower"),
    "two_part_code_length_bits": Meaning("bits that describe a sample: its ids by the prior, then the rest", "lower"),
    "generation_frechet": Meaning("distance of generated from held-out data, as Gaussians", "lower"),
    "generation_kernel_distance": Meaning("kernel distance of generated from held-out data", "lower"),
    "best_*": Meaning("the best that any prior reaches for no more compute", "lower"),
    "data_given_ids_bits_*": Meaning("bits of a sample once this tokenizer's ids are known", "lower"),
    "reconstruction_frechet_*": Meaning("distance of what this tokenizer reconstructs from held-out data", "lower"),
    "frechet_floor_*": Meaning("the same distance of training from held-out data, which are both real"),
    "stage_one_flops_*": Meaning("compute of this tokenizer's training"),
    "*_exponent_*": Meaning("power of compute in the fitted law; the number falls the faster, the lower", "lower"),
    "*_limit_*": Meaning("what the fitted power law reaches with unlimited compute", "lower"),
    "*_flops_ratio": Meaning("compute for an equal number without regularisers, over that with them", "higher"),
    "*_flops_doublings": Meaning("the same ratio as doublings of compute", "higher"),
    "*_shared_range": Meaning("share of the values that both tokenizers reach, where they can be compared"),
}

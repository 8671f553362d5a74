"""What the numbers of this package's experiments and metrics mean."""

from __future__ import annotations

from collections.abc import Mapping

from crtcore.kinds import Meaning

CODES: Mapping[str, Meaning] = {
    "codes_used": Meaning("how many codes occur in held-out data"),
    "code_perplexity": Meaning("how many equally frequent codes would have the same entropy"),
    "code_entropy_bits": Meaning("entropy of the codes' shares in held-out data, for each id"),
}
RECONSTRUCTION: Mapping[str, Meaning] = {
    "reconstruction_mse": Meaning("mean squared error of the elements of reconstructed held-out data", "lower"),
}
CALLS: Mapping[str, Meaning] = {
    "target_calls_per_id": Meaning("calls of the prior for each id that is drawn; 1 without drafts", "lower"),
    "draft_calls_per_id": Meaning("calls of the draft for each id that is drawn", "lower"),
}
ACCEPTANCE: Mapping[str, Meaning] = {
    "draft_acceptance": Meaning("mass that draft and prior have in common: how often one drafted id is kept", "higher"),
}
RATE: Mapping[str, Meaning] = {
    "rate_nats": Meaning("what the codes of a sample cost by the bottleneck's own model of them", "lower"),
    "distortion": Meaning("what the reconstruction of a sample loses, by the tokenizer's own measure", "lower"),
}
CODE_LENGTH: Mapping[str, Meaning] = {
    "two_part_code_length_bits": Meaning("bits that describe a sample: its ids by the prior, then the rest", "lower"),
    "id_code_length_bits": Meaning("bits of a sample's ids by the prior: what generation must learn", "lower"),
    "data_given_ids_bits": Meaning("bits of a sample once its ids are known: what compression lost", "lower"),
    "nominal_rate_bits": Meaning("bits of a sample's ids if all codes were equally frequent"),
    "unigram_entropy_bits": Meaning("bits of a sample's ids by the codes' shares alone, without a prior"),
}
FRECHET: Mapping[str, Meaning] = {
    "reconstruction_frechet": Meaning("distance of reconstructed from held-out data, as Gaussians", "lower"),
    "generation_frechet": Meaning("distance of generated from held-out data, as Gaussians", "lower"),
    "frechet_floor": Meaning("the same distance of training from held-out data, which are both real"),
}
KERNEL_DISTANCE: Mapping[str, Meaning] = {
    "reconstruction_kernel_distance": Meaning("kernel distance of reconstructed from held-out data", "lower"),
    "generation_kernel_distance": Meaning("kernel distance of generated from held-out data", "lower"),
    "kernel_distance_floor": Meaning("the same distance of training from held-out data, which are both real"),
}

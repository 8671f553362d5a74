"""What the numbers of the study of states mean."""

from __future__ import annotations

from collections.abc import Mapping

from crtcore.kinds import Meaning

MEANINGS: Mapping[str, Meaning] = {
    "rate_nats": Meaning("what the code of a state costs"),
    "distortion_nats": Meaning("what the answer costs once the code is known", "lower"),
    "floor_nats": Meaning("least distortion of an answer that the context determines, at this rate"),
    "floor_gap_nats": Meaning("distortion above that floor", "lower"),
    "information_lower_nats": Meaning("lower bound of what the codes hold about their states"),
    "information_upper_nats": Meaning("upper bound of what the codes hold about their states"),
    "own_rate_nats": Meaning("what the code of a state costs, over the contexts of the best codes"),
    "own_distortion_nats": Meaning("what an id drawn from the model costs once the code is known", "lower"),
    "own_bound_nats": Meaning("what it costs with the best code reached at this rate, fitted to these contexts"),
    "own_gap_nats": Meaning("distortion above that of this best code, costs of generalising included", "lower"),
    "first_nat_nats": Meaning("distortion that the first nat of rate saves, from that without a code", "higher"),
    "mean_distortion_nats": Meaning("mean distortion between two rates, those of `between`", "lower"),
    "label_entropy_nats": Meaning("entropy of the answers"),
    "no_code_nats": Meaning("what answers cost by the shares of training answers, each class counted half a time more"),
    "model_nats": Meaning("what the model itself pays for the answers, at distance 1", "lower"),
    "model_entropy_nats": Meaning("mean entropy of the model's own distribution, over all held-out places"),
}

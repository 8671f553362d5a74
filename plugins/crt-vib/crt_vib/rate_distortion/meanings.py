"""What the numbers of the rate-distortion study mean."""

from __future__ import annotations

from collections.abc import Mapping

from crtcore.kinds import Meaning

MEANINGS: Mapping[str, Meaning] = {
    "rate_nats": Meaning("what the code of a state costs"),
    "distortion_nats": Meaning("what the answer costs once the code is known", "lower"),
    "floor_nats": Meaning("least distortion of an answer that the row determines, at this rate"),
    "floor_gap_nats": Meaning("distortion above that floor", "lower"),
    "frontier_nats": Meaning("least distortion that any code reaches at this rate"),
    "frontier_gap_nats": Meaning("distortion above the exact frontier", "lower"),
    "information_lower_nats": Meaning("lower bound of what the codes hold about their states"),
    "information_upper_nats": Meaning("upper bound of what the codes hold about their states"),
    "mean_distortion_nats": Meaning("mean distortion between two rates, those of `between`", "lower"),
    "mean_frontier_gap_nats": Meaning("mean distance of the points above the exact frontier", "lower"),
    "largest_frontier_gap_nats": Meaning("largest distance of a point above the exact frontier", "lower"),
    "accuracy": Meaning("held-out answers that the language model ranks first", "higher"),
    "best_accuracy": Meaning("the most that any model can reach"),
    "label_entropy_nats": Meaning("entropy of the answers"),
}

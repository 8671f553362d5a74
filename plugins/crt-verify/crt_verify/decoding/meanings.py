"""What the numbers of the decoding study mean."""

from __future__ import annotations

from collections.abc import Mapping

from crtcore.kinds import Meaning

MEANINGS: Mapping[str, Meaning] = {
    "block_efficiency": Meaning("ids for each call of the target; 1 without drafts", "higher"),
    "mbsu": Meaning("speed against ancestral decoding if time goes by parameters", "higher"),
    "mbsu_measured": Meaning("speed against ancestral decoding by the measured time of a draft's call", "higher"),
    "token_rate": Meaning("measured ids a second, against ancestral decoding", "higher"),
    "accuracy": Meaning("likeness to the true continuation, against ancestral decoding; 1 is equal"),
    "bound_fraction": Meaning(
        "rounds that keep a drafted id, over the most of any exact rule; up to 16,384 ids", "higher"
    ),
    "over_chain": Meaning("block efficiency over that of `sd` with as many drafted ids, paired by sample", "higher"),
    "token_rate_over_chain": Meaning("measured ids a second over those of that `sd`, paired by sample", "higher"),
    "gain_*": Meaning("ids a call over those of another decoder with as many drafted ids, by sample", "higher"),
    "acceptance_*": Meaning("how often an id of this depth is kept where one of the depth before is", "higher"),
    "target_parameters": Meaning("parameters of the target"),
    "draft_parameters": Meaning("parameters of the draft"),
    "target_nats_per_id": Meaning("what held-out ids cost the target", "lower"),
    "draft_nats_per_id": Meaning("what held-out ids cost the draft", "lower"),
    "draft_cost_nominal": Meaning("cost of a call of the draft by parameters", "lower"),
    "draft_cost_measured": Meaning("measured time of a call of the draft", "lower"),
    "ancestral_rate": Meaning("measured ids a second of ancestral decoding", "higher"),
}

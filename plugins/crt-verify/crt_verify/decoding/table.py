"""The results of trials: a row for each decoder and budget.

Axes: b batch, n ids of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_run.likelihood import scored
from crt_run.sampling import probabilities
from crt_run.statistics import ratio, scaled
from crt_verify.decoding.overlap import overlap
from crt_verify.decoding.trial import Pair, Round, rounds
from crt_verify.specs import TreeDecoding
from crtcore.kinds import Json, Measurement, Prior, Row

DEPTHS = 6
"""Depths whose acceptance is reported: those of the deepest tree of the figure."""
FAMILY = 0.99
"""Chance that the accuracy intervals of all points of a run hold together, by Bonferroni."""


class Entry(NamedTuple):
    """A decoder of the study."""

    name: str
    fields: Mapping[str, Any]
    spec: TreeDecoding

    @property
    def budget(self) -> int:
        """Drafted ids that the target verifies in a call."""
        return self.spec.drafter.nodes - 1

    @property
    def levels(self) -> int:
        """Draft calls of a round, one after another."""
        return len(self.spec.drafter.widths)

    @property
    def structure(self) -> str:
        """Fields and values, as `paths=5 length=6`."""
        shown = {k: ",".join(map(str, v)) if isinstance(v, list | tuple) else v for k, v in self.fields.items()}
        return " ".join(f"{name}={value}" for name, value in shown.items())

    @property
    def key(self) -> str:
        """Name and structure."""
        return f"{self.name} {self.structure}"


class Trials(NamedTuple):
    """The trials of all decoders on the same samples."""

    pair: Pair
    ids: Int[Tensor, "b n"]
    """The samples: prompts and their true continuations."""
    class_ids: Int[Tensor, " b"] | None
    prompt: int
    """Ids of a prompt."""
    outputs: Mapping[str, Json]
    """Decoder to its trial on the samples; ancestral decoding is included."""
    seconds: Mapping[str, list[float]]
    """Decoder to its time for each of the first samples alone."""
    cost: float
    """The measured time of a draft call, in target calls."""

    @property
    def length(self) -> int:
        """Ids of a continuation."""
        return self.ids.shape[1] - self.prompt

    @property
    def nominal(self) -> float:
        """The cost of a draft call in target calls, by parameters."""
        target, draft = self.pair.sizes
        return draft / max(target, 1)


def numbers(trials: Trials) -> dict[str, Measurement]:
    """The loss and size of the priors, and the speed of ancestral decoding."""
    count = len(trials.ids)
    sizes = trials.pair.sizes
    seconds = trials.seconds["ancestral"]
    return {
        "target_parameters": Measurement(float(sizes[0]), "parameters", count),
        "draft_parameters": Measurement(float(sizes[1]), "parameters", count),
        "target_nats_per_id": _nats(trials.pair.target, trials),
        "draft_nats_per_id": _nats(trials.pair.draft, trials),
        "draft_cost_nominal": Measurement(trials.nominal, "target calls", count),
        "draft_cost_measured": Measurement(trials.cost, "target calls", count),
        "ancestral_rate": ratio([trials.length] * len(seconds), seconds, "ids a second"),
    }


def _nats(prior: Prior, trials: Trials) -> Measurement:
    costs = scored(prior, trials.ids, trials.class_ids).tolist()
    return ratio(costs, [trials.ids.shape[1]] * len(costs), "nats")


def points(trials: Trials, entries: Sequence[Entry]) -> list[Row]:
    """A row for each decoder with a trial."""
    points = sorted(
        (entry for entry in entries if entry.key in trials.outputs), key=lambda each: (each.name, each.budget)
    )
    level = 1 - (1 - FAMILY) / len(points)
    return [Row(_labels(trials.pair, entry), _measured(trials, entry, level)) for entry in points]


def _labels(pair: Pair, entry: Entry) -> dict[str, str | int | float]:
    return {
        "pair": pair.name,
        "temperature": pair.sampling.temperature,
        "decoder": entry.name,
        "budget": entry.budget,
        "structure": entry.structure,
    }


def _measured(trials: Trials, entry: Entry, level: float) -> dict[str, Measurement]:
    output, reference = trials.outputs[entry.key], trials.outputs["ancestral"]
    emitted = [len(row) - 1 for row in output["ids"]]  # the first id comes with the call that reads the prompt
    efficiency = ratio(emitted, [len(row) - 1 for row in output["accepted"]], "ids a call")
    played = [rounds(row, trials.length, entry.levels) for row in output["accepted"]]
    true = trials.ids[:, trials.prompt :].tolist()
    accuracy, usual = (
        [overlap(row, each) for row, each in zip(mine["ids"], true, strict=True)] for mine in (output, reference)
    )
    return {
        "block_efficiency": efficiency,
        "mbsu": scaled(efficiency, 1 / (1 + trials.nominal * entry.levels), "times"),
        "mbsu_measured": scaled(efficiency, 1 / (1 + trials.cost * entry.levels), "times"),
        "token_rate": ratio(trials.seconds["ancestral"], trials.seconds[entry.key], "times ancestral"),
        **({"accuracy": ratio(accuracy, usual, "times ancestral", level)} if any(usual) else {}),
        "bound_fraction": _reached(trials, entry, played),
        **_by_depth(played, min(entry.levels, DEPTHS)),
    }


def _by_depth(played: list[list[Round]], depths: int) -> dict[str, Measurement]:
    """For each depth, how often a drafted id was accepted where its parent was."""
    shares = {}
    for depth in range(1, depths + 1):
        reached = [[each for each in row if each.levels >= depth and each.accepted >= depth - 1] for row in played]
        if any(reached):
            accepted = [sum(each.accepted >= depth for each in row) for row in reached]
            shares[f"acceptance_{depth}"] = ratio(accepted, [len(row) for row in reached], "share")
    return shares


def _reached(trials: Trials, entry: Entry, played: list[list[Round]]) -> Measurement:
    """How often a round accepted any id, over the bound for any exact rule with such first levels.

    Cost: a pass of both priors over each text, so only the timed samples are used.
    """
    count = len(trials.seconds[entry.key])
    emitted = trials.ids.new_tensor(trials.outputs[entry.key]["ids"][:count])
    texts = torch.cat([trials.ids[:count, : trials.prompt], emitted], 1)
    class_ids = None if trials.class_ids is None else trials.class_ids[:count]
    pair = trials.pair
    p, q = (probabilities(prior(texts, class_ids), pair.sampling) for prior in (pair.target, pair.draft))  # b n v
    accepted, bounds = [], []
    for row, mine in enumerate(played[:count]):
        starts = [trials.prompt + each.emitted for each in mine]
        accepted.append(sum(each.accepted > 0 for each in mine))
        bounds.append(float(entry.spec.drafter.bound(p[row, starts], q[row, starts]).sum()))
    return ratio(accepted, bounds, "of the bound")

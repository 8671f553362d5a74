"""The results of trials: a row for each decoder and budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crt_run.likelihood import scored
from crt_run.statistics import ratio, scaled
from crt_verify.decoding.behind import Behind
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.paired import calls, over_chain
from crt_verify.decoding.trial import Pair, Round, rounds
from crt_verify.decoding.trials import Trials
from crt_verify.specs import TreeDecoding
from crtcore.kinds import Measurement, Prior, Row

DEPTHS = 6
"""Depths whose acceptance is reported: those of the deepest tree of the figure."""
CHAIN = "sd"
"""The decoder that others are compared with at their budget."""
SCORED = 8
"""Samples that are scored at a time, as their logits over a large vocabulary take gigabytes."""
BOUNDED = 16_384
"""Ids of the largest vocabulary for which shares of the bound are measured, of any decoder.

The bound of three or more siblings goes through the ids one by one: with 49,152 of them, 15 structures and two prompts
took eight minutes.
"""
FAMILY = 0.99
"""Chance that the accuracy intervals of all points of a run hold together, by Bonferroni."""


def numbers(trials: Trials) -> dict[str, Measurement]:
    """The loss and size of the priors, and the speed of ancestral decoding."""
    count = len(trials.samples.ids)
    sizes = trials.pair.sizes
    seconds, emitted = zip(*trials.timed["ancestral"], strict=True)
    nats = {f"{name}_nats_per_id": _nats(getattr(trials.pair, name), trials) for name in ("target", "draft")}
    return {
        **{name: each for name, each in nats.items() if math.isfinite(each.value)},  # a draft may exclude ids
        "target_parameters": Measurement(float(sizes[0]), "parameters", count),
        "draft_parameters": Measurement(float(sizes[1]), "parameters", count),
        "draft_cost_nominal": Measurement(trials.nominal, "target calls", count),
        "draft_cost_measured": Measurement(trials.cost, "target calls", count),
        "ancestral_rate": ratio(emitted, seconds, "ids a second"),
    }


def _nats(prior: Prior, trials: Trials) -> Measurement:
    ids = trials.samples.ids
    few = [trials.samples.at(slice(first, first + SCORED)) for first in range(0, len(ids), SCORED)]
    nats = [each for part in few for each in scored(prior, part.ids, part.class_ids).tolist()]
    if not all(map(math.isfinite, nats)):
        return Measurement(math.inf, "nats", len(ids))
    return ratio(nats, (ids >= 0).sum(1).tolist(), "nats")


def points(trials: Trials, entries: Sequence[Entry]) -> list[Row]:
    """A row for each decoder with a trial."""
    points = sorted(
        (entry for entry in entries if entry.key in trials.outputs), key=lambda each: (each.name, each.budget)
    )
    level = 1 - (1 - FAMILY) / len(points)
    chains = {entry.budget: entry for entry in points if entry.name == CHAIN}
    count = min(map(len, trials.timed.values()))
    wanted = any(has_bound(trials, entry) for entry in points)
    behind = Behind(trials.pair, trials.samples.at(slice(count)), trials.length) if wanted else None
    return [
        Row(
            _labels(trials.pair, entry),
            _measured(trials, entry, level, behind) | over_chain(trials, entry, chains.get(entry.budget)),
        )
        for entry in points
    ]


def _labels(pair: Pair, entry: Entry) -> dict[str, str | int | float]:
    return {
        "pair": pair.name,
        "temperature": pair.sampling.temperature,
        "decoder": entry.name,
        "budget": entry.budget,
        "structure": entry.structure,
    }


def has_bound(trials: Trials, entry: Entry) -> bool:
    """Whether the share of the bound is measured: the decoder's trees have a bound, and there are few enough ids."""
    trees = isinstance(entry.spec, TreeDecoding) and entry.spec.drafter.bounded
    return trees and trials.pair.target.vocabulary <= BOUNDED


def unbounded(trials: Trials, entries: Sequence[Entry]) -> list[str]:
    """Says where no share of the bound is measured though trees are drafted, and why."""
    size = trials.pair.target.vocabulary
    drafters = {entry.key: entry.spec.drafter for entry in entries if isinstance(entry.spec, TreeDecoding)}
    if size <= BOUNDED or not drafters:
        cut = [key for key, drafter in drafters.items() if not drafter.bounded]
        why = "which ids it drafts first depends on those behind them"
        return [f"bound_fraction of {', '.join(cut)} is not measured: {why}"] if cut else []
    most = f"expected at most {BOUNDED} ids, got {size}, for which it takes minutes"
    return [f"bound_fraction is not measured: {most}"]


def _measured(trials: Trials, entry: Entry, level: float, behind: Behind | None) -> dict[str, Measurement]:
    output, reference = trials.outputs[entry.key], trials.outputs["ancestral"]
    efficiency = ratio(*calls(trials, entry), "ids a call")
    played = [
        rounds(row, len(ids), trials.length, entry.levels)
        for row, ids in zip(output["accepted"], output["ids"], strict=True)
    ]
    accuracy, usual = (
        [trials.score(row, true) for row, true in zip(mine["ids"], trials.samples.true, strict=True)]
        for mine in (output, reference)
    )
    return {
        "block_efficiency": efficiency,
        "mbsu": scaled(efficiency, 1 / (1 + trials.nominal * entry.levels), "times"),
        "mbsu_measured": scaled(efficiency, 1 / (1 + trials.cost * entry.levels), "times"),
        "token_rate": ratio(trials.seconds_an_id("ancestral"), trials.seconds_an_id(entry.key), "times ancestral"),
        **({"accuracy": _relative(accuracy, usual, level)} if any(usual) else {}),
        **_bounded(trials, entry, played, behind),
        **_by_depth(played, min(entry.levels, DEPTHS)),
    }


def _relative(scores: list[float], usual: list[float], level: float) -> Measurement:
    """The scores over those of ancestral decoding; no interval if all are 0, as they then show no spread."""
    if not any(scores):
        return Measurement(0.0, "times ancestral", len(scores))
    return ratio(scores, usual, "times ancestral", level)


def _by_depth(played: list[list[Round]], depths: int) -> dict[str, Measurement]:
    """For each depth, how often an id was accepted where one of the depth before was, and the row could go on.

    A tree may hold no id behind an accepted one: that of a beam, or of the likeliest nodes.
    """
    shares = {}
    for depth in range(1, depths + 1):
        reached = [[each for each in row if each.levels >= depth and each.accepted >= depth - 1] for row in played]
        if any(reached):
            accepted = [sum(each.accepted >= depth for each in row) for row in reached]
            shares[f"acceptance_{depth}"] = ratio(accepted, [len(row) for row in reached], "share")
    return shares


def _bounded(trials: Trials, entry: Entry, played: list[list[Round]], behind: Behind | None) -> dict[str, Measurement]:
    """How often a round accepted any id, over the bound for any exact rule with such first levels.

    Cost: a pass of both priors over each continuation, so only the timed samples are used.
    """
    if behind is None or not has_bound(trials, entry):
        return {}
    assert isinstance(entry.spec, TreeDecoding)
    count = len(trials.timed[entry.key])
    sampling, drafter = trials.pair.sampling, entry.spec.drafter
    p, q = behind.after(trials.outputs[entry.key]["ids"][:count], sampling, drafter.sampling(sampling))
    accepted, bounds = [], []
    for row, mine in enumerate(played[:count]):
        starts = [each.emitted for each in mine]
        accepted.append(sum(each.accepted > 0 for each in mine))
        bounds.append(float(drafter.bound(p[row, starts], q[row, starts]).sum()))
    return {"bound_fraction": ratio(accepted, bounds, "of the bound")}

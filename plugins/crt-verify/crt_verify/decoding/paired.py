"""Decoders of one budget beside each other, paired by sample."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import comb

from crt_run.statistics import CONFIDENCE, double_ratio, ratio
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.trials import Trials
from crtcore.kinds import Measurement


def calls(trials: Trials, entry: Entry) -> tuple[list[int], list[int]]:
    """Ids and target calls of each sample, without the call that reads the prompt and the id that comes with it."""
    output = trials.outputs[entry.key]
    return [len(row) - 1 for row in output["ids"]], [len(row) - 1 for row in output["accepted"]]


def over_chain(trials: Trials, entry: Entry, chain: Entry | None) -> dict[str, Measurement]:
    """What a decoder gains over a chain of the same budget; nothing where there is no other one."""
    if chain is None or chain is entry:
        return {}
    usual, own = (trials.seconds_an_id(each.key) for each in (chain, entry))
    return {
        "over_chain": gain(trials, entry, chain, CONFIDENCE),
        "token_rate_over_chain": ratio(usual, own, f"times {chain.name}"),
    }


def compared(trials: Trials, entries: Sequence[Entry]) -> list[str]:
    """A sentence for each budget: its decoders from the best, each beside the next.

    All intervals hold together with the usual confidence, by Bonferroni for all pairs that share a budget, as the order
    is that of the same samples.
    """
    by_budget: dict[int, list[Entry]] = {}
    for entry in entries:
        if entry.key in trials.outputs:
            by_budget.setdefault(entry.budget, []).append(entry)
    level = 1 - (1 - CONFIDENCE) / max(sum(comb(len(group), 2) for group in by_budget.values()), 1)
    sentences = []
    for budget, group in sorted(by_budget.items()):
        group.sort(key=lambda entry: -ratio(*calls(trials, entry), "ids a call").value)
        steps = [_step(gain(trials, *pair, level), *pair) for pair in pairwise(group)]
        if steps:
            sentences.append(f"ids a call at {budget} drafted ids, paired by sample: {'; '.join(steps)}")
    return sentences


def _step(measured: Measurement, entry: Entry, other: Entry) -> str:
    assert measured.low is not None
    assert measured.high is not None
    shown = "" if measured.low > 1 else ", no difference shown"
    return f"{entry.name} {measured.value:.3f} times {other.name} ({measured.low:.4g} to {measured.high:.4g}{shown})"


def gain(trials: Trials, entry: Entry, other: Entry, level: float) -> Measurement:
    """Block efficiency over that of another decoder, with an interval of this confidence."""
    return double_ratio(calls(trials, entry), calls(trials, other), f"times {other.name}", level)

"""Claims of the decoding study: which decoder emits more ids a call than which, on the same samples."""

from __future__ import annotations

from collections.abc import Sequence

from crt_run.significance import LEVEL, holm, ratio_p
from crt_run.statistics import CONFIDENCE
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.paired import gain
from crt_verify.decoding.spec import Claim
from crt_verify.decoding.trials import Trials
from crtcore.kinds import Measurement


def gains(trials: Trials, entries: Sequence[Entry], claims: Sequence[Claim]) -> dict[str, Measurement]:
    """The gain of each claim by its name, with an interval for it alone."""
    kept = {(entry.name, entry.budget): entry for entry in entries if entry.key in trials.outputs}
    pairs = {claim.name: (kept[claim.decoder, claim.budget], kept[claim.over, claim.budget]) for claim in claims}
    return {name: gain(trials, *pair, CONFIDENCE) for name, pair in pairs.items()}


def verdicts(measured: dict[str, Measurement]) -> list[str]:
    """A sentence on all claims of a run, whose probabilities are corrected together; none if there is no claim."""
    if not measured:
        return []
    corrected = holm([ratio_p(each, CONFIDENCE) for each in measured.values()])
    said = [
        f"{name.replace('_', ' ')}: {each.value:.3f} ({each.low:.3f} to {each.high:.3f}), p {p:.2g}, "
        f"{'holds' if each.value > 1 and p <= LEVEL else 'not shown'}"
        for (name, each), p in zip(measured.items(), corrected, strict=True)
    ]
    return [f"claims on ids a call, paired by sample and corrected for {len(measured)} of this run: {'; '.join(said)}"]

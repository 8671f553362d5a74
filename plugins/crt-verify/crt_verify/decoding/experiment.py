"""The decoding study: a pair of priors, then every decoder on the same prompts in one process.

Axes: b batch, n ids of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

from crt_run.runs.records import RECORDS, read_records
from crt_run.training.stages import trained_prior
from crt_verify.decoding.spec import Decoding
from crt_verify.decoding.table import Entry, Trials, numbers, points
from crt_verify.decoding.trial import Pair, step_time, tried
from crtcore import Noise, discover
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Decoder, Findings, Json, Run

if TYPE_CHECKING:
    from crtcore.kinds import Plan

TRIALS = "decoding"
"""The stage that trials are recorded under."""


class Samples(NamedTuple):
    """Held-out samples long enough to be continued."""

    ids: Int[Tensor, "b n"]
    condition: Int[Tensor, " b"] | None

    def at(self, row: slice) -> Samples:
        """Some of them."""
        return Samples(self.ids[row], None if self.condition is None else self.condition[row])


class DecodingExperiment:
    """Every decoder against ancestral decoding: what it saves, and that nothing else changes."""

    def __init__(self, spec: Decoding) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains what is not trained yet, tries what is not tried yet, then measures."""
        dataset = plan.parts["dataset"].build()
        run.facts["dataset"] = {"checksum": dataset.checksum, "sizes": dict(dataset.sizes)}
        target, draft = (
            trained_prior(role, plan, run, dataset, evaluations=self.spec.evaluations) for role in ("prior", "draft")
        )
        if isinstance(target, nn.Module):  # else it has no weights
            target.to(getattr(torch, self.spec.precision))
            run.facts["dtype"] = self.spec.precision
        pair = Pair(target, draft, plan.sampling, plan.seed)
        entries = [
            Entry(table["use"], {k: v for k, v in table.items() if k not in ("use", "verification")}, spec)
            for table, spec in zip(plan.document["decoder"], plan.parts["decoder"], strict=True)
        ]
        chosen = self._samples("validation", self.spec.choices, plan, run, dataset)
        tested = self._samples("test", self.spec.prompts, plan, run, dataset)
        with torch.inference_mode():
            trials, seconds = self._trials(run, pair, entries, chosen, tested)
            given = tested.at(slice(0, 1))
            times = [step_time(prior, given.ids[:, : self.spec.prompt], given.condition) for prior in (target, draft)]
            told = Trials(pair, *tested, self.spec.prompt, trials, seconds, times[1] / times[0])
            findings = Findings(numbers(told), points(told, entries))
        for role, part in (("target", target), ("draft", draft)):
            run.note_backends(role, part)  # known once the part has run
        return findings

    def _samples(self, split: str, count: int, plan: Plan, run: Run, dataset: Dataset) -> Samples:
        """Samples in an order of the seed's, those with an id at every place that is asked for.

        Raises: RunError if there are too few.
        """
        size = dataset.sizes[split]
        batch = dataset.take(split, Noise(plan.seed, f"prompts of {split}").order(size))
        whole = self.spec.prompt + self.spec.length
        long = (batch.data[:, :whole] >= 0).sum(1) >= whole
        if int(long.sum()) < count:
            raise RunError(
                f"decoding: expected {count} {split} samples of at least {whole} ids (prompt and length together), "
                f"got {int(long.sum())} of {size}; samples here have up to {batch.data.shape[1]} ids"
            )
        ids = batch.data[long][:count, :whole].to(run.device)
        return Samples(ids, None if batch.condition is None else batch.condition[long][:count].to(run.device))

    def _trials(
        self, run: Run, pair: Pair, entries: list[Entry], chosen: Samples, tested: Samples
    ) -> tuple[dict[str, Json], dict[str, list[float]]]:
        """What each decoder made of the test samples, and its seconds for each of those that are timed.

        Ancestral decoding comes first; what was recorded is not done again.
        """
        done = {line["step"]: line["trials"] for line in read_records(run.folder / RECORDS) if line["stage"] == TRIALS}
        rivals = [index for group in groups(entries).values() if len(group) > 1 for index in group]
        built = [(entry.key, entry.spec.build()) for entry in entries]
        ancestral = "ancestral", discover().find("decoder", "ancestral").spec().build()
        timed = len(rivals) + 1 + len(groups(entries))
        steps = timed + self.spec.timed

        def step(place: int, decoders: list[tuple[str, Decoder]], samples: Samples, first: int = 0) -> dict[str, Json]:
            if place not in done:
                if run.stopping():
                    raise Stopped
                done[place] = {key: self._try(pair, decoder, samples, first) for key, decoder in decoders}
                run.record({"stage": TRIALS, "step": place, "steps": steps, "trials": done[place]})
            return dict(done[place])

        score: dict[int, float] = {}
        for place, index in enumerate(rivals):
            (told,) = step(place, [built[index]], chosen).values()
            score[index] = calls(told)
        best = [built[min(group, key=lambda index: score.get(index, 0.0))] for group in groups(entries).values()]
        found: dict[str, Json] = {}
        for place, decoder in enumerate([ancestral, *best], len(rivals)):
            found |= step(place, [decoder], tested)
        seconds: dict[str, list[float]] = {key: [] for key in found}
        for row in range(self.spec.timed):
            turn = best[row % len(best) :] + best[: row % len(best)]  # so that no one always goes first
            for key, told in step(timed + row, [ancestral, *turn], tested.at(slice(row, row + 1)), row).items():
                seconds[key].append(told["seconds"])
        for key, each in built:
            run.note_backends(f"decoder {key}", each)
        return found, seconds

    def _try(self, pair: Pair, decoder: Decoder, samples: Samples, first: int) -> Json:
        return tried(pair, decoder, samples.ids[:, : self.spec.prompt], samples.condition, self.spec.length, first)


def groups(entries: list[Entry]) -> dict[tuple[str, int], list[int]]:
    """Decoders of one name and budget: places in the list."""
    found: dict[tuple[str, int], list[int]] = {}
    for index, entry in enumerate(entries):
        found.setdefault((entry.name, entry.budget), []).append(index)
    return found


def calls(told: Mapping[str, Any]) -> float:
    """Target calls that samples took, of those that could be saved."""
    return float(sum(len(accepted) - 1 for accepted in told["accepted"]))

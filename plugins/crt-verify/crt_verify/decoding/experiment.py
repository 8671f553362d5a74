"""The decoding study: a pair of priors, then every decoder on the same prompts in one process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from crt_nn.packed import pack_frozen
from crt_run.prompts import prompt_lengths
from crt_run.runs.records import RECORDS, read_records
from crt_run.training.stages import build_dataset, prior_of
from crt_verify.decoding.accuracy import scorer
from crt_verify.decoding.claims import gains, verdicts
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.paired import compared
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.spec import Decoding
from crt_verify.decoding.table import numbers, points, unbounded
from crt_verify.decoding.trial import Pair, run_trial, step_time
from crt_verify.decoding.trials import Timed, Trials
from crtcore import Limits, Noise, discover
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Decoder, Findings, Json, Run

if TYPE_CHECKING:
    from crtcore.kinds import Plan

TRIALS = "decoding"
"""The stage name of recorded trials."""


class DecodingExperiment:
    """Every decoder against ancestral decoding."""

    def __init__(self, spec: Decoding) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the priors and runs the trials that are not done yet, then measures."""
        dataset = build_dataset(plan, run)
        target, draft = (prior_of(role, plan, run, dataset) for role in ("prior", "draft"))
        if isinstance(target, nn.Module):  # else it has no weights
            target.to(getattr(torch, self.spec.precision))
            run.facts["dtype"] = self.spec.precision
        run.facts["packing"] = {name: pack_frozen(part) for name, part in (("target", target), ("draft", draft))}
        pair = Pair(target, draft, plan.sampling, plan.seed)
        entries = [
            Entry.of(table, spec) for table, spec in zip(plan.document["decoder"], plan.parts["decoder"], strict=True)
        ]
        chosen = self._samples("validation", self.spec.choices, plan, run, dataset)
        tested = self._samples("test", self.spec.prompts, plan, run, dataset)
        with torch.inference_mode():
            outputs, timed = self._trials(run, pair, entries, chosen, tested)
            one = tested.at(slice(0, 1))
            times = [step_time(prior, one.prompts, one.class_ids) for prior in (target, draft)]
            score = scorer(self.spec.accuracy, dataset)
            trials = Trials(pair, tested, self.spec.length, outputs, timed, times[1] / times[0], score)
            claimed = gains(trials, entries, self.spec.claim)
            notes = [*compared(trials, entries), *verdicts(claimed), *unbounded(trials, entries)]
            findings = Findings(numbers(trials) | claimed, points(trials, entries), notes)
        for role, part in (("target", target), ("draft", draft)):
            run.note_backends(role, part)  # known once the part has run
        return findings

    def _samples(self, split: str, count: int, plan: Plan, run: Run, dataset: Dataset) -> Samples:
        """The first samples, shuffled by the seed, that are long enough for prompt and continuation.

        Raises: RunError if there are too few.
        """
        size = dataset.sizes[split]
        batch = dataset.take(split, Noise(plan.seed, f"prompts of {split}").order(size))
        ids, starts = batch.data, torch.full((size,), self.spec.prompt)
        if batch.weight is None:
            whole = self.spec.prompt + self.spec.length
            ids = ids[:, :whole]
            expected = f"of at least {whole} ids (prompt and length together)"
            long = (ids >= 0).sum(1) >= whole
        else:
            starts = prompt_lengths(batch.weight)
            expected = "with a prompt, ids of weight 0, and ids behind it"
            long = (starts > 0) & (starts < (ids >= 0).sum(1))
        if int(long.sum()) < count:
            raise RunError(
                f"decoding: expected {count} {split} samples {expected}, "
                f"got {int(long.sum())} of {size}; samples here have up to {batch.data.shape[1]} ids"
            )
        kept = long.nonzero()[:count, 0]
        return Samples(ids[kept], starts[kept], None if batch.class_ids is None else batch.class_ids[kept]).to(
            run.device
        )

    def _trials(
        self, run: Run, pair: Pair, entries: list[Entry], chosen: Samples, tested: Samples
    ) -> tuple[dict[str, Json], dict[str, list[Timed]]]:
        """Each decoder's trial on the test samples, and what each of the timed ones took.

        Ancestral decoding comes first on all samples, and takes turns where times count. Recorded trials are not run
        again.
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
            (output,) = step(place, [built[index]], chosen).values()
            score[index] = calls_an_id(output)
        best = [built[min(group, key=lambda index: score.get(index, 0.0))] for group in groups(entries).values()]
        everyone = [ancestral, *best]
        outputs: dict[str, Json] = {}
        for place, decoder in enumerate(everyone, len(rivals)):
            outputs |= step(place, [decoder], tested)
        taken: dict[str, list[Timed]] = {key: [] for key in outputs}
        for row in range(self.spec.timed):
            first = row % len(everyone)  # so that no decoder always goes first
            turn = everyone[first:] + everyone[:first]
            for key, output in step(timed + row, turn, tested.at(slice(row, row + 1)), row).items():
                taken[key].append(Timed(output["seconds"], len(output["ids"][0])))
        for key, each in built:
            run.note_backends(f"decoder {key}", each)
        return outputs, taken

    def _try(self, pair: Pair, decoder: Decoder, samples: Samples, first: int) -> Json:
        limits = Limits(length=self.spec.length, stop=self.spec.stop)
        return run_trial(pair, decoder, samples, limits, first)


def groups(entries: list[Entry]) -> dict[tuple[str, int], list[int]]:
    """Places in the list of the decoders of each name and budget."""
    places: dict[tuple[str, int], list[int]] = {}
    for index, entry in enumerate(entries):
        places.setdefault((entry.name, entry.budget), []).append(index)
    return places


def calls_an_id(output: Mapping[str, Any]) -> float:
    """Target calls for each id, without the calls that read the prompts and the ids that come with them.

    Texts may end early, so that fewer calls alone say little.
    """
    emitted = sum(len(ids) - 1 for ids in output["ids"])
    return sum(len(accepted) - 1 for accepted in output["accepted"]) / max(emitted, 1)

"""Problems a second of evaluating an arm of `latent-reasoning`: with guesses, and step by step as in the build before.

Short trainings come first, on seed 100, of a chain that is learned fast. An arm is then evaluated in all its ways:
free, and with each number of codes. Both sides have the same weights, and their answers are compared id by id. Seconds
are of processor time.

Usage: python bench/latent_evaluation.py [--json]
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from side_by_side import keep, options, ratio, seconds, show, spread
from torch import Tensor
from torch.nn import functional

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.reasoning.answers import Solver
from crt_latent.reasoning.evaluation import FREE, evaluated, ways
from crt_latent.reasoning.forms import Form
from crt_latent.traces import Trace, compact, delimiters, lengths, split_trace
from crt_run.runs.execute import execute
from crt_run.runs.run import Run
from crt_run.training.objective import Inputs, trained
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.kinds import Plan, Request
from crtcore.settings import Limits, Sampling

CHAINS = {"use": "affine-chain", "modulus": 3, "steps": 4, "verbosity": 10, "seed": 100}
SUMS = {"use": "arithmetic", "digits": 3, "seed": 100}
ARMS: Mapping[str, tuple[dict[str, Any], str, int, int]] = {
    "chains, a code for 16 ids": (CHAINS, "latent", 16, 300),
    "chains as text": (CHAINS, "cot", 16, 300),
    "sums, little trained": (SUMS, "cot", 16, 100),
}
"""Name to dataset, form, ids of a code, and steps of the prior."""


class Arm(NamedTuple):
    """A trained arm."""

    dataset: Any
    solver: Solver
    form: Form
    trace: Trace


def plan(dataset: Mapping[str, Any], trace: str, rate: int, steps: int, problems: int) -> Plan:
    """The plan of an arm at the size of `specs/figures/latent-cot.toml`."""
    training = {"prior": (steps, 32), "tokenizer": (100, 64)}
    document = {
        "name": "latent-evaluation",
        "seed": 100,
        "experiment": {"use": "latent-reasoning", "trace": trace, "ceilings": [0, 16, 32, 48, 64], "tested": 1},
        "dataset": {**dataset, "test": problems},
        "tokenizer": {"use": "text-chunks", "chunk": 16, "rate": rate},
        "bottleneck": {"use": "vq", "codes": 128, "start": "k-means", "patience": 50},
        "prior": {"use": "transformer", "layers": 2, "width": 64, "heads": 4},
        "decoder": {"use": "ancestral"},
        "sampling": {"temperature": 0.0},
        "training": {
            stage: {"steps": count, "batch": batch, "optimizer": {"learning_rate": 3e-3}}
            for stage, (count, batch) in training.items()
        },
    }
    (point,) = study(Document(document, {}), discover()).points
    return point.plan


def trained_arm(plan: Plan, runs: Path) -> Arm:
    """Trains an arm, and prepares its test problems."""
    execute(plan, runs)
    run, dataset, tokenizer = Run(plan, runs), plan.parts["dataset"].build(), None
    *first, last = plan.stages
    for stage in first:
        tokenizer = trained(Inputs(stage, dataset, run=run))
    inputs = Inputs(last, dataset, {"tokenizer": tokenizer}, run)
    form, steps = inputs.material.form, inputs.material.trace.steps
    solver = Solver(
        trained(inputs), plan.parts["decoder"].build(), plan.sampling, form.alphabet, max_ids=form.width,
        max_codes=-(-steps.shape[1] // form.chunking.rate), seed=plan.seed,
    )  # fmt: skip
    tested = dataset.take("test", torch.arange(dataset.sizes["test"])).data
    return Arm(dataset, solver, form, split_trace(tested, form.alphabet.text))


class StepByStep(NamedTuple):
    """Answers of the build before: a step of the decoder for each id, and each way by itself."""

    solver: Solver

    @property
    def alphabet(self) -> Alphabet:
        """The ids."""
        return self.solver.alphabet

    def free(self, prompts: Tensor) -> Tensor:
        """Free answers, in two parts: up to the end of a bracket, and the rest."""
        begin, close, end = self.alphabet.begin, self.alphabet.close, delimiters(self.alphabet.text).end
        most, limit = self.solver.max_codes, self.solver.max_ids
        first = self._generate(prompts, min(most + 2, limit), stop=(close, end))
        codes = ((first >= self.alphabet.text) & (first < begin)).sum(1)
        forced = (first == begin).any(1) & ~(first == close).any(1) & (codes >= most)
        first = compact(torch.cat([first, torch.where(forced, close, -1)[:, None]], 1))
        unfinished = ~(first == end).any(1)
        left = limit - int(lengths(first[unfinished]).min()) if unfinished.any() else 0
        rest = first.new_full((len(first), left), -1)
        if left > 0:
            context = compact(torch.cat([prompts, first], 1)[unfinished])
            drawn = self._generate(context, left, stop=(end,))
            rest[unfinished] = functional.pad(drawn, (0, left - drawn.shape[1]), value=-1)
        return compact(torch.cat([first, rest], 1))[:, :limit]

    def forced(self, prompts: Tensor, codes: int) -> Tensor:
        """Answers with a forced number of codes."""
        text, begin, close, size = self.alphabet.text, self.alphabet.begin, self.alphabet.close, self.alphabet.size
        prefix = prompts[:, :0]
        if codes:
            opened = functional.pad(prompts, (0, 1), value=-1)
            opened[torch.arange(len(opened)), lengths(prompts)] = begin
            drawn = self._generate(opened, codes, banned=(*range(text), begin, close))
            prefix = torch.cat([torch.full_like(drawn[:, :1], begin), drawn, torch.full_like(drawn[:, :1], close)], 1)
        context = compact(torch.cat([prompts, prefix], 1))
        left = self.solver.max_ids - prefix.shape[1]
        rest = self._generate(context, left, stop=(delimiters(text).end,), banned=tuple(range(text, size)))
        return torch.cat([prefix, rest], 1)

    def _generate(
        self, prompts: Tensor, length: int, *, stop: tuple[int, ...] = (), banned: tuple[int, ...] = ()
    ) -> Tensor:
        request = Request(
            prompts, Limits(length=length, stop=stop), Sampling(temperature=0.0, banned=banned),
            seeds=torch.arange(len(prompts)),
        )  # fmt: skip
        return self.solver.decoder.generate(self.solver.prior, request).ids


def before(arm: Arm) -> list[Tensor]:
    """All answers, step by step."""
    prompts = functional.pad(arm.trace.prompt, (0, 1), value=-1)
    prompts[torch.arange(len(prompts)), lengths(arm.trace.prompt)] = delimiters(arm.form.alphabet.text).think
    steps, rate = StepByStep(arm.solver), arm.form.chunking.rate
    with torch.inference_mode():
        return [
            steps.free(prompts) if replaced == FREE else steps.forced(prompts, replaced // rate)
            for replaced in ways(arm.form, arm.trace)
        ]


def now(arm: Arm) -> list[Tensor]:
    """All answers, with guesses."""
    with torch.inference_mode():
        return [each.ids for each in evaluated(arm.solver, arm.form, arm.trace, torch.device("cpu")).values()]


def differing(ours: list[Tensor], theirs: list[Tensor]) -> int:
    """Answers that differ in any id."""
    wide = max(each.shape[1] for each in (*ours, *theirs))
    pairs = [
        [functional.pad(each, (0, wide - each.shape[1]), value=-1) for each in pair]
        for pair in zip(ours, theirs, strict=True)
    ]
    return sum(int((a != b).any(1).sum()) for a, b in pairs)


def solved_share(arm: Arm, ids: Tensor) -> Tensor:
    """The share of free answers that are right."""
    return arm.dataset.check(arm.trace.prompt, ids).double().mean()


def main() -> None:
    """Trains, compares and prints a table."""
    arguments = options(__doc__ or "", problems=1000)
    rows, numbers = [], {}
    with TemporaryDirectory() as folder:
        for name, about in ARMS.items():
            arm = trained_arm(plan(*about, arguments.problems), Path(folder))
            ours, theirs = now(arm), before(arm)
            unequal = differing(ours, theirs)
            solved = float(solved_share(arm, ours[0]))
            arms = {"now": lambda arm=arm: now(arm), "before": lambda arm=arm: before(arm)}
            taken = seconds(arms, arguments.rounds, time.process_time)
            rates = {side: spread([arguments.problems / each for each in taken[side]]) for side in arms}
            times = ratio(taken["before"], taken["now"])
            medians = [f"{rates[side].median:.0f}" for side in ("before", "now")]
            count = f"{unequal} of {len(ours) * arguments.problems}"
            rows.append((name, f"{solved:.2f}", str(len(ours)), *medians, f"{times:.2f}", count))
            numbers[name] = {
                "ways": len(ours), "solved": solved, "differing": unequal, "times": times._asdict(),
                **{f"{side}_problems_a_second": each._asdict() for side, each in rates.items()},
            }  # fmt: skip
    show(("arm", "solved", "ways", "before, problems/s", "now", "times", "answers that differ"), rows)
    keep("latent_evaluation", (), numbers, arguments)


if __name__ == "__main__":
    main()

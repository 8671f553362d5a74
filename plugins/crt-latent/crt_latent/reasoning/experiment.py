"""The study of latent reasoning: codes, a prior over rows of one form, and its answers to test problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from crt_latent.reasoning.answers import Answers, Solver
from crt_latent.reasoning.budget import Budget, budget, step_seconds
from crt_latent.reasoning.evaluation import FREE, check_positions, evaluated
from crt_latent.reasoning.forms import Form
from crt_latent.reasoning.health import health
from crt_latent.reasoning.numbers import counted, measured
from crt_latent.reasoning.spec import LatentReasoning
from crt_latent.reasoning.training import rows
from crt_latent.traces import Trace, lengths, split_trace
from crt_nn.packed import pack_frozen
from crt_run.training.ids import spread
from crt_run.training.objective import Inputs, built, trained
from crt_run.training.stages import build_dataset
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Findings, Measurement, Row, Run

if TYPE_CHECKING:
    from crtcore.kinds import Plan

COMPARED = ("accuracy", "tokens")
"""Numbers whose outcomes are kept, and that answers with as many codes as possible by force have too."""
BUDGETED = 32
"""Steps, evenly spaced over the training, whose ids are counted for the budget."""


class ReasoningExperiment:
    """Trains on one form of the traces and evaluates answers."""

    def __init__(self, spec: LatentReasoning) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the stages that are not trained yet, then evaluates answers.

        Raises: RunError if the dataset cannot check answers, or the prior has too few positions for them.
        """
        dataset = build_dataset(plan, run)
        if not callable(getattr(dataset, "check", None)):  # `isinstance` of Python 3.12 looks into no `Few`
            raise RunError("latent-reasoning: expected a dataset that checks answers, got one that does not")
        numbers: dict[str, Measurement] = {}
        tokenizer, cost = None, Budget(0.0, 0.0, 0.0)
        *first, last = plan.stages
        blank = built(Inputs(last, dataset))
        positions = getattr(next(iter(blank.parts.values())).module, "longest", None)
        check_positions(positions, self._tested(dataset), blank.ids)
        for stage in first:
            before = Inputs(stage, dataset, run=run)
            tokenizer = trained(before)
            numbers |= health(dataset, tokenizer, run.device)
            run.record(
                {"stage": "codes", "step": 1, "steps": 1, **{name: each.value for name, each in numbers.items()}}
            )
            cost = self._budget(before, self._tokenizer_ids(plan, dataset))
        inputs = Inputs(last, dataset, {"tokenizer": tokenizer}, run)
        material = inputs.material
        form, prior = material.form, trained(inputs)
        steps = spread(last.training.steps, BUDGETED).tolist()
        spent = self._budget(inputs, sum(mean_length(rows(inputs, step)) for step in steps) / len(steps))
        if run.stopping():
            raise Stopped
        run.facts["packing"] = {"prior": pack_frozen(prior.requires_grad_(False))}  # it is not trained any more
        solver = Solver(
            prior=prior, decoder=plan.parts["decoder"].build(), sampling=plan.sampling, alphabet=form.alphabet,
            max_ids=form.width, seed=plan.seed,
            max_codes=material.trace.steps.shape[1] // form.chunking.length * form.chunking.each,
        )  # fmt: skip
        by_replaced, outcomes = self._evaluate(run, dataset, solver, form)
        for role, part in (("prior", prior), ("decoder", solver.decoder)):
            run.note_backends(role, part)
        budgets = {"tokenizer": cost, "prior": spent, "training": cost.plus(spent)}
        for name, each in budgets.items():
            numbers |= each.measurements(name)
        forced = {f"forced_{name}": by_replaced[max(by_replaced)][name] for name in COMPARED}
        totals = by_replaced[FREE] | forced | numbers
        points = [self._row(form, *each) for each in sorted(by_replaced.items()) if each[0] != FREE]
        return Findings(totals, points or [self._row(form, 0, by_replaced[FREE])], outcomes=outcomes)

    def _budget(self, inputs: Inputs, ids: float) -> Budget:
        """Measures the budget of a stage on an untrained copy, with `ids` ids an example."""
        objective, training = built(inputs), inputs.stage.training
        seconds = step_seconds(training, objective.loss, [part.module for part in objective.parts.values()])
        return budget(training, ids, seconds)

    def _tokenizer_ids(self, plan: Plan, dataset: Any) -> float:
        """The mean ids of an example of the tokenizer's."""
        size = plan.training["tokenizer"].batch
        return mean_length(dataset.take("train", spread(dataset.sizes["train"], size)).data)

    def _evaluate(
        self, run: Run, dataset: Any, solver: Solver, form: Form
    ) -> tuple[dict[int, dict[str, Measurement]], dict[str, list[int]]]:
        """Returns numbers by the number of ids that are replaced by force, and outcomes of each problem.

        Outcomes are of free answers, and of those with the most codes by force; without codes both are the same.
        """
        trace = self._tested(dataset)
        with torch.inference_mode():
            answered = evaluated(solver, form, trace, run.device, run.stopping)
        numbers, outcomes = {}, {}
        for place, (replaced, drawn) in enumerate(answered.items()):
            answers = Answers(*(part.cpu() for part in drawn))
            solved = dataset.check(trace.prompt, answers.ids) & answers.ended
            counts = counted(answers.ids, trace, rate=form.chunking.rate, alphabet=form.alphabet)
            numbers[replaced] = measured(counts, answers, solved, free=replaced == FREE)
            outcomes[replaced] = dict(zip(COMPARED, (solved.long().tolist(), counts.tokens.tolist()), strict=True))
            each = "".join(map(str, solved.long().tolist()))
            run.record(
                {"stage": "answers", "step": place, "steps": len(answered), "replaced": replaced, "solved": each}
            )
        most = {f"forced_{name}": each for name, each in outcomes[max(outcomes)].items()}
        return numbers, outcomes[FREE] | most

    def _tested(self, dataset: Any) -> Trace:
        """The test problems that are answered."""
        return split_trace(
            dataset.take("test", spread(dataset.sizes["test"], self.spec.tested)).data, dataset.vocabulary
        )

    def _row(self, form: Form, replaced: int, numbers: Mapping[str, Measurement]) -> Row:
        """Returns a point of the curve of accuracy against length; an arm without codes has one."""
        spec = self.spec
        codes = f"{spec.replacement}, {spec.codes} codes, {form.chunking.rate} ids each"
        return Row({"form": codes if spec.trace == "latent" else spec.trace, "replaced": replaced}, numbers)


def mean_length(ids: Int[Tensor, "b n"]) -> float:
    """The mean number of ids of a row."""
    return float(lengths(ids).double().mean())

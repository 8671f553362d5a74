"""The study of latent reasoning: codes, a prior over rows of one form, and its answers to test problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.mixing.mixed import Chunking
from crt_latent.mixing.replacement import Occasion
from crt_latent.reasoning.answers import Answers, Solver
from crt_latent.reasoning.budget import Budget, budget, step_seconds
from crt_latent.reasoning.codes import hashed, learned, shuffled
from crt_latent.reasoning.forms import Form
from crt_latent.reasoning.health import health
from crt_latent.reasoning.numbers import counted, measured
from crt_latent.reasoning.spec import LatentReasoning
from crt_latent.tasks.task import Task
from crt_latent.traces import Trace, delimiters, lengths, loss_weights, split_trace
from crt_run.likelihood import nats
from crt_run.training.ids import spread
from crt_run.training.losses import Loss
from crt_run.training.order import batch_at, seeded
from crt_run.training.stages import TOKENIZER, build_dataset, compression, trained_tokenizer
from crt_run.training.trainer import Part, fit
from crtcore import Noise
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Findings, Measurement, Row, Run

if TYPE_CHECKING:
    from crtcore.kinds import Plan

BUDGETED = 32
"""Steps, evenly spaced over the training, whose ids are counted for the budget."""
READS = ("experiment.trace", "experiment.codes", "experiment.replacement", "experiment.ceilings")
"""Fields that the form of the rows depends on."""


class Material(NamedTuple):
    """Parts of traces, and the codes of their steps."""

    trace: Trace
    codes: Int[Tensor, "b z"]

    def at(self, rows: Int[Tensor, " b"]) -> Material:
        """Returns some rows."""
        return Material(Trace(*(part[rows] for part in self.trace)), self.codes[rows])


class ReasoningExperiment:
    """Trains on one form of the traces and evaluates answers."""

    def __init__(self, spec: LatentReasoning) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains the stages that are not trained yet, then evaluates answers.

        Raises: RunError if the dataset cannot check answers.
        """
        dataset = build_dataset(plan, run)
        if not isinstance(dataset, Task):
            raise RunError("latent-reasoning: expected a dataset that checks answers, got one that does not")
        numbers: dict[str, Measurement] = {}
        tokenizer, cost = None, Budget(0.0, 0.0, 0.0)
        if self.spec.trains("tokenizer"):
            tokenizer = trained_tokenizer(plan, run, dataset)
            numbers |= health(dataset, tokenizer, run.device)
            run.record(
                {"stage": "codes", "step": 1, "steps": 1, **{name: each.value for name, each in numbers.items()}}
            )
            cost = self._tokenizer_budget(plan, run, dataset)
        form = self._form(plan, dataset, tokenizer)
        material = self._material(plan, run, dataset, tokenizer, form)
        prior, spent = self._prior(plan, run, form, material)
        if run.stopping():
            raise Stopped
        solver = Solver(
            prior=prior, decoder=plan.parts["decoder"].build(), sampling=plan.sampling, alphabet=form.alphabet,
            max_ids=form.width, seed=plan.seed,
            max_codes=-(-material.trace.steps.shape[1] // form.chunking.rate),
        )  # fmt: skip
        by_replaced, outcomes = self._evaluate(run, dataset, solver, form)
        for role, part in (("prior", prior), ("decoder", solver.decoder)):
            run.note_backends(role, part)
        budgets = {"tokenizer": cost, "prior": spent, "training": cost.plus(spent)}
        for name, each in budgets.items():
            numbers |= each.measurements(name)
        totals = by_replaced.pop(-1) | numbers
        points = [self._row(form, *each) for each in sorted(by_replaced.items())]
        return Findings(totals, points, outcomes=outcomes)

    def _form(self, plan: Plan, dataset: Any, tokenizer: Any) -> Form:
        """Returns the form of the rows.

        Raises: RunError if codes are continuous or do not divide a chunk, or there are no fillers to strip.
        """
        tokenizer_spec = plan.parts["tokenizer"]
        codes = plan.parts["bottleneck"].build().vocabulary
        if codes is None:
            raise RunError("latent-reasoning: expected a discrete bottleneck, got a continuous one")
        each = tokenizer_spec.chunk // tokenizer_spec.rate * (tokenizer.share if tokenizer else 1)
        if tokenizer_spec.chunk % each:
            raise RunError(
                f"latent-reasoning: expected a number of codes that divides a chunk of {tokenizer_spec.chunk} ids, "
                f"got {each}; "
                "take a bottleneck with fewer codes for each feature"
            )
        fillers = tuple(getattr(dataset, "fillers", ()))
        if self.spec.trace == "stripped" and not fillers:
            raise RunError("latent-reasoning: expected a dataset with fillers to strip, got one without")
        return Form(
            self.spec,
            Chunking(tokenizer_spec.chunk, tokenizer_spec.chunk // each),
            Alphabet(dataset.vocabulary, codes),
            fillers,
            Noise(plan.seed, "which chunks are replaced"),
            dataset.take("train", torch.zeros(1, dtype=torch.int64)).data.shape[1],
        )

    def _material(self, plan: Plan, run: Run, dataset: Any, tokenizer: Any, form: Form) -> Material:
        """Returns the training problems."""
        data = dataset.take("train", spread(dataset.sizes["train"])).data
        trace = split_trace(data, form.alphabet.text)
        codes = trace.steps[:, :0]
        if tokenizer is not None:
            codes = learned(dataset, tokenizer, "train", run.device)
            if self.spec.codes == "shuffled":
                codes = shuffled(codes, plan.seed)
        elif self.spec.trace == "latent":
            codes = hashed(trace.steps, form.chunking, form.alphabet.codes)
        return Material(trace, codes)

    def _prior(self, plan: Plan, run: Run, form: Form, material: Material) -> tuple[Any, Budget]:
        """Trains the prior, and returns it with its budget."""
        training, size = plan.training["prior"], len(material.codes)
        order = Noise(plan.seed, "order of the prior's batches")
        with seeded(plan.seed, "prior"):
            prior = plan.parts["prior"].build(form.alphabet.size, form.width, None).to(run.device)

        def rows(step: int, progress: float) -> Int[Tensor, "b n"]:
            chosen = batch_at(order, size, training.batch, step)
            epochs = (step * training.batch + torch.arange(training.batch)) // size
            return form.rows(*material.at(chosen), Occasion(chosen, epochs, progress)).to(run.device)

        def objective(step: int, progress: float) -> Loss:
            ids = rows(step, progress)
            loss_mask = loss_weights(ids, form.alphabet.text)
            return Loss(nats(prior, ids, None, loss_mask).sum() / loss_mask.sum(), {})

        learned_first = TOKENIZER if self.spec.trains("tokenizer") else ("seed", "dataset", "tokenizer", "bottleneck")
        with run.stage("prior", (*learned_first, *READS, "prior", "training.prior")) as stage:
            fit(stage, {"prior": Part(prior, training.optimizer)}, training, objective)
        steps = spread(training.steps, BUDGETED).tolist()
        mean = sum(float(lengths(rows(step, step / training.steps)).double().mean()) for step in steps) / len(steps)
        return prior.eval(), budget(training, mean, step_seconds(training, objective, [prior]))

    def _tokenizer_budget(self, plan: Plan, run: Run, dataset: Any) -> Budget:
        """Measures the budget of training the tokenizer with its regularisers, on an untrained one."""
        training = plan.training["tokenizer"]
        _, parts, objective = compression(plan, run, dataset)
        data = dataset.take("train", spread(dataset.sizes["train"], training.batch)).data
        seconds = step_seconds(training, objective, [part.module for part in parts.values()])
        return budget(training, float(lengths(data).double().mean()), seconds)

    def _evaluate(
        self, run: Run, dataset: Any, solver: Solver, form: Form
    ) -> tuple[dict[int, dict[str, Measurement]], dict[str, list[int]]]:
        """Returns numbers by the number of ids that are replaced by force, and outcomes of each problem.

        Free answers have the key -1, and outcomes are of these alone.
        """
        tested = dataset.take("test", spread(dataset.sizes["test"], self.spec.tested)).data
        trace = split_trace(tested, form.alphabet.text)
        prompts = functional.pad(trace.prompt, (0, 1), value=-1)
        prompts[torch.arange(len(prompts)), lengths(trace.prompt)] = delimiters(form.alphabet.text).think
        prompts = prompts.to(run.device)
        length, rate = form.chunking
        most_chunks = int(lengths(trace.steps).min()) // length if self.spec.trace == "latent" else -1
        ways = [-1, *(chunks * length for chunks in range(most_chunks + 1))]
        numbers, outcomes = {}, {}
        for place, replaced in enumerate(ways):
            if run.stopping():
                raise Stopped
            with torch.inference_mode():
                drawn = solver.answers(prompts) if replaced < 0 else solver.answer_with_codes(prompts, replaced // rate)
            answers = Answers(*(part.cpu() for part in drawn))
            solved = dataset.check(trace.prompt, answers.ids) & answers.ended
            counts = counted(answers.ids, trace, rate=rate, alphabet=form.alphabet)
            numbers[replaced] = measured(counts, answers, solved)
            outcomes[replaced] = {"accuracy": solved.long().tolist(), "tokens": counts.tokens.tolist()}
            each = "".join(map(str, solved.long().tolist()))
            run.record({"stage": "answers", "step": place, "steps": len(ways), "replaced": replaced, "solved": each})
        return numbers, outcomes[-1]

    def _row(self, form: Form, replaced: int, numbers: Mapping[str, Measurement]) -> Row:
        """Returns a point of the curve of accuracy against length."""
        spec = self.spec
        form_label = f"{spec.replacement}, {spec.codes} codes, {form.chunking.rate} ids each"
        return Row({"form": form_label, "replaced": replaced}, numbers)

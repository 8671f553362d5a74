"""The rate-distortion study: a language model, then a probe of its states for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crt_run.statistics import averaged
from crt_run.sweeps.curves import Span, along, common
from crt_run.sweeps.curves import mean as over
from crt_run.training.objective import Inputs, trained
from crt_run.training.stages import build_dataset, prior_of
from crt_vib.rate_distortion.frontier import exact_frontier
from crt_vib.rate_distortion.measure import gaps, information, label_nats, probe_costs, row
from crt_vib.rate_distortion.spec import RateDistortion
from crt_vib.rate_distortion.states import Examples, correct_answers, read_examples, tested
from crtcore.errors import RunError
from crtcore.kinds import Dataset, Findings, Measurement, Row, Run

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Float64
    from torch import Tensor

    from crtcore.kinds import Plan


class RateDistortionExperiment:
    """Measures how well a state predicts the answer at each rate, against the exact frontier."""

    def __init__(self, spec: RateDistortion) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains what is not trained yet, then measures; a language model that failed to learn its task has no curve.

        Raises: RunError if the language model has no hidden states, or the bottleneck takes another width.
        """
        dataset = build_dataset(plan, run)
        prior = self._prior(plan, run, dataset)
        reading = tested(plan, self.spec)
        joint = reading.joint
        test = read_examples(reading, prior, dataset, "test", run)
        ahead = reading.distance > 1  # the language model says nothing of ids that are not next
        correct = None if ahead else correct_answers(reading, prior, dataset, "test", run)
        numbers = accuracies(test, correct, joint)
        if note := self._failure(numbers):
            return Findings(numbers, notes=(note,))
        inputs = Inputs(plan.stages[-1], dataset, {"prior": prior}, run)
        run.note_backends("prior", prior)
        numbers, rows = self._curve(plan, run, inputs, numbers, joint, test)
        return self._findings(numbers, rows)

    def _prior(self, plan: Plan, run: Run, dataset: Dataset) -> Any:
        prior = prior_of("prior", plan, run, dataset)
        if not hasattr(prior, "hidden"):
            raise RunError(
                f"prior.use: expected a language model with hidden states, such as 'meta-transformer', "
                f"got {plan.document['prior']['use']!r}"
            )
        return prior

    def _failure(self, numbers: dict[str, Measurement]) -> str:
        """Why there is no curve; empty if the task is learned, or if the best accuracy is unknown."""
        if "best_accuracy" not in numbers:
            return ""
        accuracy, best = numbers["accuracy"].value, numbers["best_accuracy"].value
        if accuracy >= (asked := self.spec.gate * best):
            return ""
        return (
            f"the language model failed to learn the task: accuracy {accuracy:.3f}, where {best:.3f} is possible and "
            f"{asked:.3f} was asked for; so no curve was drawn"
        )

    def _curve(
        self, plan: Plan, run: Run, inputs: Inputs, numbers: dict[str, Measurement],
        joint: Float64[np.ndarray, "x y"] | None,
        test: Examples,
    ) -> tuple[dict[str, Measurement], list[Row]]:  # fmt: skip
        """A point for each weight, and their distance from the frontier if it is known."""
        frontier = None if joint is None else exact_frontier(joint)
        rows, distances = [], []
        for weight in self.spec.weights:
            probe = trained(inputs, weight)
            run.note_backends("bottleneck", probe)
            costs = probe_costs(probe, test, self.spec.samples, plan.seed)
            point = row(weight, costs, test.answers.cpu(), frontier)
            rows.append(point._replace(numbers={**point.numbers, **information(probe, test, plan.seed)}))
            if frontier is not None:
                distances.append(gaps(costs, frontier))
        if distances:
            largest = max((each.numbers["frontier_gap_nats"] for each in rows), key=lambda number: number.value)
            average = averaged(sum(distances[1:], distances[0]) / len(distances), "nats")
            numbers = {**numbers, "mean_frontier_gap_nats": average, "largest_frontier_gap_nats": largest}
        return numbers, rows

    def _findings(self, numbers: dict[str, Measurement], rows: Sequence[Row]) -> Findings:
        """The findings, with the mean distortion between two rates if the curve reaches both."""
        curve = sorted((each.numbers["rate_nats"].value, each.numbers["distortion_nats"].value) for each in rows)
        span, notes = Span(*self.spec.between), self._control(rows)
        if common([curve, [(span.low, 0.0), (span.high, 0.0)]]) == span:
            value = over(along(curve, span))
            count = rows[0].numbers["rate_nats"].n
            return Findings({**numbers, "mean_distortion_nats": Measurement(value, "nats", count)}, rows, notes)
        note = (
            f"no mean distortion between {span.low:g} and {span.high:g} nats, as the curve reaches from "
            f"{curve[0][0]:.3f} to {curve[-1][0]:.3f}; other experiment.weights reach further"
        )
        return Findings(numbers, rows, (*notes, note))

    def _control(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """The largest distance from the frontier where the case itself is read, and so no state adds to it."""
        if self.spec.read != "case":
            return ()
        far = max((each.numbers for each in rows), key=lambda numbers: numbers["frontier_gap_nats"].value)
        return (
            f"up to {far['frontier_gap_nats'].value:.3f} nats above the exact frontier, at "
            f"{far['rate_nats'].value:.2f} nats, though it reads the case itself: so much of the distance of any arm "
            "is the bottleneck's and its predictor's, and not the state's",
        )


def accuracies(
    test: Examples, correct: Bool[Tensor, " b"] | None, joint: Float64[np.ndarray, "x y"] | None
) -> dict[str, Measurement]:
    """Accuracy of the language model, if answers are next ids, and the best possible one if it is known."""
    labels = label_nats(test.answers.cpu())
    numbers = {} if correct is None else {"accuracy": averaged(correct.double().cpu(), "share")}
    numbers["label_entropy_nats"] = Measurement(float(labels.mean()), "nats", len(labels))
    if joint is not None:
        numbers["best_accuracy"] = Measurement(float(joint.max(1).sum()), "share", len(labels))
    return numbers

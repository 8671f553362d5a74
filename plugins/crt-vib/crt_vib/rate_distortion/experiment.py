"""The rate-distortion study: a language model, then a probe of its states for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from crt_run.statistics import averaged
from crt_run.sweeps.curves import Span, along, common
from crt_run.sweeps.curves import mean as over
from crt_run.training.stages import trained_prior
from crt_vib.lists.spec import Foretold
from crt_vib.rate_distortion.frontier import exact
from crt_vib.rate_distortion.heads import trained
from crt_vib.rate_distortion.measure import gaps, information, label_nats, row, told
from crt_vib.rate_distortion.reading import Examples, answered, read
from crt_vib.rate_distortion.spec import RateDistortion
from crtcore.errors import RunError
from crtcore.kinds import Dataset, Findings, Measurement, Row, Run

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Float64
    from torch import Tensor

    from crtcore.kinds import Plan


class RateDistortionExperiment:
    """What a state tells of the answer, by the nats it may cost, against what any state could."""

    def __init__(self, spec: RateDistortion) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Trains what is not trained yet, then measures; a language model that has not learnt its task has no curve.

        Raises: RunError if the language model shows no states, or the bottleneck takes others.
        """
        about = plan.parts["dataset"]
        dataset = about.build()
        run.facts["dataset"] = {"checksum": dataset.checksum, "sizes": dict(dataset.sizes)}
        prior = self._prior(plan, run, dataset)
        meta = dataset.vocabulary - 1 if about.marked else None
        joint = about.joint() if isinstance(about, Foretold) and self.spec.distance == 1 else None
        cases = 0 if joint is None else len(joint)
        taken = partial(read, self.spec, prior, dataset, run=run, meta=meta, cases=cases)
        test, right = taken("test"), answered(self.spec, prior, dataset, "test", run, meta=meta)
        numbers = learnt(test, right, joint)
        if note := self._gated(numbers):
            return Findings(numbers, notes=(note,))
        splits = {"examples": taken("train"), "held": taken("validation"), "test": test}
        run.note_backends("prior", prior)
        numbers, rows = self._curve(plan, run, numbers, joint, vocabulary=dataset.vocabulary, **splits)
        return self._whole(numbers, rows)

    def _prior(self, plan: Plan, run: Run, dataset: Dataset) -> Any:
        prior = trained_prior("prior", plan, run, dataset, evaluations=self.spec.evaluations)
        if not hasattr(prior, "hidden"):
            raise RunError(
                f"prior.use: expected a language model that shows its hidden states, such as 'meta-transformer', "
                f"got {plan.document['prior']['use']!r}"
            )
        return prior

    def _gated(self, numbers: dict[str, Measurement]) -> str:
        """Why there is no curve; empty if the task is learnt, or if nobody knows what is possible."""
        accuracy = numbers["accuracy"].value
        best = numbers["best_accuracy"].value if "best_accuracy" in numbers else 0.0
        if accuracy >= (asked := self.spec.gate * best):
            return ""
        return (
            f"the language model failed to learn the task: accuracy {accuracy:.3f}, where {best:.3f} is possible and "
            f"{asked:.3f} was asked for; so no curve was drawn"
        )

    def _curve(
        self, plan: Plan, run: Run, numbers: dict[str, Measurement], joint: Float64[np.ndarray, "x y"] | None,
        *, examples: Examples, held: Examples, test: Examples, vocabulary: int,
    ) -> tuple[dict[str, Measurement], list[Row]]:  # fmt: skip
        """A point for each weight, and their distance from the frontier where it is known."""
        frontier = None if joint is None else exact(joint)
        rows, apart = [], []
        for weight in self.spec.weights:
            probe = trained(self.spec, plan, run, weight, examples=examples, held=held, vocabulary=vocabulary)
            found = told(probe, test, self.spec.samples, plan.seed)
            point = row(weight, found, test.answers.cpu(), frontier)
            rows.append(point._replace(numbers={**point.numbers, **information(probe, test, plan.seed)}))
            if frontier is not None:
                apart.append(gaps(found, frontier))
        if apart:
            largest = max((each.numbers["frontier_gap_nats"] for each in rows), key=lambda number: number.value)
            average = averaged(sum(apart[1:], apart[0]) / len(apart), "nats")
            numbers = {**numbers, "mean_frontier_gap_nats": average, "largest_frontier_gap_nats": largest}
        return numbers, rows

    def _whole(self, numbers: dict[str, Measurement], rows: Sequence[Row]) -> Findings:
        """The findings, with the mean distortion between two rates where the curve reaches both."""
        curve = sorted((each.numbers["rate_nats"].value, each.numbers["distortion_nats"].value) for each in rows)
        wanted, notes = Span(*self.spec.between), self._own(rows)
        if common([curve, [(wanted.low, 0.0), (wanted.high, 0.0)]]) == wanted:
            value = over(along(curve, wanted))
            count = rows[0].numbers["rate_nats"].samples
            return Findings({**numbers, "mean_distortion_nats": Measurement(value, "nats", count)}, rows, notes)
        note = (
            f"no mean distortion between {wanted.low:g} and {wanted.high:g} nats, as the curve reaches from "
            f"{curve[0][0]:.3f} to {curve[-1][0]:.3f}; other experiment.weights reach further"
        )
        return Findings(numbers, rows, (*notes, note))

    def _own(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Whose the distance from the frontier is, where no state stands between."""
        if self.spec.read != "case":
            return ()
        far = max((each.numbers for each in rows), key=lambda numbers: numbers["frontier_gap_nats"].value)
        return (
            f"up to {far['frontier_gap_nats'].value:.3f} nats above the exact frontier, at "
            f"{far['rate_nats'].value:.2f} nats, though it reads the case itself: so much of the distance of any arm "
            "is the bottleneck's and its predictor's, and not the state's",
        )


def learnt(
    test: Examples, right: Bool[Tensor, " b"], joint: Float64[np.ndarray, "x y"] | None
) -> dict[str, Measurement]:
    """How well the language model answers, and how well anyone could."""
    labels = label_nats(test.answers.cpu())
    numbers = {
        "accuracy": averaged(right.double().cpu(), "share"),
        "label_entropy_nats": Measurement(float(labels.mean()), "nats", len(labels)),
    }
    if joint is not None:
        numbers["best_accuracy"] = Measurement(float(joint.max(1).sum()), "share", len(labels))
    return numbers

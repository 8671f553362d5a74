"""The study of a pretrained model's states: reads them, or finds them stored, then a probe for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch

from crt_nn.packed import pack_frozen
from crt_run.sweeps.curves import Span, along, common
from crt_run.sweeps.curves import mean as over
from crt_run.training.ids import spread
from crt_run.training.objective import Inputs, trained
from crt_run.training.stages import build_dataset, prior_of
from crt_vib.rate_distortion.measure import information, label_nats
from crt_vib.state_codes.best_codes import best_codes
from crt_vib.state_codes.measure import Own, by_window, first_nat, measured, no_code_nats
from crt_vib.state_codes.probes import examples_of, trunk_of
from crt_vib.state_codes.spec import StateCodes
from crt_vib.state_codes.stored import Trunk, answers, stored
from crt_vib.state_codes.trunk import checked
from crtcore.kinds import Findings, Measurement, Plan, Row, Run


class StateCodesExperiment:
    """Measures what codes of a layer's states hold about ids ahead, at each rate."""

    def __init__(self, spec: StateCodes) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """Reads and trains what is not there yet, then measures.

        Raises: RunError if the layers of the prior cannot be read, or the bottleneck takes another width.
        """
        spec, inputs, rows = self.spec, bottleneck_inputs(plan, run, self.spec.layers), []
        dataset, prior = inputs.dataset, inputs.result("prior")
        embedding = inputs.result("appended").vector.detach() if spec.place == "appended" else None
        view = plan.only(("dataset", "experiment"), "state-codes")
        trunk = trunk_of(view, prior, dataset, embedding)
        test = examples_of(trunk, run, spec.states_stage(plan), view, "test")
        run.note_backends("prior", prior)  # known once it has run
        windows = len(spread(dataset.sizes["test"], spec.test))
        numbers, own = self._own(plan, run, trunk, test.answers.cpu(), windows)
        for weight in spec.weights:
            probe = trained(inputs, weight)
            run.note_backends("bottleneck", probe)
            point = measured(probe, test, windows, spec.samples, plan.seed, own)
            rows.append(Row({"weight": weight}, point | information(probe, test, plan.seed)))
        return self._findings(numbers, rows)

    def _own(
        self, plan: Plan, run: Run, trunk: Trunk, tested: torch.Tensor, windows: int
    ) -> tuple[dict[str, Measurement], Own | None]:
        """The entropy of answers, and what they cost without a code.

        At distance 1 also what the model pays, and the best codes of its distribution.
        """
        spec = self.spec
        known = answers(trunk, "train", spec.train, spec.distance)
        numbers = {
            "label_entropy_nats": by_window(label_nats(tested), windows),
            "no_code_nats": by_window(no_code_nats(tested, known, trunk.classes.size), windows),
        }
        if spec.distance != 1:
            return numbers, None
        at_ids = _at_ids(spec).states_stage(plan)
        chances = stored(trunk._replace(embedding=None), run, at_ids, "test", spec.test)["chances"].double()
        chosen = spread(len(chances), spec.contexts)
        numbers |= {
            "model_nats": by_window(-chances.clamp(min=1e-30).log()[torch.arange(len(tested)), tested], windows),
            "model_entropy_nats": by_window(torch.special.entr(chances).sum(1), windows),
        }
        with run.stage(spec.codes_stage(plan)) as stage:
            if not stage.finished:
                codes = best_codes(chances[chosen].numpy(), spec.betas, spec.iterations)
                stage.save(1, {}, {"codes": [list(each) for each in codes]}, final=True)
            points = [(float(rate), float(distortion)) for rate, distortion in stage.latest().state["codes"]]
        own = Own(chosen.to(run.device), chances[chosen].to(run.device), points)
        return numbers, own

    def _findings(self, numbers: dict[str, Measurement], rows: Sequence[Row]) -> Findings:
        """The findings, with what the first nat saves and the mean distortion between two rates, where known."""
        curve = sorted((each.numbers["rate_nats"].value, each.numbers["distortion_nats"].value) for each in rows)
        count, span, notes = rows[0].numbers["rate_nats"].n, Span(*self.spec.between), []
        saved = first_nat(rows, numbers["no_code_nats"].value)
        if saved is not None:
            numbers = {**numbers, "first_nat_nats": Measurement(saved, "nats", count)}
        if common([curve, [(span.low, 0.0), (span.high, 0.0)]]) == span:
            numbers = {**numbers, "mean_distortion_nats": Measurement(over(along(curve, span)), "nats", count)}
        else:
            notes.append(
                f"no mean distortion between {span.low:g} and {span.high:g} nats, as the curve reaches from "
                f"{curve[0][0]:.3f} to {curve[-1][0]:.3f}; other experiment.weights reach further"
            )
        return Findings(numbers, rows, notes)


def bottleneck_inputs(plan: Plan, run: Run, layers: Sequence[int]) -> Inputs:
    """What bottlenecks are trained on, after the model was packed and the appended token's embedding was trained.

    Raises: RunError if the layers of the prior cannot be read.
    """
    dataset = build_dataset(plan, run)
    prior = prior_of("prior", plan, run, dataset)
    checked(prior, layers)
    run.facts["packing"] = {"prior": pack_frozen(prior)}
    results: dict[str, Any] = {"prior": prior}
    *_, bottleneck = plan.stages
    for stage in bottleneck.after:
        if stage.name == "appended":
            results[stage.name] = trained(Inputs(stage, dataset, results, run))
    return Inputs(bottleneck, dataset, results, run)


def _at_ids(spec: StateCodes) -> StateCodes:
    """The same study at ids, whose stored states hold the model's own distribution."""
    return attrs.evolve(spec, place="last")

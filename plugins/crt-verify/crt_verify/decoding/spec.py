"""Spec of the decoding study, free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs
from attrs.validators import deep_iterable

from crt_run.generations import Generation
from crt_run.training.plans import prior_stages
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.meanings import MEANINGS
from crt_verify.lookup.spec import Lookup, Suffix
from crt_verify.specs import TreeDecoding
from crtcore.kinds import ExperimentSpec, Figure, Meaning, Role
from crtcore.spec import at_least

if TYPE_CHECKING:
    from crtcore.kinds import Plan, StagePlan


FEW = 64
"""Samples of a rehearsal: some are too short to be continued."""


@attrs.frozen(kw_only=True)
class Claim:
    """What the study expects: `decoder` emits more ids a call than `over` at the same budget, paired by sample."""

    decoder: str
    """A decoder of the study; a tree that branches late is such as `traversal-delayed`."""
    over: str
    """The decoder that it is compared with."""
    budget: int = attrs.field(validator=at_least(1))
    """Drafted ids of a call of both."""

    @property
    def name(self) -> str:
        """That of the number, as `gain_rsd-s_over_sd_at_30`."""
        return f"gain_{self.decoder}_over_{self.over}_at_{self.budget}"


@attrs.frozen(kw_only=True)
class Decoding(ExperimentSpec):
    """Train a target and a draft, continue held-out samples with every decoder, and compare with ancestral decoding.

    Decoders of one name and budget (drafted ids that the target verifies in a call) are one point: its best structure
    is chosen on validation samples.
    Source: Jeon et al. (2024), arXiv:2402.14160, section 5.
    """

    implementation: ClassVar[str] = "crt_verify.decoding.experiment:DecodingExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "prior": Role("prior"),
        "draft": Role("prior"),
        "decoder": Role("decoder", many=True),
    }
    stages: ClassVar[Mapping[str, str]] = {"prior": "prior", "draft": "draft"}
    small: ClassVar[Mapping[str, Any]] = {
        "dataset": {"use": "python-source", "length": 160},
        "draft": {"use": "table", "order": 0},
        "decoder": [{"use": "sd", "length": 2}],
    }
    clocked: ClassVar[tuple[str, ...]] = (
        "draft_cost_measured", "ancestral_rate", "mbsu_measured", "token_rate", "token_rate_over_chain",
    )  # fmt: skip
    figures: ClassVar[tuple[Figure, ...]] = (
        Figure(
            across="budget",
            lines="decoder",
            numbers=("block_efficiency", "mbsu", "token_rate", "accuracy"),
            columns=("pair", "temperature"),
        ),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = MEANINGS

    prompts: int = attrs.field(default=64, validator=at_least(2))
    """Test samples that are continued as one batch: all but time is measured on them."""
    timed: int = attrs.field(default=16, validator=at_least(2))
    """The first of these, continued again one at a time to measure time."""
    choices: int = attrs.field(default=8, validator=at_least(1))
    """Validation samples on which a structure is chosen."""
    prompt: int = attrs.field(default=128, validator=at_least(1))
    """Ids of a sample that are the prompt; where a dataset weights its ids, as `prompts` does, those with weight 0 at
    the beginning are, and this has no effect."""
    length: int = attrs.field(default=64, validator=at_least(2))
    """Ids that are generated after the prompt, or fewer if one of `stop` comes."""
    evaluations: int = attrs.field(default=10, validator=at_least(1))
    """Validations of a prior in training; the best weights are kept."""
    stop: tuple[int, ...] = attrs.field(default=(), validator=deep_iterable(at_least(0)))
    """Ids after which a continuation ends."""
    accuracy: Literal["pairs", "rouge2", "bleu"] = "pairs"
    """What a continuation and the true one are compared by: common pairs of neighbouring ids, ROUGE-2 of their words,
    or BLEU of their texts (sentence by sentence, of sacrebleu)."""
    claim: tuple[Claim, ...] = ()
    """What is expected, written down before a run; claims of a run are corrected together by Holm's method."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number type of the target while it decodes; the draft stays in float32, where a small one is fastest."""

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The priors that are not pretrained."""
        return [stage for role in self.stages for stage in prior_stages(plan, role)]

    def generations(self, plan: Plan) -> list[Generation]:
        """The target's ids, as if each came in a call of its own: of all decoders, the ancestral one among them.

        Calls and the draft's own work are left out: how many there are is what a run measures.
        """
        decoders = len(plan.parts["decoder"])
        samples = (self.prompts + self.timed) * (decoders + 1) + self.choices * decoders
        return [Generation("prior", samples, self.prompt, self.length, self.precision)]

    def rehearsed(self) -> tuple[Decoding, int]:
        """Two prompts and four ids, as there may be many decoders."""
        return attrs.evolve(self, prompts=2, timed=2, choices=1, length=4, evaluations=1), FEW

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: data that are not ids, decoders without draft trees."""
        if plan.parts["dataset"].form != "ids":
            yield "dataset.use", f"expected a dataset of ids, got one of {plan.parts['dataset'].form!r} data"
        elif self.accuracy != "pairs" and not plan.parts["dataset"].readable:
            got = plan.document["dataset"]["use"]
            yield "experiment.accuracy", f"expected 'pairs', as {got!r} has ids and no text, got {self.accuracy!r}"
        if self.timed > self.prompts:
            yield "experiment.timed", f"expected at most as many as there are prompts, {self.prompts}, got {self.timed}"
        yield from self._unknown(plan)
        for index, decoder in enumerate(plan.parts["decoder"]):
            if not isinstance(decoder, TreeDecoding | Lookup | Suffix):
                got = plan.document["decoder"][index]["use"]
                expected = "expected a decoder that drafts trees, as 'sd' and 'rsd-s' do, or copies, as 'lookup' does"
                yield f"decoder.{index}.use", f"{expected}, got {got!r}"

    def _unknown(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Claims on decoders that are not there."""
        tables = zip(plan.document["decoder"], plan.parts["decoder"], strict=True)
        known = {
            (entry.name, entry.budget)
            for entry in (Entry.of(*pair) for pair in tables if isinstance(pair[1], TreeDecoding | Lookup | Suffix))
        }
        for index, claim in enumerate(self.claim):
            for field in ("decoder", "over"):
                if (getattr(claim, field), claim.budget) not in known:
                    expected = f"expected a decoder of the study with {claim.budget} drafted ids"
                    yield f"experiment.claim.{index}.{field}", f"{expected}, got {getattr(claim, field)!r}"
            if claim.decoder == claim.over:
                yield f"experiment.claim.{index}.over", f"expected another decoder than {claim.decoder!r}, got the same"

"""The two-stage experiment: what it trains on, what it judges by, what it measures, and that its arms are paired."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch
from torch import Tensor

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.datasets.specs import Digits
from crt_basics.decoders.ancestral import AncestralDecoder
from crt_basics.plugin import crt_components
from crt_basics.priors.table import TablePrior
from crt_laws.toys import LinearPatches, Patches
from crt_run.likelihood import nats
from crt_run.runs import checkpoint
from crt_run.runs.execute import execute
from crt_run.training import sampling
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError, SpecError
from crtcore.hooks import Component
from crtcore.kinds import (
    Batch,
    BottleneckSpec,
    DatasetSpec,
    DecoderSpec,
    Generation,
    MetricSpec,
    Plan,
    Request,
    TokenizerSpec,
)
from crtcore.registry import Registry
from crtcore.spec import Spec

SIZES = {"train": 60, "validation": 20, "test": 30}
SEEN: dict[str, list[Any]] = {}
"""What the parts below were given, by what it is; empty at the start of a test."""


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    SEEN.clear()
    yield
    SEEN.clear()


def see(what: str, value: Any) -> None:
    SEEN.setdefault(what, []).append(value)


@attrs.frozen(kw_only=True)
class Squares(DatasetSpec):
    """4 by 4 images of five levels and three classes, each split from a seed of its own."""

    form: ClassVar[str] = "image"
    validation: int = 1
    test: int = 2

    def build(self) -> SquareImages:
        return SquareImages(self)


class SquareImages:
    sizes, classes, levels, vocabulary, checksum = SIZES, 3, 5, None, "0" * 64

    def __init__(self, spec: Squares) -> None:
        self.splits = {}
        for split, seed in {"train": 0, "validation": spec.validation, "test": spec.test}.items():
            generator = torch.Generator().manual_seed(seed)
            labels = torch.randint(3, (SIZES[split],), generator=generator)
            levels = torch.randint(3, (SIZES[split], 1, 4, 4), generator=generator) + labels[:, None, None, None]
            self.splits[split] = levels / 2 - 1, labels

    def take(self, split: str, indices: Tensor) -> Batch:
        see(f"{split} indices", indices.tolist())
        data, labels = self.splits[split]
        return Batch(data[indices], labels[indices], None)


@attrs.frozen(kw_only=True)
class Greedy(BottleneckSpec):
    """A grid that takes `numbers` random numbers first, as a codebook of another size would."""

    numbers: int = 1

    def build(self) -> Any:
        torch.randn(self.numbers)
        return FSQ(levels=(3, 3)).build()


@attrs.frozen(kw_only=True)
class Watched(TokenizerSpec):
    """The toy tokenizer, its images `gain` times as bright."""

    form: ClassVar[str] = "image"
    gain: float = 1.0

    def build(self, bottleneck: Any, sample: Tensor, vocabulary: int | None = None) -> WatchedPatches:
        return WatchedPatches(self, bottleneck, sample)


class WatchedPatches(LinearPatches):
    def __init__(self, spec: Watched, bottleneck: Any, sample: Tensor) -> None:
        super().__init__(Patches(side=2), bottleneck, sample)
        self.gain = spec.gain
        see("first weights", self.inward.weight.detach().clone())
        see("tokenizer", self)

    def decode(self, ids: Tensor, class_ids: Tensor | None = None) -> Tensor:
        see("decoded conditions", class_ids)
        return self.gain * super().decode(ids, class_ids)


@attrs.frozen(kw_only=True)
class WatchedDraws(DecoderSpec):
    """Ancestral draws."""

    def build(self) -> Any:
        return WatchedAncestral()


class WatchedAncestral(AncestralDecoder):
    def generate(self, target: Any, request: Request, *, draft: Any = None) -> Generation:
        see("target", target)
        see("drawn classes", request.class_ids)
        see("draw seeds", request.row_seeds)
        drawn = super().generate(target, request, draft=draft)
        see("drawn", drawn.ids)
        return drawn


@attrs.frozen(kw_only=True)
class Drafting(DecoderSpec):
    """A decoder that needs a draft."""

    drafts: ClassVar[bool] = True

    def build(self) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Words(TokenizerSpec):
    """A tokenizer of text."""

    form: ClassVar[str] = "text"

    def build(self, bottleneck: Any, sample: Tensor, vocabulary: int | None = None) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Absent(MetricSpec):
    """A metric whose package is not there."""

    def build(self) -> Any:
        raise RunError("absent: expected a package, got none")


PARTS: dict[str, type[Spec]] = {
    "squares": Squares,
    "greedy": Greedy,
    "watched": Watched,
    "draws": WatchedDraws,
    "drafting": Drafting,
    "absent": Absent,
}
REGISTRY = Registry.of(
    [("crtcore", component) for component in crt_components()]
    + [("here", Component(name, spec=spec, summary="", examples=(spec(),))) for name, spec in PARTS.items()]
    + [("here", Component("words", spec=Words, summary="", examples=(Words(),)))]
)


def plan(**tables: Any) -> Plan:
    values = {
        "name": "small",
        "seed": 0,
        "experiment": {"use": "two-stage", "evaluations": 4},
        "dataset": {"use": "squares"},
        "tokenizer": {"use": "watched"},
        "bottleneck": {"use": "greedy"},
        "prior": {"use": "table", "order": 1},
        "decoder": {"use": "draws"},
        "metric": [{"use": "code-length"}, {"use": "frechet", "dimensions": 4}],
        "training": {"tokenizer": {"steps": 6, "batch": 16}, "prior": {"steps": 12, "batch": 16}},
    }
    (point,) = study(Document(values | tables, {}), REGISTRY).points
    return point.plan


def final(runs: Path, stage: str) -> checkpoint.Saved:
    (folder,) = (runs / "stages" / stage).glob("*/final")
    return checkpoint.load(folder)


def same(one: checkpoint.Saved, other: checkpoint.Saved) -> bool:
    return one.tensors.keys() == other.tensors.keys() and all(
        torch.equal(value, other.tensors[name]) for name, value in one.tensors.items()
    )


def test_every_number_is_there_with_its_unit(tmp_path: Path) -> None:
    numbers = execute(plan(), tmp_path)["numbers"]

    assert {name: number["unit"] for name, number in numbers.items()} == {
        "two_part_code_length_bits": "bits",
        "id_code_length_bits": "bits",
        "data_given_ids_bits": "bits",
        "nominal_rate_bits": "bits",
        "unigram_entropy_bits": "bits",
        "reconstruction_frechet": "squared whitened units",
        "generation_frechet": "squared whitened units",
        "frechet_floor": "squared whitened units",
        "reconstruction_mse": "squared levels",
        "codes_used": "codes",
        "code_perplexity": "codes",
        "code_entropy_bits": "bits per id",
        "target_calls_per_id": "calls",
    }
    assert all(math.isfinite(number["value"]) for number in numbers.values())


def test_a_metric_that_cannot_be_had_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="absent: expected a package, got none"):
        execute(plan(metric=[{"use": "absent"}]), tmp_path)

    assert not list(tmp_path.rglob("records.jsonl"))
    assert "tokenizer" not in SEEN


def test_a_second_run_gives_the_same_numbers(tmp_path: Path) -> None:
    assert execute(plan(), tmp_path / "one") == execute(plan(), tmp_path / "two")


def test_a_saved_prior_is_drawn_from_and_scored_as_in_the_run_that_trained_it(tmp_path: Path) -> None:
    trained = execute(plan(), tmp_path)["numbers"]
    (folder,) = (tmp_path / "stages" / "prior").glob("*/final")
    saved = {"use": "saved", "run": plan().name}

    result = execute(plan(prior=saved, training={"tokenizer": {"steps": 6, "batch": 16}}), tmp_path)["numbers"]

    assert result == trained
    assert torch.equal(*SEEN["drawn"])
    assert list((tmp_path / "stages" / "prior").glob("*/final")) == [folder]


def test_nothing_is_trained_or_chosen_on_test_data(tmp_path: Path) -> None:
    one = execute(plan(dataset={"use": "squares", "test": 2}), tmp_path / "one")
    other = execute(plan(dataset={"use": "squares", "test": 3}), tmp_path / "other")

    assert one["numbers"] != other["numbers"]
    for stage in ("tokenizer", "prior"):
        assert same(final(tmp_path / "one", stage), final(tmp_path / "other", stage))


def test_the_prior_kept_is_the_best_of_those_scored_on_validation_data(tmp_path: Path) -> None:
    training = {"tokenizer": {"steps": 6}, "prior": {"steps": 400, "optimizer": {"learning_rate": 0.3}}}

    execute(plan(training=training), tmp_path)

    (records,) = (tmp_path / "stages" / "prior").glob("*/records.jsonl")
    judged = [line["validation"] for line in map(json.loads, records.read_text().splitlines()) if "validation" in line]
    (tokenizer,), (prior,) = SEEN["tokenizer"], SEEN["target"]
    data, labels = SquareImages(Squares()).splits["validation"]
    kept = float(nats(prior, tokenizer.encode(data), labels).detach().mean())
    assert len(judged) == 4
    assert kept == pytest.approx(min(judged), rel=1e-12)
    assert min(judged) < judged[-1]  # it was overfitted in the end, or this shows nothing


def test_a_tokenizer_starts_the_same_whatever_its_bottleneck_draws(tmp_path: Path) -> None:
    for numbers in (1, 1000):
        execute(plan(bottleneck={"use": "greedy", "numbers": numbers}), tmp_path / str(numbers))

    one, other = SEEN["first weights"]
    assert torch.equal(one, other)


def test_arms_of_one_seed_share_batches_and_the_seeds_of_draws(tmp_path: Path) -> None:
    for gain in (1.0, 2.0):
        SEEN.pop("train indices", None)
        execute(plan(tokenizer={"use": "watched", "gain": gain}), tmp_path / str(gain))
        see("order", SEEN["train indices"])

    assert SEEN["order"][0] == SEEN["order"][1]
    assert torch.equal(*SEEN["draw seeds"])
    assert len(SEEN["draw seeds"][0].unique()) == SIZES["test"]


def test_another_seed_has_other_first_values_batches_and_draws(tmp_path: Path) -> None:
    for seed in (0, 1):
        SEEN.pop("train indices", None)
        execute(plan(seed=seed), tmp_path / str(seed))
        see("order", SEEN["train indices"])

    assert not torch.equal(*SEEN["first weights"])
    assert SEEN["order"][0] != SEEN["order"][1]
    assert not set(SEEN["draw seeds"][0].tolist()) & set(SEEN["draw seeds"][1].tolist())


def test_nats_are_the_sum_of_minus_log_p_and_absent_ids_cost_nothing() -> None:
    law = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]], dtype=torch.float64)
    prior = TablePrior(law.log()[:, None])
    ids, class_ids = torch.tensor([[0, 1, 2], [2, -1, -1], [-1, -1, -1]]), torch.tensor([0, 1, 1])

    with torch.no_grad():
        result = nats(prior, ids, class_ids)

    assert result.tolist() == pytest.approx([-math.log(0.5 * 0.25 * 0.25), -math.log(0.7), 0], abs=1e-12)


def test_the_condition_reaches_the_prior_the_decoder_and_the_tokenizer(tmp_path: Path) -> None:
    numbers = execute(plan(), tmp_path)["numbers"]

    (tokenizer,), (prior,), labels = SEEN["tokenizer"], SEEN["target"], SquareImages(Squares()).splits["test"][1]
    ids = tokenizer.encode(SquareImages(Squares()).splits["test"][0])
    output, untold = (float(nats(prior, ids, given).detach().mean()) / math.log(2) for given in (labels, None))
    assert numbers["id_code_length_bits"]["value"] == pytest.approx(output, rel=1e-12)
    assert output != untold
    assert torch.equal(SEEN["drawn classes"][0], labels)
    assert [class_ids.tolist() for class_ids in SEEN["decoded conditions"][-2:]] == [labels.tolist()] * 2


def test_codes_used_are_those_of_held_out_images(tmp_path: Path) -> None:
    number = execute(plan(), tmp_path)["numbers"]["codes_used"]

    (tokenizer,) = SEEN["tokenizer"]
    ids = tokenizer.encode(SquareImages(Squares()).splits["test"][0])
    assert number == {"value": len(set(ids.flatten().tolist())), "unit": "codes", "n": SIZES["test"]}


def test_perplexity_and_entropy_are_of_the_ids_of_held_out_images(tmp_path: Path) -> None:
    numbers = execute(plan(), tmp_path)["numbers"]

    (tokenizer,) = SEEN["tokenizer"]
    ids = tokenizer.encode(SquareImages(Squares()).splits["test"][0]).flatten().tolist()
    shares = [times / len(ids) for times in Counter(ids).values()]
    bits = -sum(share * math.log2(share) for share in shares)
    assert numbers["code_entropy_bits"]["value"] == pytest.approx(bits, rel=1e-12)
    assert numbers["code_perplexity"]["value"] == pytest.approx(2**bits, rel=1e-12)
    assert 1 < numbers["code_perplexity"]["value"] < numbers["codes_used"]["value"]


@pytest.mark.parametrize("gain", [0.5, 100.0])
def test_the_error_is_in_squared_levels_of_images_cut_to_their_range(tmp_path: Path, gain: float) -> None:
    numbers = execute(plan(tokenizer={"use": "watched", "gain": gain}), tmp_path)["numbers"]

    (tokenizer,), data = SEEN["tokenizer"], SquareImages(Squares()).splits["test"][0]
    images = tokenizer.decode(tokenizer.encode(data)).detach()
    levels = (images.clamp(-1, 1).double() + 1) * 2
    error = (levels - (data.double() + 1) * 2).square().mean()
    assert numbers["reconstruction_mse"]["value"] == pytest.approx(float(error), rel=1e-6)
    assert (images.abs().max() > 1) == (gain > 1)


def test_an_ancestral_decoder_calls_the_target_once_for_each_id(tmp_path: Path) -> None:
    number = execute(plan(), tmp_path)["numbers"]["target_calls_per_id"]

    assert number == {"value": 1.0, "unit": "calls", "n": SIZES["test"] * 4}


def test_no_number_depends_on_how_many_samples_are_generated_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = [
        {"use": "code-length"}, {"use": "frechet", "dimensions": 4},
        {"use": "kernel-distance", "dimensions": 4, "subsets": 3},
    ]  # fmt: skip
    small = plan(metric=metric)
    whole = execute(small, tmp_path / "whole")["numbers"]
    drawn = SEEN.pop("drawn")
    monkeypatch.setattr(sampling, "BATCH", 7)

    numbers = execute(small, tmp_path / "sevens")["numbers"]

    assert [len(ids) for ids in SEEN["drawn"]] == [7, 7, 7, 7, 2]
    assert torch.equal(torch.cat(SEEN["drawn"]), torch.cat(drawn))
    kept, again = (
        checkpoint.load(tmp_path / name / small.name / small.hash / "samples").tensors for name in ("whole", "sevens")
    )
    assert all(torch.equal(again[name], data) for name, data in kept.items())
    for name, number in whole.items():
        assert numbers[name].keys() == number.keys()
        for end in {"value", "low", "high"} & number.keys():
            assert numbers[name][end] == pytest.approx(number[end], rel=1e-10), name


def test_the_samples_kept_for_the_report_are_held_out_ones(tmp_path: Path) -> None:
    small = plan()

    execute(small, tmp_path)

    kept = checkpoint.load(tmp_path / small.name / small.hash / "samples").tensors
    assert torch.equal(kept["real"], SquareImages(Squares()).splits["test"][0])
    assert kept["generated"].abs().max() <= 1


def refused(**tables: Any) -> str:
    with pytest.raises(SpecError) as refusal:
        plan(**tables)
    return str(refusal.value)


def test_a_tokenizer_of_another_form_is_refused() -> None:
    assert "tokenizer.use: expected a tokenizer of 'image' data, got one of 'text'" in refused(
        tokenizer={"use": "words"}
    )


def test_a_decoder_without_its_draft_is_refused() -> None:
    assert "draft: expected a table [draft]: this decoder needs a draft prior" in refused(decoder={"use": "drafting"})


def test_a_decoder_with_its_draft_is_taken() -> None:
    training = {stage: {"steps": 1} for stage in ("tokenizer", "prior", "draft")}

    drafted = plan(decoder={"use": "drafting"}, draft={"use": "table"}, training=training)

    assert drafted.parts["draft"] is not None


def test_the_digits_go_all_the_way_through_the_toy_tokenizer(tmp_path: Path) -> None:
    training = {"tokenizer": {"steps": 200, "optimizer": {"learning_rate": 0.01}}, "prior": {"steps": 100}}

    number = execute(plan(dataset={"use": "digits"}, training=training), tmp_path)["numbers"][
        "two_part_code_length_bits"
    ]

    assert number["n"] == Digits().test
    assert number["value"] < 64 * math.log2(17)  # what 64 levels of 17 take when nothing is known


def test_colour_scenes_go_all_the_way_through_the_toy_tokenizer(tmp_path: Path) -> None:
    scenes = {"use": "shapes", "train": 60, "validation": 20, "test": 30, "size": 8}
    metric = [{"use": "code-length"}, {"use": "kernel-distance", "dimensions": 4, "subsets": 5}]
    small = plan(dataset=scenes, metric=metric)

    numbers = execute(small, tmp_path)["numbers"]

    assert numbers["two_part_code_length_bits"]["n"] == 30
    assert numbers["generation_kernel_distance"]["n"] == 30
    kept = checkpoint.load(tmp_path / small.name / small.hash / "samples").tensors
    assert kept["generated"].shape == (30, 3, 8, 8)

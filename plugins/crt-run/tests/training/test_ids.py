"""Ids of a split on disk: made once, gone on with, mapped, tried before use, and refused if they are others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from crt_basics.datasets.specs import Shapes
from crt_basics.plugin import crt_components
from crt_laws.toys import LinearPatches, Patches
from crt_run.runs import checkpoint
from crt_run.runs.execute import execute
from crt_run.runs.run import Run
from crt_run.training import ids as codes
from crt_run.training.ids import Rows, StoredIds, check_round_trip, coded, encoded, spread
from crt_run.training.plans import tokenizer_stage
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import CheckpointError, RunError, Stopped
from crtcore.hooks import Component
from crtcore.kinds import Dataset, Plan
from crtcore.registry import Registry

REGISTRY = Registry.of(
    [
        *(("crtcore", component) for component in crt_components()),
        ("toys", Component("patches", spec=Patches, summary="linear patches", examples=(Patches(),))),
    ]
)
SCENES = {"use": "shapes", "train": 50, "validation": 20, "test": 20, "size": 8}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are kept from the first on, sixteen samples in a file, encoded eight at a time."""
    monkeypatch.setattr(codes, "MANY", 1)
    monkeypatch.setattr(codes, "PART", 16)
    monkeypatch.setattr(codes, "CHUNK", 8)


def plan(**tables: Any) -> Plan:
    values = {
        "name": "small",
        "experiment": {"use": "two-stage", "evaluations": 2},
        "dataset": SCENES,
        "tokenizer": {"use": "patches"},
        "bottleneck": {"use": "fsq", "levels": [3, 3]},
        "prior": {"use": "table", "order": 1},
        "decoder": {"use": "ancestral"},
        "metric": [{"use": "code-length"}],
        "training": {"tokenizer": {"steps": 6, "batch": 16}, "prior": {"steps": 12, "batch": 16}},
    }
    (point,) = study(Document(values | tables, {}), REGISTRY).points
    return point.plan


class Watched(LinearPatches):
    """The toy tokenizer, which counts how many images it encoded."""

    seen = 0
    brighter = 0.0

    def encode(self, data: Tensor, class_ids: Tensor | None = None) -> Tensor:
        self.seen += len(data)
        return super().encode(data, class_ids)

    def decode(self, ids: Tensor, class_ids: Tensor | None = None) -> Tensor:
        return super().decode(ids, class_ids) + self.brighter


@pytest.fixture
def dataset() -> Dataset:
    return Shapes(train=50, validation=20, test=20, size=8).build()


@pytest.fixture
def tokenizer(dataset: Dataset) -> Watched:
    torch.manual_seed(0)
    bottleneck: Any = REGISTRY.find("bottleneck", "fsq").spec(levels=(3, 3))
    return Watched(Patches(), bottleneck.build(), dataset.take("train", torch.arange(1)).data)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(plan(), tmp_path)
    made.folder.mkdir(parents=True)
    return made


Take = Callable[[], StoredIds]


@pytest.fixture
def take(run: Run, dataset: Dataset, tokenizer: Watched) -> Take:
    """The training split's codes, from the disk or onto it."""
    return lambda: coded(run, tokenizer_stage(run.plan), dataset, tokenizer, "train")


def all_of(kept: StoredIds) -> tuple[Tensor, Tensor | None]:
    return kept.at(torch.arange(len(kept.ids)))


def test_kept_ids_are_those_that_are_encoded(run: Run, dataset: Dataset, tokenizer: Watched, take: Take) -> None:
    ids, class_ids = all_of(take())

    wanted, classes = encoded(run, dataset, tokenizer, "train", torch.arange(50))
    assert torch.equal(ids, wanted)
    assert class_ids is not None
    assert classes is not None
    assert torch.equal(class_ids, classes)
    assert ids.dtype == class_ids.dtype == torch.int64


def test_rows_come_in_the_order_they_are_asked_for(take: Take) -> None:
    kept = take()
    chosen = torch.tensor([49, 0, 17, 16, 15, 0, 33])

    ids, _ = kept.at(chosen)

    assert torch.equal(ids, all_of(kept)[0][chosen])


def test_nothing_is_encoded_twice(tokenizer: Watched, take: Take) -> None:
    first, second = all_of(take()), all_of(take())

    assert tokenizer.seen == 50
    assert torch.equal(first[0], second[0])


def test_few_ids_are_not_kept(tokenizer: Watched, take: Take, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(codes, "MANY", 50 * 4 + 1)

    kept = take()

    assert kept.folder is None
    assert isinstance(kept.ids, Tensor)
    assert not (tmp_path / "stages").exists()


@pytest.mark.parametrize(("vocabulary", "dtype"), [(2**15, torch.int16), (2**15 + 1, torch.int32)])
def test_ids_take_two_bytes_where_they_fit(tokenizer: Watched, take: Take, vocabulary: int, dtype: torch.dtype) -> None:
    tokenizer.vocabulary = vocabulary

    kept = take()

    assert kept.folder
    assert checkpoint.load(kept.folder / "from-000000000000").tensors["ids"].dtype == dtype


def test_absent_ids_stay_absent() -> None:
    rows = Rows([torch.tensor([[3, -1], [-1, -1]], dtype=torch.int16)], CPU)

    assert rows[torch.tensor([1, 0])].tolist() == [[-1, -1], [3, -1]]


def test_ids_are_read_from_their_file_and_not_copied(take: Take) -> None:
    """Bytes that are changed in the file after it was opened are seen: they were never read before."""
    kept = take()
    assert kept.folder
    file = kept.folder / "from-000000000000" / "tensors.safetensors"

    with file.open("r+b") as opened:
        opened.seek(-2, 2)
        opened.write(b"\x07\x00")

    ids, class_ids = all_of(kept)
    assert class_ids is not None
    assert 7 in (int(ids[15, -1]), int(class_ids[15]))


def test_a_stopped_extraction_goes_on_with_the_next_file(
    run: Run, dataset: Dataset, tokenizer: Watched, take: Take
) -> None:
    run.stopping = lambda: tokenizer.seen >= 32
    with pytest.raises(Stopped):
        take()
    run.stopping = lambda: False

    ids, _ = all_of(take())

    assert tokenizer.seen == 50
    assert torch.equal(ids, encoded(run, dataset, tokenizer, "train", torch.arange(50))[0])


def test_a_damaged_file_is_named_with_what_to_delete(take: Take) -> None:
    folder = take().folder
    assert folder
    file = folder / "from-000000000016" / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")

    with pytest.raises(CheckpointError) as refused:
        take()

    assert f"{file}: the file was damaged" in str(refused.value)
    assert f"delete the folder {file.parent} and give the same command again" in str(refused.value)


def test_a_file_that_was_deleted_is_made_again(tokenizer: Watched, take: Take) -> None:
    kept = take()
    before = all_of(kept)[0]
    assert kept.folder
    checkpoint.remove(kept.folder / "from-000000000016")

    assert torch.equal(all_of(take())[0], before)
    assert tokenizer.seen == 50 + 16


def test_ids_of_other_data_are_refused(run: Run, tokenizer: Watched, take: Take) -> None:
    folder = take().folder
    other = Shapes(train=50, validation=20, test=20, size=8, seed=1).build()

    with pytest.raises(RunError) as refused:
        coded(run, tokenizer_stage(run.plan), other, tokenizer, "train")

    assert folder
    about = {"stage": folder.name, "split": "train", "samples": 16, "checksum": other.checksum}
    assert f"expected the ids of {about}, got those of" in str(refused.value)
    assert f"delete the folder {folder} and give the same command again" in str(refused.value)


def test_kept_ids_are_tried_and_how_many_is_reported(
    run: Run, dataset: Dataset, tokenizer: Watched, take: Take
) -> None:
    kept = take()

    check_round_trip(run, dataset, tokenizer, "train", kept)

    assert run.facts["round_trip"]["train"] in (
        "32 of 50 samples (64.00%) encoded again, all equal to the stored ids",
        "26 of 50 samples (52.00%) encoded again, all equal to the stored ids",
    )


def test_another_seed_tries_others(run: Run, dataset: Dataset, tokenizer: Watched, take: Take, tmp_path: Path) -> None:
    kept = take()
    taken: list[list[int]] = []
    take_ = dataset.take

    class Seen:
        sizes, checksum = dataset.sizes, dataset.checksum

        def take(self, split: str, indices: Tensor) -> Any:
            taken[-1].append(int(indices[0]))
            return take_(split, indices)

    for seed in range(4):
        taken.append([])
        run.plan = plan(seed=seed)
        check_round_trip(run, Seen(), tokenizer, "train", kept)  # type: ignore[arg-type]

    assert len({tuple(sorted(starts)) for starts in taken}) > 1


def test_ids_of_another_tokenizer_are_refused(run: Run, dataset: Dataset, tokenizer: Watched, take: Take) -> None:
    kept = take()
    with torch.no_grad():
        tokenizer.inward.weight.neg_()

    with pytest.raises(RunError) as refused:
        check_round_trip(run, dataset, tokenizer, "train", kept)

    assert "expected the ids that encoding gives again, got " in str(refused.value)
    assert f"delete the folder {kept.folder} and give the same command again" in str(refused.value)


def test_ids_that_decode_to_something_else_are_refused(
    run: Run, dataset: Dataset, tokenizer: Watched, take: Take
) -> None:
    kept = take()
    tokenizer.brighter = 0.01

    with pytest.raises(
        RunError, match=r"expected ids that decode to the tokenizer's reconstruction .* an error of 0\.01"
    ):
        check_round_trip(run, dataset, tokenizer, "train", kept)


def test_a_run_is_the_same_with_ids_on_disk_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = execute(plan(), tmp_path / "kept")
    monkeypatch.setattr(codes, "MANY", 10**9)

    assert execute(plan(), tmp_path / "not") == kept
    (about,) = (tmp_path / "kept" / "small").glob("*/run.json")
    assert "encoded again, all equal to the stored ids" in json.loads(about.read_text())["round_trip"]["train"]
    assert (tmp_path / "kept" / "stages" / "tokenizer-ids-train").is_dir()
    assert not (tmp_path / "not" / "stages" / "tokenizer-ids-train").exists()


def test_priors_over_one_tokenizer_share_its_ids(tmp_path: Path) -> None:
    for order in (0, 1):
        execute(plan(prior={"use": "table", "order": order}), tmp_path)

    assert len(list((tmp_path / "stages" / "tokenizer-ids-train").glob("*/final"))) == 1


def test_some_samples_are_scored_where_that_is_asked(tmp_path: Path) -> None:
    some = plan(experiment={"use": "two-stage", "evaluations": 2, "samples": 8})

    numbers = execute(some, tmp_path)["numbers"]

    assert {number["n"] for name, number in numbers.items() if name.endswith("_bits")} == {8}


def test_how_many_samples_are_scored_trains_nothing_anew(tmp_path: Path) -> None:
    for samples in (0, 8):
        execute(plan(experiment={"use": "two-stage", "samples": samples}), tmp_path)

    assert len(list((tmp_path / "stages" / "prior").glob("*/final"))) == 1


@pytest.mark.parametrize(
    ("size", "count", "places"), [(5, 0, [0, 1, 2, 3, 4]), (5, 9, [0, 1, 2, 3, 4]), (10, 4, [0, 2, 5, 7])]
)
def test_places_are_evenly_spaced(size: int, count: int, places: list[int]) -> None:
    assert spread(size, count).tolist() == places

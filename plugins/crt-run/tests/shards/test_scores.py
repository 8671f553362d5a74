"""Samples in shards, scored by metrics that are merged: the numbers of one process, and of the run itself."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from click.testing import CliRunner

from crt_laws.toy_studies import Here
from crt_run.cli.score import score
from crt_run.loading.loaded import LoadedRun
from crt_run.shards import Draws, sample_shards, score_shards, scores
from crt_run.shards.store import Span
from crtcore.errors import RunError
from crtcore.kinds import Done, ExecutorSpec, Json, Measurement, Work


@attrs.frozen(kw_only=True)
class Backwards(ExecutorSpec):
    """Works backwards in this process, on at most `most` pieces; the others have no answer."""

    most: int = 99
    places: list[int] = attrs.field(factory=list)

    def build(self) -> Backwards:
        """The executor."""
        return self

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Does some pieces."""
        for place in reversed(range(len(pieces))):
            if len(self.places) < self.most:
                self.places.append(pieces[place]["first"])
                yield Done(place, work(pieces[place], lambda event: None), None)
            else:
                yield Done(place, None, "its process ended with status 7")


@pytest.fixture
def drawn(run: LoadedRun, tmp_path: Path) -> Draws:
    """What the run drew for its own evaluation, in five shards."""
    dataset = run.plan.parts["dataset"].build()
    classes = dataset.take("test", torch.arange(40) * dataset.sizes["test"] // 40).class_ids
    return sample_shards(run, tmp_path / "out", 40, class_ids=classes, shard=9, executor=Here())


def near(numbers: dict[str, Measurement], expected: dict[str, Measurement]) -> bool:
    """Whether all numbers agree but for rounding."""
    for name, number in numbers.items():
        other = expected[name]
        assert (number.unit, number.n) == (other.unit, other.n)
        for one, two in zip(number[:1] + number[3:], other[:1] + other[3:], strict=True):
            assert (one is None) == (two is None)
            assert one is None or two is None or math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-6), name
    return True


@pytest.mark.parametrize("piece", [1, 20, 2048])
def test_scores_in_pieces_are_those_of_the_run(
    run: LoadedRun, drawn: Draws, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "PIECE", piece)
    executor = Backwards()

    scored = score_shards(run, drawn.folder, executor=executor)

    assert executor.places == {1: [36, 27, 18, 9, 0], 20: [27, 0], 2048: [0]}[piece]
    assert set(scored.numbers) == {
        "two_part_code_length_bits", "id_code_length_bits", "data_given_ids_bits", "nominal_rate_bits",
        "unigram_entropy_bits", "reconstruction_frechet", "generation_frechet", "frechet_floor",
    }  # fmt: skip
    assert near(scored.numbers, run.results)
    assert scored.alike == 40
    assert not scored.file.with_suffix("").exists()


def test_scoring_goes_on_where_it_stopped(run: LoadedRun, drawn: Draws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "PIECE", 9)
    with pytest.raises(RunError, match="its process ended with status 7; 13 of 40 samples are there"):
        score_shards(run, drawn.folder, executor=Backwards(most=2))
    executor, again = Backwards(), Backwards()

    scored = score_shards(run, drawn.folder, executor=executor)

    assert executor.places == [18, 9, 0]
    assert near(scored.numbers, run.results)
    assert score_shards(run, drawn.folder, executor=again) == scored
    assert again.places == []


def test_other_metrics_and_splits_are_other_scores(run: LoadedRun, drawn: Draws) -> None:
    table = {"use": "frechet", "dimensions": 3}

    one = score_shards(run, drawn.folder, metrics=[table], executor=Here())
    other = score_shards(run, drawn.folder, metrics=[table], split="validation", executor=Here())

    assert set(one.numbers) == {"reconstruction_frechet", "generation_frechet", "frechet_floor"}
    assert one.numbers["generation_frechet"] != other.numbers["generation_frechet"]
    assert one.file != other.file


def test_a_damaged_shard_is_named_and_nothing_else_is_lost(run: LoadedRun, drawn: Draws) -> None:
    path = drawn.folder / "shard-000000018.safetensors"
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))

    with pytest.raises(RunError, match=rf"{path.name}: the shard was damaged, .*; give the command that drew it again"):
        score_shards(run, drawn.folder, executor=Here())
    path.write_bytes(raw)

    assert near(score_shards(run, drawn.folder, executor=Here()).numbers, run.results)


def test_a_shard_or_manifest_that_is_lost_is_drawn_again_as_the_message_says(run: LoadedRun, drawn: Draws) -> None:
    path, manifest = drawn.folder / "shard-000000018.safetensors", drawn.folder / "manifest.json"
    raw, kept = path.read_bytes(), manifest.read_bytes()
    path.unlink()

    with pytest.raises(RunError, match=rf"{path.name}: expected a shard, got no file; give the command that drew it"):
        score_shards(run, drawn.folder, executor=Here())
    path.write_bytes(raw)
    manifest.write_bytes(kept[:50])
    with pytest.raises(RunError, match=r"; give the command that drew the samples again, which writes it anew$"):
        Draws.read(drawn.folder)


def test_damaged_scores_are_computed_again(run: LoadedRun, drawn: Draws) -> None:
    first = score_shards(run, drawn.folder, executor=Here())
    whole = first.file.read_bytes()
    first.file.write_bytes(whole[:40])

    again = score_shards(run, drawn.folder, executor=Here())

    assert again.numbers == first.numbers
    assert first.file.read_bytes() == whole


def test_what_cannot_be_scored_is_one_message(run: LoadedRun, drawn: Draws, tmp_path: Path) -> None:
    def refused(message: str, **settings: Any) -> None:
        with pytest.raises(RunError, match=message):
            score_shards(run, settings.pop("folder", drawn.folder), executor=Here(), **settings)

    refused("frechet: expected at least 50 held-out samples", metrics=[{"use": "frechet", "dimensions": 49}])
    refused("expected a split, one of .*train.*, got 'tests'", split="tests")
    refused("expected a folder that `crt sample --out FOLDER` has finished", folder=tmp_path)
    many = sample_shards(run, tmp_path / "many", 500, executor=Here())
    refused(
        r"expected at most 400 samples, as the split 'test' of .* has, got 500; draw fewer, .* \(.*train 1,197",
        folder=many.folder,
    )


def test_the_command_prints_and_writes_scores(run: LoadedRun, drawn: Draws) -> None:
    def crt_score(*words: str) -> Any:
        return CliRunner().invoke(score, [str(drawn.folder), "--on", "here", *words])

    ended = crt_score("--json")

    assert ended.exit_code == 0, ended.output
    about = json.loads(ended.stdout)
    assert about["numbers"]["generation_frechet"]["value"] == pytest.approx(run.results["generation_frechet"].value)
    assert json.loads(Path(about["file"]).read_text())["numbers"] == about["numbers"]
    table = crt_score("--metric", "frechet(dimensions=3)")
    assert "generation frechet ↓" in table.stdout
    assert "code length" not in table.stdout
    wrong = crt_score("--metric", "frechet(dimension=3)")
    assert wrong.exit_code == 2
    assert "--metric: metric.0.dimension: unknown key; did you mean 'dimensions'?" in wrong.stderr


def test_pieces_are_whole_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "PIECE", 10)
    shards = [Span(first, 4) for first in range(0, 20, 4)] + [Span(20, 1)]

    assert list(scores.pieces(shards)) == [Span(0, 12), Span(12, 9)]

"""Samples in shards: the same ones however they are split, resumed, damaged or interrupted."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from click.testing import CliRunner

from crt_laws.toy_studies import Here
from crt_run.cli.sample import sample
from crt_run.loading import drawing
from crt_run.loading.loaded import LoadedRun, load_run
from crt_run.runs.execute import execute
from crt_run.shards import Draws, draws, sample_shards
from crtcore.errors import RunError
from crtcore.kinds import Done, ExecutorSpec, Json, Plan, Work


@attrs.frozen(kw_only=True)
class Lossy(ExecutorSpec):
    """Works backwards; pieces at the places `lost` have no answer, each the first time alone."""

    lost: tuple[int, ...] = ()
    rounds: list[int] = attrs.field(factory=list)

    def build(self) -> Lossy:
        """The executor."""
        return self

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Does the pieces that are not lost."""
        self.rounds.append(len(pieces))
        for place in reversed(range(len(pieces))):
            if place in self.lost and len(self.rounds) == 1:
                yield Done(place, None, "its process ended with status 7")
            else:
                yield Done(place, work(pieces[place], lambda event: None), None)


Content = Callable[[Path], dict[str, bytes]]


def whole(drawn: Draws, name: str) -> torch.Tensor:
    return torch.cat([drawn.shard(index)[name] for index in range(len(drawn.spans))])


@pytest.mark.parametrize(("shard", "batch"), [(7, 256), (16, 5), (40, 256), (41, 3)])
def test_samples_do_not_depend_on_shards_batches_or_order(
    run: LoadedRun, tmp_path: Path, shard: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run.sample(40, seed=3)
    monkeypatch.setattr(drawing, "BATCH", batch)

    drawn = sample_shards(run, tmp_path / "out", 40, seed=3, shard=shard, executor=Lossy())

    assert expected.class_ids is not None
    assert torch.equal(whole(drawn, "ids"), expected.ids)
    assert torch.equal(whole(drawn, "class_ids"), expected.class_ids)
    torch.testing.assert_close(whole(drawn, "data"), expected.data)
    assert drawn.samples == 40
    assert drawn.manifest["ids"] == expected.ids.numel()
    assert drawn.manifest["target_calls"] == int(expected.target_calls.sum())


def test_classes_of_a_list_go_with_their_samples(run: LoadedRun, tmp_path: Path) -> None:
    classes = [index * 3 % 10 for index in range(20)]

    drawn = sample_shards(run, tmp_path / "out", 20, class_ids=classes, shard=6, executor=Here())

    assert whole(drawn, "class_ids").tolist() == classes
    assert torch.equal(whole(drawn, "ids"), run.sample(20, class_ids=classes).ids)


def test_a_draw_goes_on_where_it_stopped_with_the_same_bytes(run: LoadedRun, tmp_path: Path, content: Content) -> None:
    calls: list[tuple[int, int]] = []

    class Enough(Exception):
        pass

    def stop(event: Json) -> None:
        calls.append((event["there"], event["samples"]))
        if event["there"] >= 18:
            raise Enough

    expected = content(sample_shards(run, tmp_path / "whole", 40, shard=9, executor=Here()).folder)
    with pytest.raises(Enough):
        sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here(), report=stop)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.safetensors")}
    with pytest.raises(RunError, match=r"expected a folder that `crt sample --out FOLDER` has finished"):
        Draws.read(tmp_path / "out")

    drawn = sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here())

    assert calls == [(0, 40), (9, 40), (18, 40)]
    assert len(before) == 2
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert content(drawn.folder) == expected
    assert Draws.read(tmp_path / "out").samples == 40


def test_a_finished_draw_is_not_drawn_again(run: LoadedRun, tmp_path: Path, content: Content) -> None:
    sample_shards(run, tmp_path / "out", 20, shard=9, executor=Here())
    before = content(tmp_path / "out")
    lossy = Lossy()

    sample_shards(run, tmp_path / "out", 20, shard=9, executor=lossy)

    assert lossy.rounds == []
    assert content(tmp_path / "out") == before


def test_a_lost_worker_costs_its_own_shard_which_is_tried_again(run: LoadedRun, tmp_path: Path) -> None:
    lossy = Lossy(lost=(0, 2))

    drawn = sample_shards(run, tmp_path / "out", 40, shard=9, executor=lossy)

    assert lossy.rounds == [5, 2]
    assert torch.equal(whole(drawn, "ids"), run.sample(40).ids)


def test_workers_that_are_lost_again_and_again_end_it(run: LoadedRun, tmp_path: Path) -> None:
    class Losing(Lossy):
        def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
            yield Done(0, None, "out of memory")
            yield from (Done(place, work(pieces[place], lambda event: None), None) for place in range(1, len(pieces)))

    with pytest.raises(RunError, match=r"out: out of memory; 31 of 40 samples are there, and the same command goes on"):
        sample_shards(run, tmp_path / "out", 40, shard=9, executor=Losing())


@pytest.mark.parametrize("name", ["shard-000000009.safetensors", "manifest.json", "missing"])
def test_a_damaged_file_is_named_and_made_again(run: LoadedRun, tmp_path: Path, content: Content, name: str) -> None:
    drawn = sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here())
    before, events = content(drawn.folder), list[Json]()
    path = drawn.folder / ("shard-000000009.safetensors" if name == "missing" else name)
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)
    if name == "missing":
        path.unlink()
    with pytest.raises(RunError, match=path.name):
        Draws.read(drawn.folder).shard(1)

    sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here(), report=events.append)

    assert [each["text"] for each in events if each["event"] == "note"] == [
        f"{drawn.folder}: damaged or missing, made again: {path.name}"
    ]
    assert content(drawn.folder) == before


@pytest.mark.parametrize(
    ("change", "named"),
    [({"count": 41}, "samples 40, now 41"), ({"seed": 1}, "seed 0, now 1"), ({"shard": 8}, "shard 9, now 8"),
     ({"class_ids": [3] * 40}, "class_ids None, now 3")],
    ids=lambda each: "",
)  # fmt: skip
def test_a_folder_of_other_settings_is_refused(
    run: LoadedRun, tmp_path: Path, content: Content, change: dict[str, Any], named: str
) -> None:
    sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here())
    before = content(tmp_path / "out")
    settings = {"count": 40, "shard": 9} | change
    with pytest.raises(RunError, match=f"the folder was begun with other settings: {named}; give those settings"):
        sample_shards(run, tmp_path / "out", executor=Here(), **settings)

    assert content(tmp_path / "out") == before


def test_samples_of_other_weights_do_not_mix(
    run: LoadedRun, toy_plan: Callable[..., Plan], runs: Path, tmp_path: Path
) -> None:
    sample_shards(run, tmp_path / "out", 10, executor=Here())
    execute(toy_plan("name='other'", "training.tokenizer.steps=2", "training.prior.steps=3"), runs)

    with pytest.raises(RunError, match=r"begun with other settings: hash .*; run 'toy', now 'other'; weights"):
        sample_shards(load_run("other", runs), tmp_path / "out", 10, executor=Here())


def test_samples_of_other_code_do_not_mix(run: LoadedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "code_of", lambda plan: {"crt-run": "0.1.0", "crtcore": "0.1.0"})
    sample_shards(run, tmp_path / "out", 10, executor=Here())
    monkeypatch.setattr(draws, "code_of", lambda plan: {"crt-run": "0.2.0", "crtcore": "0.1.0"})

    with pytest.raises(RunError, match=r"other settings: code\.crt-run '0\.1\.0', now '0\.2\.0'; give those"):
        sample_shards(run, tmp_path / "out", 10, executor=Here())


def test_a_folder_with_something_else_is_left_alone(run: LoadedRun, tmp_path: Path, content: Content) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")
    (tmp_path / "file").touch()

    with pytest.raises(RunError, match=r"expected an empty folder, or .*, got one with letter\.txt; name another"):
        sample_shards(run, tmp_path / "out", 10, executor=Here())
    with pytest.raises(RunError, match="file: expected a folder, got a file"):
        sample_shards(run, tmp_path / "file", 10, executor=Here())

    assert list(content(tmp_path / "out")) == ["letter.txt"]


def test_no_samples_are_refused(run: LoadedRun, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected at least 1 sample to draw, got 0"):
        sample_shards(run, tmp_path / "out", 0, executor=Here())
    with pytest.raises(RunError, match="expected at least 1 sample in a shard, got 0"):
        sample_shards(run, tmp_path / "out", 3, shard=0, executor=Here())

    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_message_and_finished_shards_are_kept(
    run: LoadedRun, tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = content(sample_shards(run, tmp_path / "whole", 40, shard=9, executor=Here()).folder)
    sync, left = os.fsync, iter(range(6))  # the settings, then two shards with their records, then half of one

    def full(handle: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError) as error:
            sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here())
    kept = sorted(path.name for path in (tmp_path / "out").iterdir())
    sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here())

    assert str(error.value).startswith(
        f"cannot write {tmp_path / 'out'}/shard-000000018.json: no space left; free some"
    )
    assert [name for name in kept if name.endswith(".json")] == [
        "about.json", "shard-000000000.json", "shard-000000009.json",
    ]  # fmt: skip
    assert not [name for name in kept if name.startswith(".tmp-")]
    assert content(tmp_path / "out") == expected


def test_a_worker_that_is_asked_to_stop_stops_between_batches(
    run: LoadedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "BATCH", 4)
    generate, batches = type(run.decoder).generate, list[int]()

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        batches.append(1)
        if len(batches) == 4:  # the first of the second shard
            signal.raise_signal(signal.SIGTERM)
        return generate(self, *args, **kwargs)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(type(run.decoder), "generate", interrupted)
        with pytest.raises(RunError, match="a worker was stopped; 9 of 40 samples are there, and the same command"):
            sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here())

    assert len(batches) == 4
    assert signal.getsignal(signal.SIGTERM) is before
    drawn = sample_shards(run, tmp_path / "out", 40, shard=9, executor=Here())
    assert torch.equal(whole(drawn, "ids"), run.sample(40).ids)


def test_the_command_draws_into_a_folder(run: LoadedRun, tmp_path: Path) -> None:
    def crt_sample(*words: str) -> Any:
        return CliRunner().invoke(sample, [str(run.folder), "--out", str(tmp_path / "out"), *words])

    ended = crt_sample("--count", "20", "--shard", "8", "--on", "here", "--json")

    assert ended.exit_code == 0, ended.output
    about = json.loads(ended.stdout)
    assert (about["folder"], about["shards"], about["samples"]) == (str(tmp_path / "out"), 3, 20)
    assert ended.stderr.splitlines()[-1] == "20 of 20 samples drawn"
    again = crt_sample("--count", "20", "--shard", "8", "--on", "here")
    assert again.stdout.startswith(f"{tmp_path / 'out'} (3 shards): 20 samples of toy, seed 0\n")
    assert crt_sample("--count", "21", "--on", "here").exit_code == 1
    wrong = crt_sample("--on", "her")
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("--on: executor.use: no executor is called 'her'; did you mean 'here'?")
    assert "NAME(KEY=VALUE, ...), got 'here(a'" in crt_sample("--on", "here(a").stderr
    assert "--on: executor.a: unknown key" in crt_sample("--on", "here(a=[1, 2], b=c)").stderr
    single = CliRunner().invoke(sample, [str(run.folder), "--out", "a.png", "--on", "here"])
    assert single.exit_code == 2
    assert "expected --out FOLDER" in single.stderr


def test_a_run_that_changed_is_refused_by_its_workers(run: LoadedRun) -> None:
    with pytest.raises(RunError, match="the weights of the run have changed since this was begun"):
        draws.loaded(str(run.folder), "others")

"""Checkpoints: what is written is what is loaded, and nothing else is."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_run.runs import checkpoint, files
from crtcore.errors import CheckpointError, RunError

FILES = ("tensors.safetensors", "state.json", "manifest.json", "COMMITTED")
CALLS = 18
"""What the writer asks of the disk: a folder; open, write and fsync of 4 files; open and fsync of the folder; the
rename; open and fsync of the parent."""
RENAME = 15
"""The place of the rename among them."""
DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip


def some(seed: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return {"weights": torch.full((3, 4), seed / 3), "step": torch.tensor(seed)}, {"step": seed, "score": None}


def same(one: Tensor, other: Tensor) -> bool:
    """Alike to the last bit, whatever the values."""
    return (one.dtype, one.shape) == (other.dtype, other.shape) and bool(
        (one.contiguous().flatten().view(torch.uint8) == other.flatten().view(torch.uint8)).all()
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3)], ids=str)
def test_a_tensor_comes_back_bit_for_bit(tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    bits = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(1)).to(dtype)

    checkpoint.save(tmp_path / "c", {"it": bits}, {})

    assert same(checkpoint.load(tmp_path / "c").tensors["it"], bits)
    assert same(checkpoint.mapped(tmp_path / "c").tensors["it"], bits)


def test_not_a_number_keeps_its_bits(tmp_path: Path) -> None:
    odd = torch.tensor([0x7FC01234, -1, 0x7F800000, -(2**31)], dtype=torch.int32).view(torch.float32)

    checkpoint.save(tmp_path / "c", {"odd": odd}, {})

    assert same(checkpoint.load(tmp_path / "c").tensors["odd"], odd)


def test_a_checkpoint_without_tensors_keeps_its_state(tmp_path: Path) -> None:
    state = {"step": 3, "score": 1 / 3, "text": "naïve", "none": None}

    checkpoint.save(tmp_path / "c", {}, state)

    assert checkpoint.load(tmp_path / "c") == ({}, state)


def test_tensors_that_share_memory_and_views_are_saved_whole(tmp_path: Path) -> None:
    tied = torch.arange(12.0).reshape(3, 4)

    checkpoint.save(tmp_path / "c", {"a": tied, "b": tied, "turned": tied.T, "part": tied[1:, ::2]}, {})

    loaded = checkpoint.load(tmp_path / "c").tensors
    assert [same(loaded[name], value) for name, value in (("a", tied), ("b", tied), ("turned", tied.T.contiguous()))]
    assert loaded["part"].tolist() == [[4.0, 6.0], [8.0, 10.0]]


def test_a_checkpoint_is_not_written_over(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", *some(1))

    with pytest.raises(RunError, match="cannot write"):
        checkpoint.save(tmp_path / "c", *some(2))

    assert checkpoint.load(tmp_path / "c").state["step"] == 1


def test_a_folder_that_lost_its_mark_is_written_again(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", *some(1))
    (tmp_path / "c" / "COMMITTED").unlink()

    checkpoint.save(tmp_path / "c", *some(2))

    assert checkpoint.load(tmp_path / "c").state["step"] == 2


# Damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a checkpoint."""
    folder = tmp_path_factory.mktemp("whole") / "c"
    checkpoint.save(folder, *some(7))
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of another."""
    folder = tmp_path_factory.mktemp("other") / "c"
    checkpoint.save(folder, *some(8))
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def lay(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, bytes]], Path]:
    """Writes files into the folder of a checkpoint."""
    folder = tmp_path_factory.mktemp("damaged") / "step-000000007"

    def write(files: dict[str, bytes]) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder

    return write


def refused(folder: Path, *reads: Callable[[Path], checkpoint.Saved]) -> str:
    """The file that the refusal names, having seen that it says what to do: by `reads`, or else in either way."""
    named = set()
    for read in reads or (checkpoint.load, checkpoint.mapped):
        with pytest.raises(CheckpointError) as caught:
            read(folder)
        path, _, rest = str(caught.value).partition(": ")
        assert f"delete the folder {folder} and give the same command again" in rest
        assert "\n" not in rest
        named.add(Path(path).name)
    (name,) = named
    return name


def sealed(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files with a manifest and a mark that fit them: what only a hand, no accident, can do."""
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in FILES[:2]}
    return marked({**files, "manifest.json": json.dumps(hashes).encode()})


def marked(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files with a mark that fits their manifest."""
    return {**files, "COMMITTED": hashlib.sha256(files["manifest.json"]).hexdigest().encode()}


NAMED = {"COMMITTED": "manifest.json"}
"""If a mark holds another hash, the error names the file that the mark is about."""


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=64)
@given(data=st.data())
def test_a_flipped_bit_is_refused(whole: Any, lay: Any, name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 8 * len(whole[name]) - 1))
    damaged = bytearray(whole[name])
    damaged[place // 8] ^= 1 << place % 8

    folder = lay({**whole, name: bytes(damaged)})

    assert refused(folder) == NAMED.get(name, name)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=32)
@given(data=st.data())
def test_a_file_cut_short_is_refused(whole: Any, lay: Any, name: str, data: st.DataObject) -> None:
    left = data.draw(st.integers(0, len(whole[name]) - 1))

    folder = lay({**whole, name: whole[name][:left]})

    assert refused(folder) == NAMED.get(name, name)


@pytest.mark.parametrize("name", FILES)
@given(more=st.binary(min_size=1, max_size=9))
def test_a_file_that_grew_is_refused(whole: Any, lay: Any, name: str, more: bytes) -> None:
    folder = lay({**whole, name: whole[name] + more})

    assert refused(folder) == NAMED.get(name, name)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(whole: Any, lay: Any, name: str) -> None:
    folder = lay({other: content for other, content in whole.items() if other != name})

    assert refused(folder) == name


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_a_file_s_place_is_refused(whole: Any, lay: Any, name: str) -> None:
    folder = lay({other: content for other, content in whole.items() if other != name})
    (folder / name).mkdir()

    assert refused(folder) == name


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_checkpoint_is_refused(whole: Any, other: Any, lay: Any, name: str) -> None:
    folder = lay({**whole, name: other[name]})

    assert refused(folder) == NAMED.get(name, name)


@pytest.mark.parametrize("one", FILES)
@pytest.mark.parametrize("two", FILES)
def test_two_files_in_each_other_s_place_are_refused(whole: Any, lay: Any, one: str, two: str) -> None:
    files = {**whole, one: whole[two], two: whole[one]} if one != two else {**whole, one: b""}

    folder = lay(files)

    assert refused(folder) in FILES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FILES) | st.text(), inner, max_size=3),
    max_leaves=6,
)


NO_OBJECT = JSON.filter(lambda values: not isinstance(values, dict)).map(lambda values: json.dumps(values).encode())


@settings(max_examples=200)
@given(manifest=st.binary(max_size=40) | JSON.map(lambda values: json.dumps(values).encode()))
@example(manifest=b"{}")
@example(manifest=b"[" * 100_000)
@example(manifest=b'{"tensors.safetensors": 3, "state.json": null}')
@example(manifest=b"\xff\xfe")
def test_a_manifest_that_says_nothing_is_refused_though_its_mark_fits(whole: Any, lay: Any, manifest: bytes) -> None:
    folder = lay(marked({**whole, "manifest.json": manifest}))

    assert refused(folder) in FILES[:3]


@settings(max_examples=200)
@given(
    state=st.binary(max_size=40)
    | JSON.filter(lambda values: not isinstance(values, dict)).map(json.dumps).map(str.encode)
)
@example(state=b"[" * 100_000)
def test_a_state_that_is_no_object_is_refused_though_all_hashes_fit(whole: Any, lay: Any, state: bytes) -> None:
    folder = lay(sealed({**whole, "state.json": state}))

    assert refused(folder) == "state.json"


def header(values: Any) -> bytes:
    text = json.dumps(values).encode()
    return len(text).to_bytes(8, "little") + text


@settings(max_examples=200)
@given(raw=st.binary(max_size=40) | JSON.filter(lambda values: values != {}).map(header))
@example(raw=(2**63).to_bytes(8, "little") + b"{}")
@example(raw=header({"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}) + b"\0\0")
@example(raw=header({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}) + b"\0\0\0\0")
@example(raw=header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + b"\0\0\0")
def test_tensors_that_are_none_are_refused_though_all_hashes_fit(whole: Any, lay: Any, raw: bytes) -> None:
    folder = lay(sealed({**whole, "tensors.safetensors": raw}))

    assert refused(folder, checkpoint.load) == "tensors.safetensors"


@settings(max_examples=100)
@given(raw=st.binary(max_size=40))
@example(raw=(2**63).to_bytes(8, "little") + b"{}")
@example(raw=header({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}) + b"\0\0\0\0")
@example(raw=header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + b"\0\0\0")
def test_tensors_that_are_none_are_not_mapped_either(whole: Any, lay: Any, raw: bytes) -> None:
    folder = lay(sealed({**whole, "tensors.safetensors": raw}))

    assert refused(folder, checkpoint.mapped) == "tensors.safetensors"


def test_no_checkpoint_at_all_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == "COMMITTED"


# A disk that refuses, and a process that dies


class Killed(BaseException):
    """The process is gone: nothing more of it runs."""


class Disk:
    """Counts what is asked of the disk, and fails at one call: before it, or once it is done."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, at: int, failure: BaseException, *, after: bool = False
    ) -> None:
        self.at = at
        self.failure = failure
        self.after = after
        self.calls = 0
        for name in ("mkdir", "open", "fsync", "rename", "replace"):
            monkeypatch.setattr(os, name, self.shim(getattr(os, name)))
        monkeypatch.setattr(io, "open", self.opened(io.open))
        monkeypatch.setattr(shutil, "rmtree", self.shim(shutil.rmtree, counted=False))
        monkeypatch.setattr(os, "unlink", self.shim(os.unlink, counted=False))

    def shim(self, call: Callable[..., Any], *, counted: bool = True) -> Callable[..., Any]:
        def shimmed(*args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is not None or (not counted and not self.dead):
                return call(*args, **kwargs)
            dead, turn = self.dead, self.calls == self.at
            self.calls += 1
            done = None if dead or (turn and not self.after) else call(*args, **kwargs)
            if dead or turn:
                raise self.failure
            return done

        return shimmed

    def opened(self, call: Callable[..., Any]) -> Callable[..., Any]:
        shimmed = self.shim(call)

        def writer(*args: Any, **kwargs: Any) -> Any:
            if "w" not in (args[1] if len(args) > 1 else kwargs.get("mode", "r")):
                return call(*args, **kwargs)
            return File(shimmed(*args, **kwargs), self)

        return writer

    @property
    def dead(self) -> bool:
        """True after the call that killed the process."""
        return isinstance(self.failure, Killed) and self.calls > self.at


class File:
    """A file whose every write is one call; one that fails has written half."""

    def __init__(self, inner: Any, disk: Disk) -> None:
        self.inner = inner
        self.write = disk.shim(inner.write)
        self.disk = disk

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self.inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@contextmanager
def failing(at: int, failure: BaseException, *, after: bool = False) -> Iterator[Disk]:
    """The disk, failing at one call."""
    with pytest.MonkeyPatch.context() as patch:
        yield Disk(patch, at, failure, after=after)


def asides(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".tmp-")]


def test_the_writer_asks_of_the_disk_what_these_tests_count(tmp_path: Path) -> None:
    with failing(10**9, OSError()) as disk:
        checkpoint.save(tmp_path / "c", *some(1))

    assert disk.calls == CALLS


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", range(CALLS))
def test_a_disk_that_refuses_is_reported_and_nothing_is_lost(tmp_path: Path, number: int, call: int) -> None:
    checkpoint.save(tmp_path / "step-1", *some(1))

    with failing(call, OSError(number, os.strerror(number))), pytest.raises(RunError) as caught:
        checkpoint.save(tmp_path / "step-2", *some(2))

    reason = "no space left" if number == errno.ENOSPC else os.strerror(number)
    assert str(caught.value).startswith(f"cannot write {tmp_path / 'step-2'}: {reason}; ")
    assert "give the same command again" in str(caught.value)
    assert checkpoint.load(tmp_path / "step-1").state["step"] == 1
    assert checkpoint.committed(tmp_path / "step-2") == (call > RENAME)
    assert asides(tmp_path) == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", range(CALLS))
def test_a_kill_anywhere_leaves_the_new_one_whole_or_not_there(tmp_path: Path, call: int, after: bool) -> None:
    checkpoint.save(tmp_path / "step-1", *some(1))

    with failing(call, Killed(), after=after), pytest.raises(Killed):
        checkpoint.save(tmp_path / "step-2", *some(2))

    there = checkpoint.committed(tmp_path / "step-2")
    assert there == (call + after > RENAME)
    assert checkpoint.load(tmp_path / ("step-2" if there else "step-1")).state["step"] == (2 if there else 1)
    assert not any(
        checkpoint.committed(path) for path in tmp_path.glob("step-*") if path.name not in ("step-1", "step-2")
    )


@pytest.mark.parametrize("call", range(CALLS))
def test_what_a_kill_left_aside_is_tidied_and_written_again(tmp_path: Path, call: int) -> None:
    with failing(call, Killed()), pytest.raises(Killed):
        checkpoint.save(tmp_path / "c", *some(1))

    checkpoint.tidy(tmp_path)
    checkpoint.remove(tmp_path / "c")
    checkpoint.save(tmp_path / "c", *some(2))

    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert checkpoint.load(tmp_path / "c").state["step"] == 2


def test_a_removal_cut_short_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path / "c", *some(1))

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(shutil, "rmtree", kill)

    with pytest.raises(Killed):
        checkpoint.remove(tmp_path / "c")

    assert (tmp_path / "c").is_dir()
    assert not checkpoint.committed(tmp_path / "c")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", range(1, 5))  # of the folder; open, write, fsync, replace
def test_a_json_file_is_the_old_one_until_it_is_the_new_one(tmp_path: Path, number: int, call: int) -> None:
    files.write(tmp_path / "run.json", files.dumped({"old": True}))

    with (
        failing(call, OSError(number, os.strerror(number))),
        pytest.raises(RunError, match=r"cannot write .*run\.json: "),
    ):
        files.write(tmp_path / "run.json", files.dumped({"new": True}))

    assert json.loads((tmp_path / "run.json").read_bytes()) == {"old": True}
    assert asides(tmp_path) == []

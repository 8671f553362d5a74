"""Python's own source: which files there are, how they are cut and split, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
import os
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from crt_basics.datasets.python_source import SPLITS, SourceWindows, split_of
from crt_basics.datasets.specs import PythonSource
from crt_laws import obeys
from crtcore.errors import RunError

test_the_usual_windows = obeys(PythonSource())
test_short_windows = obeys(PythonSource(length=16))

Library = Callable[[Mapping[str, bytes]], None]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Makes these files the standard library, with one more for each split."""

    def lay(files: Mapping[str, bytes]) -> None:
        for name, content in {**{f"{split}.py": in_split(split) for split in SPLITS}, **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        monkeypatch.setattr(sysconfig, "get_path", lambda name: {"stdlib": str(tmp_path)}[name])

    return lay


def in_split(split: str, head: bytes = b"") -> bytes:
    """`head` and a number after it, the first with which the whole comes into `split`."""
    tried = (head + str(number).encode().rjust(8, b"#") for number in itertools.count())
    return next(content for content in tried if split_of(hashlib.sha256(content).digest()) == split)


def rows(dataset: SourceWindows, split: str) -> list[bytes]:
    """The windows of a split, as the bytes that are there."""
    ids = dataset.take(split, torch.arange(dataset.sizes[split])).data
    return [row[row >= 0].astype(np.uint8).tobytes() for row in ids.numpy()]


def test_a_file_is_cut_into_windows_one_after_another(library: Library) -> None:
    content = in_split("train", bytes(range(20)))
    library({"train.py": content})

    dataset = PythonSource(length=10).build()

    assert rows(dataset, "train") == [content[:10], content[10:20], content[20:]]
    assert dataset.take("train", torch.tensor([2])).data.tolist() == [[*content[20:], -1, -1]]


@pytest.mark.parametrize(("rest", "count"), [(0, 2), (1, 2), (2, 3)])
def test_a_last_window_of_one_byte_is_left_out(library: Library, rest: int, count: int) -> None:
    content = in_split("train", bytes(12 + rest))
    library({"train.py": content})

    dataset = PythonSource(length=10).build()

    assert rows(dataset, "train") == [content[:10], content[10:20], content[20:]][:count]


def test_files_come_in_the_order_of_their_paths(library: Library) -> None:
    names = ["b.py", "a/z.py", "a.py", "train.py"]
    files = {name: in_split("train", name.encode().ljust(8)) for name in names}
    library(files)

    dataset = PythonSource(length=20).build()

    assert rows(dataset, "train") == [files[name] for name in sorted(names)]


@pytest.mark.parametrize(
    "name",
    [
        "site-packages/a.py", "dist-packages/a.py", "test/a.py", "json/tests/a.py", "idlelib/idle_test/b/a.py",
        "lib2to3/tests/a.py", "__pycache__/a.py", "a.txt", "a.pyc",
    ],
)  # fmt: skip
def test_what_is_no_source_of_the_library_is_left_out(library: Library, name: str) -> None:
    library({name: in_split("train", b"# not me")})

    assert PythonSource().build().sizes == dict.fromkeys(SPLITS, 1)


@pytest.mark.parametrize("content", [b"", b"\n", in_split("train")], ids=["nothing", "one byte", "a repetition"])
def test_a_file_without_anything_of_its_own_is_left_out(library: Library, content: bytes) -> None:
    library({"other.py": content})

    assert PythonSource().build().sizes == dict.fromkeys(SPLITS, 1)


def test_a_window_that_an_earlier_split_has_is_left_out_of_a_later_one(library: Library) -> None:
    licence, notice = b"licensed", b"no title"
    library(
        {
            "train.py": in_split("train", licence),
            "validation.py": in_split("validation", licence + notice),
            "test.py": in_split("test", licence + notice),
        }
    )

    dataset = PythonSource(length=8).build()

    assert [licence in rows(dataset, split) for split in SPLITS] == [True, False, False]
    assert [notice in rows(dataset, split) for split in SPLITS] == [False, True, False]


def test_no_window_of_the_installed_library_is_in_two_splits() -> None:
    dataset = PythonSource(length=64).build()

    train, validation, test = (set(rows(dataset, split)) for split in SPLITS)

    assert not train & validation
    assert not train & test
    assert not validation & test


@pytest.mark.parametrize("name", ["ast.py", "collections/__init__.py", "json/decoder.py", "unittest/mock.py"])
def test_the_installed_library_is_what_is_read(name: str) -> None:
    content = (Path(sysconfig.get_path("stdlib")) / name).read_bytes()

    result = rows(PythonSource().build(), split_of(hashlib.sha256(content).digest()))

    assert content[512:768] in result


def test_a_files_split_hangs_on_its_content_alone(library: Library) -> None:
    library({})
    before = {split: rows(PythonSource().build(), split) for split in SPLITS}
    library({"a.py": in_split("train", b"more"), "z/test.py": in_split("test")})

    after = {split: rows(PythonSource().build(), split) for split in SPLITS}

    assert {split: set(after[split]) - set(before[split]) for split in SPLITS} == {
        "train": {in_split("train", b"more")}, "validation": set(), "test": set(),
    }  # fmt: skip
    assert all(set(before[split]) <= set(after[split]) for split in SPLITS)


def test_of_twenty_files_one_is_for_validation_and_one_for_test() -> None:
    splits = [split_of(hashlib.sha256(str(number).encode()).digest()) for number in range(20_000)]

    # 1,000 each with a deviation of 31: off by over 155 with probability below 1e-6
    assert abs(splits.count("validation") - 1000) < 155
    assert abs(splits.count("test") - 1000) < 155


def test_the_checksum_shows_a_changed_file(library: Library) -> None:
    library({})
    before = PythonSource().build().checksum
    library({"train.py": in_split("train", b"new")})

    assert PythonSource().build().checksum != before


def test_the_checksum_shows_a_renamed_file(library: Library) -> None:
    content = in_split("train", b"same")
    library({"one.py": content})
    one = PythonSource().build().checksum
    library({"one.py": b"", "two.py": content})

    assert PythonSource().build().checksum != one


def test_the_checksum_is_of_the_files_and_not_of_the_windows(library: Library) -> None:
    library({})

    assert PythonSource(length=5).build().checksum == PythonSource(length=6).build().checksum


@pytest.mark.parametrize("zipped", [True, False])
def test_a_library_without_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    place = tmp_path / "python311.zip"
    if zipped:
        place.write_bytes(b"PK")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(place))

    with pytest.raises(RunError, match=r"expected \*\.py files under .*python311\.zip, got none; run a Python whose"):
        PythonSource().build()


def test_a_split_without_windows_is_refused(library: Library) -> None:
    library({"test.py": b""})

    with pytest.raises(RunError, match=r"expected windows of 256 bytes in each split, got .*'test': 0"):
        PythonSource().build()


@pytest.mark.parametrize("index", [-1, 1])
def test_an_index_outside_the_split_is_refused(library: Library, index: int) -> None:
    library({})

    with pytest.raises(IndexError, match=f"expected indices from 0 to 0, got {index}"):
        PythonSource().build().take("validation", torch.tensor([0, index]))


def test_a_split_that_is_not_there_is_refused(library: Library) -> None:
    library({})

    with pytest.raises(ValueError, match="expected a split of train, validation, test, got 'valid'"):
        PythonSource().build().take("valid", torch.tensor([0]))


def test_only_regular_files_are_read(library: Library, tmp_path: Path) -> None:
    library({})
    expected = PythonSource(length=4).build().checksum
    (tmp_path / "broken.py").symlink_to("nowhere")
    (tmp_path / "circle.py").symlink_to("circle.py")
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")

    assert PythonSource(length=4).build().checksum == expected


def test_a_name_that_is_no_text_is_read(library: Library, tmp_path: Path) -> None:
    library({})
    (tmp_path / os.fsdecode(b"\xff.py")).write_bytes(in_split("train", b"other"))

    assert PythonSource(length=4).build().sizes["train"] > 0


def test_a_file_that_cannot_be_read_is_named(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library({})

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(RunError, match=rf"{tmp_path}/test.py: expected a file .* \(Permission denied\); repair"):
        PythonSource(length=4).build()

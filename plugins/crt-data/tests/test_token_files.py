"""Tokens in files: what a window is, how the splits are cut, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from crt_data import token_files
from crt_data.specs import TokenFiles
from crt_laws import obeys
from crtcore.errors import RunError

test_the_example = obeys(TokenFiles(folder="data/c4", length=64))


def lay(folder: Path, train: list[int], val: list[int]) -> None:
    for name, tokens in (("train.bin", train), ("val.bin", val)):
        np.array(tokens, dtype="<u2").tofile(folder / name)


def test_windows_lie_one_after_another_and_the_first_half_of_val_is_for_validation(tmp_path: Path) -> None:
    lay(tmp_path, [0, 1, 2, 3, 4, 5, 6, 7], [50_256, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])

    dataset = TokenFiles(folder=str(tmp_path), length=3).build()

    windows = {split: dataset.take(split, torch.arange(size)).data.tolist() for split, size in dataset.sizes.items()}
    assert windows == {
        "train": [[0, 1, 2], [3, 4, 5]],
        "validation": [[50_256, 11, 12], [13, 14, 15]],
        "test": [[16, 17, 18]],
    }


def test_tokens_are_read_low_byte_first(tmp_path: Path) -> None:
    for name in ("train.bin", "val.bin"):
        (tmp_path / name).write_bytes(b"\x01\x02\x50\xc4" * 2)

    dataset = TokenFiles(folder=str(tmp_path), length=2).build()

    assert dataset.take("train", torch.tensor([0])).data.tolist() == [[513, 50_256]]


def test_a_token_beyond_the_vocabulary_is_an_error(tmp_path: Path) -> None:
    lay(tmp_path, [0, 1, 2, 300], [0] * 4)
    dataset = TokenFiles(folder=str(tmp_path), length=2, vocabulary=256).build()

    assert dataset.take("train", torch.tensor([0])).data.tolist() == [[0, 1]]
    with pytest.raises(RunError, match=r"train\.bin: expected tokens below 256, got 300; set `vocabulary`"):
        dataset.take("train", torch.tensor([1]))


@pytest.mark.parametrize("gone", ["train.bin", "val.bin"])
def test_a_missing_file_is_an_error(tmp_path: Path, gone: str) -> None:
    lay(tmp_path, [0] * 8, [0] * 8)
    (tmp_path / gone).unlink()

    with pytest.raises(
        RunError, match=rf"{gone}: expected 16-bit tokens, as nanoGPT's .* got no such file; put it there"
    ):
        TokenFiles(folder=str(tmp_path), length=2).build()


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        (b"\0" * 9, b"\0" * 8, r"train\.bin: expected 16 bits a token, got 9 bytes, an odd number"),
        (b"\0" * 2, b"\0" * 8, r"train\.bin: expected at least 2 tokens, got 1"),
        (b"", b"\0" * 8, r"train\.bin: expected 16-bit tokens, .* got an empty one; fetch the file again"),
        (b"\0" * 8, b"\0" * 6, r"val\.bin: expected at least two windows of 2 tokens, got 1"),
    ],
)
def test_a_file_that_cannot_be_cut_is_refused(tmp_path: Path, train: bytes, val: bytes, message: str) -> None:
    (tmp_path / "train.bin").write_bytes(train)
    (tmp_path / "val.bin").write_bytes(val)

    with pytest.raises(RunError, match=message):
        TokenFiles(folder=str(tmp_path), length=2).build()


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"<!DOCTYPE html>\n<html>" * 100, "a web page, as a failed download leaves; fetch the file again"),
        (b"version https://git-lfs.github.com/spec/v1\n" * 100, "a pointer of Git LFS; run `git lfs pull`"),
        ("naïve text".encode() * 100, r"text \('naïve text"),
        (b"\x93NUMPY" + bytes(range(256)) * 8, "an .npy file; write it again"),
        (b"\x1f\x8b\x08" + bytes(range(255)) * 8 + b"\0", "a gzip archive; write it again"),
        (np.arange(1, 2000, dtype="<u4").tobytes(), "32 bits or more a token; write it again"),
        (np.arange(1, 2000, dtype="<i8").tobytes(), "32 bits or more a token; write it again"),
        ((np.arange(2000, dtype="<u4") * 64).tobytes(), "32 bits or more a token; write it again"),
    ],
    ids=["page", "pointer", "text", "npy", "gzip", "32 bits", "64 bits", "a large vocabulary"],
)
def test_files_of_another_format_are_refused(tmp_path: Path, content: bytes, got: str) -> None:
    lay(tmp_path, [0] * 8, [0] * 8)
    (tmp_path / "val.bin").write_bytes(content)

    with pytest.raises(RunError, match=rf"val\.bin: expected 16.*, got {got}"):
        TokenFiles(folder=str(tmp_path), length=2).build()


@pytest.mark.parametrize("tokens", [[0, 1] * 1000, [3, 0, 70, 9] * 500, [0] * 2000], ids=["bits", "plain", "zeros"])
def test_small_tokens_are_no_other_format(tmp_path: Path, tokens: list[int]) -> None:
    lay(tmp_path, tokens, tokens)

    dataset = TokenFiles(folder=str(tmp_path), length=4).build()

    assert dataset.take("train", torch.tensor([0])).data.tolist() == [tokens[:4]]


@pytest.mark.parametrize("place", [0, 7])
def test_the_checksum_shows_a_changed_token_and_not_the_length_of_windows(tmp_path: Path, place: int) -> None:
    lay(tmp_path, [0] * 8, [0] * 8)
    before = TokenFiles(folder=str(tmp_path), length=2).build().checksum
    assert TokenFiles(folder=str(tmp_path), length=4).build().checksum == before
    lay(tmp_path, [int(each == place) for each in range(8)], [0] * 8)

    assert TokenFiles(folder=str(tmp_path), length=2).build().checksum != before


@pytest.mark.parametrize(("byte", "seen"), [(0, True), (999, True), (500, True), (300, False)])
def test_of_a_large_file_evenly_spaced_blocks_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, byte: int, seen: bool
) -> None:
    """Three blocks of 10 bytes: from 0, from 495 and from 990."""
    monkeypatch.setattr(token_files, "PLACES", 3)
    monkeypatch.setattr(token_files, "BLOCK", 10)
    path = tmp_path / "train.bin"
    path.write_bytes(bytes(1000))
    before = token_files.checksum([path])
    path.write_bytes(bytes(byte) + b"\1" + bytes(999 - byte))

    assert (token_files.checksum([path]) != before) == seen

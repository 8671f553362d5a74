"""Tensors in files of other programs: what is read, and the one error of everything else."""

from __future__ import annotations

import argparse
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from crt_nn.tensor_files import fitting, headers, numbers, read, write
from crtcore.errors import RunError

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([0.5, -2.0])}
PAGE = b"<!DOCTYPE html>\n<html><body>Not found</body></html>"


def laid(path: Path, content: Any = None) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(WEIGHTS if content is None else content, path)
    else:
        torch.save({"model": WEIGHTS} if content is None else content, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_tensors_are_read_from_every_format(tmp_path: Path, suffix: str) -> None:
    tensors = read(laid(tmp_path / f"w{suffix}"), "here", ["ema", "model"])

    assert tensors.keys() == WEIGHTS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in WEIGHTS.items())


def test_the_old_format_and_kept_arguments_are_read(tmp_path: Path) -> None:
    content = {"state_dict": WEIGHTS, "args": argparse.Namespace(size="B")}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=False)

    assert torch.equal(read(tmp_path / "w.pth", "here", ["state_dict"])["a"], WEIGHTS["a"])


def test_headers_have_shapes_and_types_and_numbers_come_one_by_one(tmp_path: Path) -> None:
    path = laid(tmp_path / "w.safetensors", {"a": WEIGHTS["a"].half(), "b": WEIGHTS["b"]})

    assert headers(path, "here") == {"a": ([2, 3], "F16"), "b": ([2], "F32")}
    assert {name: tensor.tolist() for name, tensor in numbers(path, "here")} == {
        "a": [[0, 1, 2], [3, 4, 5]],
        "b": [0.5, -2],
    }


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 30)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize(
    ("harm", "got"),
    [
        (cut, r"a damaged or other one \(.+\); fetch the file again, or save the weights alone as .safetensors"),
        (lambda path: path.write_bytes(b"\0\1\2\3" * 9), r"a damaged or other one \(.+\); fetch"),
        (lambda path: path.write_bytes(b"PK\3\4" + bytes(30)), r"a damaged or other one \(.+\); fetch"),
        (lambda path: path.write_bytes(b""), "an empty one; fetch the file again"),
        (lambda path: path.write_bytes(PAGE), "a web page, as a failed download leaves; fetch"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "a pointer of Git LFS; run"),
        (lambda path: path.write_bytes(b"Entry not found."), r"text \('Entry not found.'\); fetch"),
        (Path.unlink, "no such file; put it there"),
        (folder, "a folder; name a file"),
        (pipe, "no regular file; name a file"),
    ],
    ids=["cut", "noise", "zip", "empty", "page", "pointer", "text", "missing", "folder", "pipe"],
)
def test_other_files_are_one_error(tmp_path: Path, suffix: str, harm: Callable[[Path], Any], got: str) -> None:
    path = laid(tmp_path / f"w{suffix}")
    harm(path)

    for use in (read,) if suffix == ".pt" else (read, headers, lambda *where: list(numbers(*where))):
        with pytest.raises(RunError, match=rf"^here: {path}: expected a file of tensors, got {got}") as error:
            use(path, "here")
        assert "weights_only" not in str(error.value)


def test_a_zip_of_another_program_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("word/document.xml", "<w/>")

    with pytest.raises(
        RunError,
        match=r"w\.pt: expected a file of tensors, got a damaged or other one \(an archive without data\.pkl\)",
    ):
        read(tmp_path / "w.pt", "here")


def test_a_changed_bit_in_a_checkpoint_of_torch_is_noticed(tmp_path: Path) -> None:
    path = laid(tmp_path / "w.pt")
    raw = bytearray(path.read_bytes())
    raw[raw.index(WEIGHTS["a"].numpy().tobytes()) + 5] ^= 1
    path.write_bytes(raw)

    with pytest.raises(RunError, match=r"got a damaged or other one \(the checksum of w/data/0 differs\)"):
        read(path, "here", ["model"])


def test_a_checkpoint_of_torch_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = laid(tmp_path / "w.pt")
    finally:
        torch.serialization.set_crc32_options(True)

    assert torch.equal(read(path, "here", ["model"])["a"], WEIGHTS["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": WEIGHTS, "where": Path("x")}, r"tensors and plain values, got pathlib.PosixPath, which needs code"),
        ([1, 2], "tensors by name, got list; save a state dict"),
        ({"model": None}, "tensors by name, got NoneType; save a state dict"),
        ({"steps": 3}, "tensors by name, got int under 'steps'; save a state dict, alone or under model"),
        ({3: torch.ones(1)}, "tensors by name, got Tensor under 3; save a state dict"),
    ],
)
def test_other_contents_are_one_error(tmp_path: Path, content: Any, message: str) -> None:
    path = laid(tmp_path / "w.pt", content)

    with pytest.raises(RunError, match=rf"here: {path}: expected {message}"):
        read(path, "here", ["model"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": torch.zeros(3, 2)}, r"'a' to be \[2, 3\], got \[3, 2\]; build another"),
        ({"c": torch.zeros(1)}, r"'c' to be absent, got \[1\]; build another"),
        ({"b": None}, r"'b' to be \[2\], got absent; build another"),
        ({"b": torch.tensor([1, 2])}, "'b' to be floating-point numbers of 16 to 64 bits, got int64; take weights"),
        ({"b": torch.tensor([1 + 2j, 3])}, "'b' to be floating-point numbers of 16 to 64 bits, got complex64"),
        ({"b": torch.zeros(2, dtype=torch.float8_e4m3fn)}, "'b' to be floating-point .* got float8_e4m3fn"),
        ({"b": torch.ones(2).to_sparse()}, "'b' to be floating-point .* got a tensor of layout sparse_coo on cpu"),
        ({"b": torch.ones(2, device="meta")}, "'b' to be floating-point .* got a tensor of layout strided on meta"),
        ({"b": torch.tensor([1.0, math.nan])}, "'b' to be finite in float32, got NaN or infinity; fetch the file"),
        ({"b": torch.tensor([1.0, 1e300]).double()}, "'b' to be finite in float32, got NaN or infinity"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Tensor | None], message: str) -> None:
    tensors = {name: value for name, value in {**WEIGHTS, **change}.items() if value is not None}

    with pytest.raises(RunError, match=rf"here: w\.pt: expected {message}"):
        fitting(Path("w.pt"), "here", tensors, WEIGHTS, "build another")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_other_precisions_become_the_expected_one(dtype: torch.dtype) -> None:
    tensors = {name: value.to(dtype) for name, value in WEIGHTS.items()}

    fitted = fitting(Path("w.pt"), "here", tensors, WEIGHTS, "build another")

    assert {value.dtype for value in fitted.values()} == {torch.float32}
    assert all(torch.equal(fitted[name], value) for name, value in WEIGHTS.items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"w{suffix}", "here", {"a": WEIGHTS["a"].T}, "model")

    assert torch.equal(read(tmp_path / f"w{suffix}", "here", ["model"])["a"], WEIGHTS["a"].T)
    with pytest.raises(RunError, match=r"here: cannot write .*none/w\..*; name another place"):
        write(tmp_path / "none" / f"w{suffix}", "here", WEIGHTS, "model")


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"w\.bin: expected a file that ends in .safetensors, .pt or .pth, got '.bin'"):
        read(tmp_path / "w.bin", "here")
    with pytest.raises(RunError, match=r"w\.pth: expected a file that ends in .safetensors or .pt, got '.pth'"):
        write(tmp_path / "w.pth", "here", WEIGHTS, "model")

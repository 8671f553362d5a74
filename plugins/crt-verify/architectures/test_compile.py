"""The device code compiles for every architecture, and its operators can be loaded; it takes minutes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from crt_verify.kernels import device
from crt_verify.kernels.listing import ARCHITECTURES, kernels
from crt_verify.tree import Trees


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("rows", device.ROWS)
def test_an_operator_is_compiled_and_loads_where_there_is_no_gpu(rows: str, architecture: str) -> None:
    library = device.library(rows, [architecture])

    code = f"import torch; torch.ops.load_library({str(library)!r}); print(torch.ops.crt_verify_{rows}.verify)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert f"crt_verify_{rows}.verify" in output
    name = "single" if rows == "probabilities" else rows
    assert architecture in {kernel.name: kernel.compiled for kernel in kernels()}[name]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_commit_is_compiled_and_loads_where_there_is_no_gpu(architecture: str) -> None:
    library = device.built("commit.cu", "commit", [architecture])

    code = f"import torch; torch.ops.load_library({str(library)!r}); print(torch.ops.crt_verify_commit.commit)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "crt_verify_commit.commit" in output


def test_tensors_on_a_cpu_are_refused() -> None:
    rows, uniforms = torch.full((1, 1, 2), 0.5), torch.zeros(1, 1, dtype=torch.int64)
    trees = Trees(uniforms - 1, uniforms - 1, torch.ones(1, dtype=torch.int64))

    with pytest.raises(ValueError, match=r"expected tensors on a GPU, got cpu; crt_verify\.kernels\.host runs there"):
        device.rule("single").verify(trees, rows, rows, uniforms, uniforms)

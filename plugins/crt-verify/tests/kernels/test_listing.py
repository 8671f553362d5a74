"""`crt kernels` lists only what happened to the current sources."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from crt_nn.native.compiler import NotBuilt
from crt_verify.kernels import build, command
from crt_verify.kernels.listing import kernels
from crt_verify.kernels.names import NAMES
from crt_verify.lookup.step_cost import step_cost

from ..lookup.test_decoder import cycle


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache of compiled code."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_at_first_nothing_is_compiled_and_nothing_has_run() -> None:
    listed = kernels()

    assert {*NAMES, "logits_float32", "logits_bfloat16", "logits_float16", "commit"} == {
        kernel.name for kernel in listed
    }
    assert {(kernel.compiled, kernel.host_compiled) for kernel in listed} == {((), False)}
    assert all(kernel.ran.startswith("not run: ") for kernel in listed)


def test_what_was_compiled_and_ran_is_listed() -> None:
    build.note("host", {"part": "host", "compiled": ["host"]})
    build.note("gpu", {"part": "commit", "compiled": ["sm_90", "sm_80"]})
    build.note("ran", {"part": "probabilities", "ran": "a GPU"})

    listed = {kernel.name: (kernel.compiled, kernel.host_compiled, kernel.ran) for kernel in kernels()}

    assert listed["commit"][:2] == (("sm_80", "sm_90"), True)
    assert {name for name, (_, _, ran) in listed.items() if ran == "a GPU"} == set(NAMES)


def test_what_happened_to_other_sources_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    build.note("host", {"part": "host", "compiled": ["host"]})
    build.note("ran", {"part": "commit", "ran": "a GPU"})
    monkeypatch.setattr("crt_verify.kernels.build.source_hash", lambda: "another")

    listed = kernels()

    assert not any(kernel.host_compiled or kernel.ran == "a GPU" for kernel in listed)


def test_a_spoilt_note_is_named(tmp_path: Path) -> None:
    build.note("ran", {"ran": "a GPU"})
    (tmp_path / "crt-verify" / "ran.json").write_text("no note")

    with pytest.raises(NotBuilt, match=r"expected a note about device code in .*ran\.json; delete it"):
        kernels()


def test_step_costs_are_no_notes(tmp_path: Path) -> None:
    measured = step_cost(cycle(4, 5), 1, 2, torch.device("cpu"))

    assert f"kept in {tmp_path}" in measured.origin
    assert all(kernel.ran.startswith("not run: ") for kernel in kernels())


def test_the_command_names_a_spoilt_note(tmp_path: Path) -> None:
    build.note("ran", {"ran": "a GPU"})
    (tmp_path / "crt-verify" / "ran.json").write_text("no note")

    ended = CliRunner().invoke(command.kernels)

    assert ended.exit_code == 1
    assert re.fullmatch(r"kernels: expected a note about device code in \S+ran\.json; delete it\n", ended.output)


def test_listing_imports_no_torch() -> None:
    code = "import sys; from crt_verify.kernels.listing import kernels; kernels(); assert 'torch' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)

"""What `crt kernels` is told: nothing that has not happened to the code as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crt_verify.kernels import build
from crt_verify.kernels.listing import kernels
from crt_verify.kernels.names import NAMES


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing was ever compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_at_first_nothing_is_compiled_and_nothing_has_run() -> None:
    told = kernels()

    assert {*NAMES, "logits_float32", "logits_bfloat16", "logits_float16", "commit"} == {kernel.name for kernel in told}
    assert {(kernel.compiled, kernel.host_compiled) for kernel in told} == {((), False)}
    assert all(kernel.ran.startswith("not run: ") for kernel in told)


def test_what_was_compiled_and_ran_is_told() -> None:
    build.note("host", {"part": "host", "compiled": ["host"]})
    build.note("gpu", {"part": "commit", "compiled": ["sm_90", "sm_80"]})
    build.note("ran", {"part": "probabilities", "ran": "a GPU"})

    told = {kernel.name: (kernel.compiled, kernel.host_compiled, kernel.ran) for kernel in kernels()}

    assert told["commit"][:2] == (("sm_80", "sm_90"), True)
    assert {name for name, (_, _, ran) in told.items() if ran == "a GPU"} == set(NAMES)


def test_what_happened_to_other_sources_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    build.note("host", {"part": "host", "compiled": ["host"]})
    build.note("ran", {"part": "commit", "ran": "a GPU"})
    monkeypatch.setattr("crt_verify.kernels.build.source_hash", lambda: "another")

    told = kernels()

    assert not any(kernel.host_compiled or kernel.ran == "a GPU" for kernel in told)


def test_a_spoilt_note_is_named(tmp_path: Path) -> None:
    build.note("ran", {"ran": "a GPU"})
    (tmp_path / "crt-verify" / "ran.json").write_text("no note")

    with pytest.raises(build.NotBuilt, match=r"expected a note about device code in .*ran\.json; delete it"):
        kernels()


def test_telling_imports_no_torch() -> None:
    code = "import sys; from crt_verify.plugin import crt_kernels; crt_kernels(); assert 'torch' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)

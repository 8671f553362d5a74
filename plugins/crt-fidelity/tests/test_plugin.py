"""The metric's spec without torch, and the error if torch-fidelity cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from crt_fidelity import Fidelity, plugin
from crtcore import FieldError, Registry
from crtcore.errors import RunError


def test_the_plugin_brings_its_metric() -> None:
    registry = Registry.of([("crt-fidelity", component) for component in plugin.crt_components()])

    assert registry.find("metric", "fidelity").spec is Fidelity


def test_describing_the_metric_imports_no_torch() -> None:
    code = "import sys, crt_fidelity.plugin as p; p.crt_components(); sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"extractor": "inception"},
            "weights: expected the file of Inception's weights, got none; download it from https://",
        ),
        ({"weights": "w.pth"}, r"weights: expected no file, as 'random-convolutions' needs none, got 'w\.pth'"),
        ({"references": ()}, "references: expected at least one entry, got none"),
        ({"references": ("test",)}, r"references: expected 'held-out', 'train' or an \.npz file .*, got 'test'"),
        ({"references": ("a/x.npz", "b/x.npz")}, "references: expected references of different names"),
        ({"numbers": ("isc",)}, "numbers: expected an extractor with classes for 'isc', which is 'inception'"),
        ({"references": ("a/x.npz",)}, "numbers: expected a reference with images for 'kid' and 'prc'"),
        (
            {"references": ("train", "a/x.npz"), "numbers": ("kid",)},
            r"numbers: expected 'fid', as 'a/x\.npz' has moments alone",
        ),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        Fidelity(**({"extractor": "random-convolutions"} | fields))


@pytest.mark.parametrize(
    "error",
    [RuntimeError("operator torchvision::nms does not exist"), ModuleNotFoundError("No module named 'torchvision'")],
)
def test_a_torch_fidelity_that_cannot_be_imported_is_one_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "torch_fidelity":
                raise error

    monkeypatch.delitem(sys.modules, "torch_fidelity", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])

    with pytest.raises(RunError, match=rf"fidelity: expected torch-fidelity and .* got .*: {error}; pip install"):
        Fidelity(extractor="random-convolutions").build()

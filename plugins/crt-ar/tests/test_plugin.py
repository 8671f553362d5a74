import subprocess
import sys
from typing import Any

import pytest

from crt_ar import LlamaGen, Transformer, plugin
from crtcore import FieldError, Registry, Spec


@pytest.mark.parametrize(("name", "spec"), [("transformer", Transformer), ("llamagen", LlamaGen)])
def test_the_plugin_brings_its_priors(name: str, spec: type[Spec]) -> None:
    registry = Registry.of([("crt-ar", component) for component in plugin.crt_components()])

    assert registry.find("prior", name).spec is spec


def test_describing_a_prior_imports_no_torch() -> None:
    code = "import sys, crt_ar, crt_ar.plugin; crt_ar.plugin.crt_components(); sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 10, "heads": 4}, r"heads: expected a divisor of width \(10\), got 4"),
        ({"width": 12, "heads": 4}, "heads: expected heads of an even width, got 12 / 4"),
        ({"layers": 0}, "layers: expected at least 1, got 0"),
    ],
)
def test_a_shape_that_is_not_valid_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        Transformer(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 16}, r"heads: expected a divisor of the width \(16\), got 12"),
        ({"width": 12, "heads": 2}, "heads: expected heads of a multiple of 4 channels, got 12 / 2"),
        ({"layers": -1}, "layers: expected at least 0, got -1"),
        ({"label_dropout": 1.0}, r"label_dropout: expected less than 1, got 1\.0"),
    ],
)
def test_a_shape_that_is_not_valid_on_a_grid_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        LlamaGen(**fields)


def test_fields_override_the_size() -> None:
    assert LlamaGen(size="XL", layers=3).shape == (3, 1280, 20)

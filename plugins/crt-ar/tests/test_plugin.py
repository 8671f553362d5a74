import subprocess
import sys
from typing import Any

import pytest
from crt_ar import Transformer, plugin

from crtcore import FieldError, Registry


def test_the_plugin_brings_a_transformer() -> None:
    registry = Registry.of([("crt-ar", component) for component in plugin.crt_components()])

    assert registry.find("prior", "transformer").spec is Transformer


def test_describing_a_transformer_imports_no_torch() -> None:
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
def test_a_shape_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        Transformer(**fields)

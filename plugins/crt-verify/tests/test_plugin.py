"""What the package brings."""

from __future__ import annotations

import subprocess
import sys

from crt_verify import plugin
from crt_verify.specs import SpeculativeDecoding

from crtcore import Registry


def test_it_brings_speculative_decoding() -> None:
    registry = Registry.of([("verify", component) for component in plugin.crt_components()])

    found = registry.find("decoder", "sd")

    assert found.spec is SpeculativeDecoding


def test_describing_it_imports_no_torch() -> None:
    code = "import sys, crt_verify.plugin as plugin; plugin.crt_components(); sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

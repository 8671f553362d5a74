"""The metric that the README shows obeys the laws of metrics."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

from crt_laws import obeys
from crtcore.kinds import MetricSpec

README = (Path(__file__).parents[1] / "README.md").read_text()


def shown() -> MetricSpec:
    """An instance of the spec that the README defines."""
    (code,) = re.findall(r"```python\n(import attrs.*?)```", README, re.DOTALL)
    sys.modules["shown"] = module = types.ModuleType("shown")  # so that the metric can be pickled
    exec(code, vars(module))
    spec: MetricSpec = module.Brightness()
    return spec


test_the_metric_of_the_readme = obeys(shown())

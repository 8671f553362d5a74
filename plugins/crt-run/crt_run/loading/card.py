"""The model card of a run: what it is, how to load it, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w

from crt_run.present.export import markdown
from crt_run.present.tables import label, short
from crt_run.runs.numbers import number
from crtcore.kinds import Plan


def card(plan: Plan, config: Mapping[str, Any]) -> str:
    """The card in Markdown, with the front matter that the Hub reads."""
    uses = {
        role: ", ".join(each["use"] for each in (table if isinstance(table, list) else [table]))
        for role, table in plan.document.items()
        if role in plan.parts and table
    }
    rows = [("number", "value", "95 % interval over samples", "unit", "samples")]
    for name, each in config["result"]["numbers"].items():
        value, unit, n, low, high = number(each)
        span = "" if low is None or high is None else f"{short(low)} to {short(high)}"
        rows.append((label(name), short(value), span, unit, str(n)))
    parts = markdown([("part", "component"), *uses.items()])
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    return f"""---
library_name: crtcore
tags:
- crtcore
- {plan.document["experiment"]["use"]}
---

# {plan.name}

A finished run of crtcore (`{config["result"]["hash"]}`, seed {plan.seed}), with its trained parts.

{parts}

```python
import crtcore

run = crtcore.load_run("PATH OF THIS FOLDER")
print(run.results)
```

## Numbers

{markdown(rows)}

## Spec

```toml
{tomli_w.dumps(dict(plan.document)).strip()}
```

Made with {versions}.
"""

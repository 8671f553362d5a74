"""Gathers the records of audits into bench/results/audit.json, and prints the table of docs/audit.md from it.

    python bench/audits.py [FILE ...]

Files are those that `--json` of audit_transformers.py, audit_vllm.py and audit_llama_cpp.py wrote; audits of the
decoders here are run and added. Without files the kept record is printed. Seconds are of the processor.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

RECORD = Path(__file__).resolve().parent / "results" / "audit.json"
COMMANDS = (
    "python bench/audit_transformers.py --json FILE",
    "python bench/audit_vllm.py WHEEL --json FILE",
    "python bench/audit_llama_cpp.py --json FILE",
    "python bench/audits.py FILE FILE FILE",
)
CASES = {"sd": 20, "block": 20, "spectr": 2, "multi-block": 2, "rsd-c": 2, "traversal": 2, "greedy-tree": 2}
"""Random cases of each decoder here."""


def ours() -> Iterator[dict[str, Any]]:
    """Audits of the decoders here, by small trees of each."""
    from crt_verify.audit.audit import audit
    from crt_verify.audit.rules import of_decoder, small
    from crtcore import discover

    for name, cases in CASES.items():
        spec: Any = small(discover().find("decoder", name).spec)  # type: ignore[arg-type]
        began = time.process_time()
        report = audit(of_decoder(spec), drafter=spec.drafter, trials=cases)
        seconds = time.process_time() - began
        yield {"audited": f"`{name}`", "setting": f"{cases} cases", "exact": report.exact, "distance": report.distance,
               "depth": "enumerated", "seconds": seconds}  # fmt: skip


def gathered(files: Sequence[Path]) -> dict[str, Any]:
    """The record. Cells of samples are counted and left out."""
    made = [json.loads(file.read_text()) for file in files]
    for each in (audit for one in made for audit in one["audits"]):
        if "cells" in each:
            each["cells"] = len(each["cells"])
    made.append({"name": "crt-verify", "version": version("crt-verify"), "audits": list(ours())})
    return {"name": "audit", "commands": COMMANDS, "audited": made}


def rows(record: dict[str, Any]) -> Iterator[str]:
    """Rows of markdown: one for all settings of what was audited."""
    for package in record["audited"]:
        for (name, against), group in groupby(
            package["audits"], key=lambda each: (each["audited"], each.get("against", False))
        ):
            settings = list(group)
            what = f"{len(settings)} settings" if len(settings) > 1 else settings[0]["setting"]
            what += ", against plain decoding" * against
            cells = (f"{name}, {what}", f"{package['name']} {package['version']}", depth_of(settings),
                     verdict(settings), distance(settings), seconds(settings))  # fmt: skip
            yield f"| {' | '.join(cells)} |"


def depth_of(settings: Sequence[dict[str, Any]]) -> str:
    """How deep the audits went."""
    depth: str = settings[0]["depth"]
    return f"{depth}, {settings[0]['samples']:,}" if depth == "sampled" else depth


def verdict(settings: Sequence[dict[str, Any]]) -> str:
    """The worst verdict."""
    verdicts = {each["exact"] for each in settings}
    return "not exact" if False in verdicts else "no difference seen" if None in verdicts else "exact"


def distance(settings: Sequence[dict[str, Any]]) -> str:
    """The worst total variation, or the p-values of samples."""
    if settings[0]["depth"] == "sampled":
        return f"p {between([each['p'] for each in settings], '.2f')}"
    return f"{max(each['distance'] for each in settings):.1e}".replace("e-0", "e-")


def seconds(settings: Sequence[dict[str, Any]]) -> str:
    """The least and the most seconds, where they were measured."""
    taken = [each["seconds"] for each in settings if "seconds" in each]
    return between(taken, ".1f") if taken else ""


def between(values: Sequence[float], form: str) -> str:
    """The least and the most, or the value if there is one."""
    return " to ".join(dict.fromkeys(f"{each:{form}}" for each in (min(values), max(values))))


if __name__ == "__main__":
    if sys.argv[1:]:
        RECORD.write_text(json.dumps(gathered([Path(each) for each in sys.argv[1:]]), indent=1) + "\n")
    print(*rows(json.loads(RECORD.read_text())), sep="\n")

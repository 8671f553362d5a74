"""Tests every law on every component that is installed, as `crt laws` does, and demands more of the outcomes.

Each outcome has the checks or the reason that it claims, each law holds for some component, and each kind has a law.
A law is tried on 8 drawn inputs, and on more by `crt laws` and by the packages' own tests.

Usage: python tests/every_law.py
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crt_laws.trial import BROKEN, trial
from crtcore.kinds import KINDS
from crtcore.registry import discover


def problems(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with the outcomes."""
    for row in rows:
        where = f"{row['kind']}/{row['component']}: {row['law']}"
        if row["outcome"] in BROKEN:
            yield f"{where}: {row['outcome']}: {row['reason']}"
        if row["outcome"] == "holds" and not row["checks"] >= row["tried"] > 0:
            yield f"{where}: holds after {row['checks']} checks of {row['tried']} examples"
        if row["outcome"] == "not applicable" and (row["checks"] or not row["reason"]):
            yield f"{where}: not applicable, after {row['checks']} checks and for the reason {row['reason']!r}"
    held = {(row["kind"], row["law"]) for row in rows if row["outcome"] == "holds"}
    for kind, law in sorted({(row["kind"], row["law"]) for row in rows} - held):
        yield f"{kind}: {law}: holds for no component"
    for kind in sorted({*KINDS} - {kind for kind, _ in held}):
        yield f"{kind}: no law of it holds"


def main() -> int:
    """Prints what is wrong, and how many laws there were; 1 if anything is wrong."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = trial(discover(), None, as_json=True, examples=8)
    rows = json.loads(printed.getvalue())["laws"]
    wrong = list(problems(rows))
    print(*wrong, f"{len(rows)} laws of components, {len(wrong)} wrong", sep="\n")  # noqa: T201
    return int(status or bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

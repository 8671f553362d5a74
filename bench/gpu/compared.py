"""The trees on which device code is compared, and the comparison: those of crt-verify's own tests."""

from __future__ import annotations

import sys
from pathlib import Path

from machine import here

from crt_verify.tree import Trees

sys.path.append(str(Path(__file__).resolve().parents[2] / "plugins/crt-verify/tests/kernels"))
from cases import (  # type: ignore[import-not-found, unused-ignore]
    MANY,
    REFERENCE,
    WORDS,
    Cases,
    differing,
    ragged,
    spoiled,
    uniform,
)

__all__ = ["LAYOUTS", "MANY", "REFERENCE", "WORDS", "Cases", "differing", "moved", "ragged", "spoiled", "uniform"]

LAYOUTS = ("path-serial", "node-parallel")


def moved(cases: Cases) -> Cases:
    """Cases on the machine whose kernels are compared."""
    there = here().device
    return Cases(Trees(*(field.to(there) for field in cases.trees)), *(field.to(there) for field in cases[1:]))

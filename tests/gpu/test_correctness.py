"""The correctness bench notices different verdicts, and records only kernels that ran without differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import correctness
import pytest
from machine import HostInPlace, here

from crt_verify.kernels import host, listing
from crt_verify.kernels.names import NAMES, ROWS
from crtcore import Sampling

PARTS = {*NAMES, *ROWS, "commit"} - {"probabilities"}
BLOCKS = (1, 8)


@attrs.frozen
class Warm(HostInPlace):
    """A rule at a multiple of the requested temperature."""

    warmth: float = 1.0

    def from_logits(self, *inputs: Any, sampling: Sampling) -> Any:
        warm = attrs.evolve(sampling, temperature=self.warmth * sampling.temperature)
        return super().from_logits(*inputs, sampling=warm)


@pytest.mark.parametrize(("warmth", "low", "high"), [(1, 0, 0), (1.5, correctness.NEAR + 1, 10_000)])
def test_verdicts_at_another_temperature_are_counted(
    warmth: float, low: int, high: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = correctness.of_logits("recursive", 2000, BLOCKS)
    rule = host.rule("recursive")
    monkeypatch.setattr(type(here()), "rule", lambda *_, **__: Warm(rule, warmth=warmth))

    counts = [correctness.apart("recursive", batches) for batches in expected.values()]

    assert [len(rows) for rows in counts] == [len(correctness.LAYOUTS) + len(BLOCKS)] * len(correctness.NUMBERS)
    assert all(low <= count <= high for rows in counts for count in rows.values())


@pytest.mark.parametrize(("other", "differ"), [("recursive", False), ("multiround", True)])
def test_verdicts_of_another_rule_are_counted(other: str, differ: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = correctness.of_rows("recursive", 200, [300], BLOCKS)
    monkeypatch.setattr(type(here()), "rule", lambda *_, **__: HostInPlace(host.rule(other)))

    counts = correctness.apart("recursive", expected)

    assert len(counts) == 2 * 2 + 2 * len(BLOCKS) + 4  # ragged and spoilt, long, wide
    assert any(counts.values()) == differ


@pytest.mark.parametrize(
    ("wrong", "missing"),
    [(None, set()), ("logits_float16", {"logits_float16"}), ("single", set(NAMES)), ("commit", {"commit"})],
)
def test_parts_without_differences_are_recorded_as_run(
    wrong: str | None, missing: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    parts = [*correctness.WORDS, "commit", *(f"logits_{number}" for number in correctness.NUMBERS)]

    correctness.note(parts, [wrong] if wrong else [])

    ran = {kernel.name for kernel in listing.kernels() if kernel.ran == here().name}
    assert ran == PARTS - missing

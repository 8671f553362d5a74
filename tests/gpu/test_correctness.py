"""The bench of correctness tells verdicts from logits apart, and says of no kernel that it ran which did not."""

from __future__ import annotations

from typing import Any

import attrs
import correctness
import pytest

from crt_verify.kernels import host, listing
from crt_verify.kernels.names import LAWS, NAMES
from crtcore import Sampling

PARTS = {*NAMES, *LAWS, "commit"} - {"probabilities"}


@attrs.frozen
class Warm:
    """A rule by its host build, in place of its kernels, at so many times the temperature that it is told."""

    rule: host.HostRule
    warmth: float
    layout: str | None = None
    blocks: int | None = None

    def from_logits(self, *given: Any, sampling: Sampling) -> Any:
        warm = attrs.evolve(sampling, temperature=self.warmth * sampling.temperature)
        return self.rule.from_logits(*given, sampling=warm)


@pytest.mark.parametrize(("warmth", "low", "high"), [(1, 0, 0), (1.5, correctness.NEAR + 1, 10_000)])
def test_verdicts_at_another_temperature_are_told_apart(
    warmth: float, low: int, high: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "crt_verify.kernels.device.rule", lambda *names, **keywords: Warm(host.rule(*names, **keywords), warmth)
    )
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(correctness, "moved", lambda cases: cases)

    found = correctness.fused("float32", 2000)

    assert all(low <= count <= high for count in found.values())
    assert len(found) == len(NAMES) * (len(correctness.LAYOUTS) + 2)


@pytest.mark.parametrize(
    ("wrong", "missing"),
    [(None, set()), ("logits_float16", {"logits_float16"}), ("single", set(NAMES)), ("commit", {"commit"})],
)
def test_what_was_right_is_said_to_have_run(
    wrong: str | None, missing: set[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["correctness.py"])
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    monkeypatch.setattr(correctness, "needs_gpu", lambda: None)
    monkeypatch.setattr(correctness, "keep", lambda *_: None)
    monkeypatch.setattr(correctness, "sanitized", lambda _: "clean")
    monkeypatch.setattr(correctness, "compared", lambda name, _: {"rows": int(name == wrong)})
    monkeypatch.setattr(correctness, "fused", lambda name, _: {"rows": 11 if f"logits_{name}" == wrong else 10})
    monkeypatch.setattr(correctness, "committed", lambda _: int(wrong == "commit"))

    with pytest.raises(SystemExit) as ended:
        correctness.main()

    ran = {kernel.name for kernel in listing.kernels() if kernel.ran == "a GPU"}
    assert (ran, bool(ended.value.code)) == (PARTS - missing, wrong is not None)

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import attrs
import pytest

from crt_run.loading.layout import _check_whole
from crtcore.errors import RunError
from crtcore.kinds import PriorSpec
from crtcore.spec import FILES


class Made:
    """A prior that is made of the tokenizer's stage."""

    def derive(self) -> None: ...


@attrs.frozen(kw_only=True)
class Trained(PriorSpec):
    """A prior that a stage trains."""

    implementation: ClassVar[str] = f"{__name__}:Trained"
    inner: PriorSpec | None = None


@attrs.frozen(kw_only=True)
class Reads(PriorSpec):
    """A prior that reads a file."""

    implementation: ClassVar[str] = f"{__name__}:Reads"
    path: str = attrs.field(default="", metadata=FILES)


@attrs.frozen(kw_only=True)
class Brings(PriorSpec):
    """A prior with the weights of another run."""

    implementation: ClassVar[str] = "collections:OrderedDict"
    pretrained: ClassVar[bool] = True


def plan(**parts: Any) -> Any:
    return SimpleNamespace(parts=parts)


@pytest.mark.parametrize(
    ("part", "got"),
    [
        (Reads(path="weights.pt"), "one that reads 'weights.pt'"),
        (Trained(inner=Reads(path="weights.pt")), "one that reads 'weights.pt'"),
        (Brings(), "one that brings others"),
        (Trained(inner=Brings()), "one that brings others"),
    ],
)
def test_a_part_with_weights_elsewhere_is_not_shared(part: PriorSpec, got: str) -> None:
    with pytest.raises(RunError, match=f"draft: expected a part whose weights this run has trained, got {got}"):
        _check_whole(plan(prior=Trained(), draft=(Trained(), part)))


def test_a_part_that_the_run_has_trained_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crt_run.loading.layout.resolve", lambda name: Made)

    _check_whole(plan(prior=Trained(inner=Reads()), draft=None, decoder=SimpleNamespace(kind="decoder")))
    _check_whole(plan(prior=Brings()))  # as a prior that is derived

"""A small plugin for the tests: kinds that the core brings nothing of, and every sort of field."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs
import click

from crt_cli.console import answer, reports_errors
from crtcore.hooks import Component, hookimpl
from crtcore.kinds import BottleneckSpec, DecoderSpec, RegularizerSpec, TokenizerSpec
from crtcore.settings import Optimizer
from crtcore.spec import COSMETIC, above, at_least, divides


@attrs.frozen(kw_only=True)
class Patches(TokenizerSpec):
    """Images cut into squares."""

    form: ClassVar[str] = "image"

    channels: int = attrs.field(default=8, validator=at_least(1))
    """Channels inside."""
    heads: int = attrs.field(default=2, validator=divides("channels"))
    """Attention heads."""
    verbose: bool = attrs.field(default=False, metadata=COSMETIC)
    """Prints more."""

    def build(self, bottleneck: Any, sample: Any, vocabulary: int | None = None) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Words(TokenizerSpec):
    """Ids, taken as they are."""

    form: ClassVar[str] = "ids"

    def build(self, bottleneck: Any, sample: Any, vocabulary: int | None = None) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Book(BottleneckSpec):
    """A book of codes."""

    codes: int = attrs.field(validator=at_least(2))
    """Entries."""
    spread: float = attrs.field(default=1.0, validator=above(0))
    compare: Literal["cosine", "euclidean"] = "cosine"
    limit: float | None = None
    shape: tuple[int, float] = (1, 0.5)

    def build(self) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Shaken(BottleneckSpec):
    """Another bottleneck, its codes perturbed."""

    inner: BottleneckSpec
    amounts: tuple[float, ...] = attrs.field(factory=lambda: (0.5, 0.25))

    def build(self) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Ordered(RegularizerSpec):
    """Later codes from earlier ones."""

    optimizer: Optimizer = Optimizer(learning_rate=3e-3)
    layers: int = attrs.field(default=1, validator=at_least(1))

    def build(self, tokenizer: Any) -> Any:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Drafter(DecoderSpec):
    """Needs a draft."""

    drafts: ClassVar[bool] = True

    def build(self) -> Any:
        raise NotImplementedError


COMPONENTS = [
    Component("patches", spec=Patches, summary="squares", examples=(Patches(), Patches(channels=6, heads=3))),
    Component("words", spec=Words, summary="ids as they are", examples=(Words(),)),
    Component("book", spec=Book, summary="a book", examples=(Book(codes=4), Book(codes=9, limit=2.0, shape=(2, 1.0)))),
    Component("shaken", spec=Shaken, summary="perturbed", examples=(Shaken(inner=Book(codes=4)),)),
    Component("ordered", spec=Ordered, summary="in order", examples=(Ordered(), Ordered(weight=0.5, layers=2))),
    Component("drafter", spec=Drafter, summary="drafts", examples=(Drafter(),)),
]


@hookimpl
def crt_components() -> list[Component]:
    """What the tests need beside the built-in components."""
    return COMPONENTS


@click.command()
@reports_errors
def fold() -> None:
    """Fold."""
    answer({"folded": True})


@hookimpl
def crt_commands() -> list[click.Command]:
    """A command."""
    return [fold]

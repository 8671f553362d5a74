"""Specs of Llamas, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs

from crt_ar.llama.shape import SHAPES, LlamaShape, LlamaSize
from crtcore.kinds import PriorSpec
from crtcore.spec import COSMETIC, FieldError, at_least, resolve


def _cut(spec: Llama, attribute: attrs.Attribute[Any], _: int) -> None:
    shape = spec.shape
    if shape.width % shape.heads or shape.width // shape.heads % 2:
        message = f"expected heads of an even whole width, got {shape.width} / {shape.heads}"
        raise FieldError(attribute.name, message)


def _shared(spec: Llama, attribute: attrs.Attribute[Any], _: int) -> None:
    shape = spec.shape
    if shape.heads % shape.key_heads:
        raise FieldError(attribute.name, f"expected a divisor of heads ({shape.heads}), got {shape.key_heads}")


@attrs.frozen(kw_only=True)
class Llama(PriorSpec):
    """Llama 3's transformer with weights of its own: heads that share keys, and stretched rotary positions.

    It has no prefix but the embedding of a start id; where there are classes, theirs stand in its place.
    Source: Dubey et al. (2024), arXiv:2407.21783, section 3.2.
    """

    implementation: ClassVar[str] = "crt_ar.llama.build:new_llama"

    size: LlamaSize = "Llama-3.2-1B"
    """All that makes one Llama another by name, tied embeddings and rotary positions too."""
    layers: int = attrs.field(default=0, validator=at_least(0))
    """Blocks of attention and feed-forward; 0 is what `size` says."""
    width: int = attrs.field(default=0, validator=at_least(0))
    """Channels of a position; 0 is what `size` says."""
    heads: int = attrs.field(default=0, validator=[at_least(0), _cut])
    """Heads of queries, each of an even number of channels; 0 is what `size` says."""
    key_heads: int = attrs.field(default=0, validator=[at_least(0), _shared])
    """Heads of keys and values, a divisor of `heads`; 0 is what `size` says."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Channels inside a feed-forward layer; 0 is what `size` says."""
    start: int = attrs.field(default=0, validator=at_least(0))
    """The id whose embedding stands before every sequence; 128000 in Llama 3's own vocabulary."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """What computes attention; `auto` is xformers where it is installed and runs, torch's own elsewhere."""
    recompute: bool = attrs.field(default=False, metadata=COSMETIC)
    """Compute each block twice in training, and keep far less of it in memory."""

    @property
    def shape(self) -> LlamaShape:
        """All that makes it another than other Llamas."""
        own = {name: getattr(self, name) for name in ("layers", "width", "heads", "key_heads", "hidden")}
        return SHAPES[self.size]._replace(**{name: value for name, value in own.items() if value})


@attrs.frozen(kw_only=True)
class LlamaFolder(PriorSpec):
    """A Llama that begins with the weights in a folder of yours, as transformers leaves them, and is trained further.

    Ids beyond its own vocabulary get new rows, at the mean of its own; what stands before a sequence is its
    `bos_token_id`, or a class, which begins as that.
    """

    implementation: ClassVar[str] = "crt_ar.llama.build:llama_in_folder"

    folder: str
    """Where `config.json` and `model.safetensors`, or its shards, are, from where the command is given."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """What computes attention; `auto` is xformers where it is installed and runs, torch's own elsewhere."""
    recompute: bool = attrs.field(default=False, metadata=COSMETIC)
    """Compute each block twice in training, and keep far less of it in memory."""

    def example_in(self, folder: Path) -> LlamaFolder:
        """A small one."""
        return attrs.evolve(self, folder=_small(folder / "llama"))


@attrs.frozen(kw_only=True)
class FrozenLlama(PriorSpec):
    """The Llama in a folder of yours, as `llama-folder` reads it, and nothing trains it further."""

    implementation: ClassVar[str] = "crt_ar.llama.build:frozen_llama"
    pretrained: ClassVar[bool] = True

    folder: str
    """Where `config.json` and `model.safetensors`, or its shards, are, from where the command is given."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """What computes attention; `auto` is xformers where it is installed and runs, torch's own elsewhere."""

    def example_in(self, folder: Path) -> FrozenLlama:
        """A small one."""
        return attrs.evolve(self, folder=_small(folder / "llama"))


def _small(folder: Path) -> str:
    llama: Any = Llama(layers=2, width=16, heads=4, key_heads=2, hidden=24).build(4, 0, None)
    resolve("crt_ar.llama.files:write_llama")(folder, llama)
    return str(folder)

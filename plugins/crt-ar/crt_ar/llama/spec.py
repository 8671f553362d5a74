"""Specs of Llamas, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs

from crt_ar.llama.shape import SHAPES, LlamaShape, LlamaSize
from crtcore.kinds import PriorSpec
from crtcore.spec import COSMETIC, FILES, FieldError, at_least, resolve


def _even_heads(spec: Llama, attribute: attrs.Attribute[Any], _: int) -> None:
    shape = spec.shape
    if shape.width % shape.heads or shape.width // shape.heads % 2:
        message = f"expected heads of an even whole width, got {shape.width} / {shape.heads}"
        raise FieldError(attribute.name, message)


def _divides_heads(spec: Llama, attribute: attrs.Attribute[Any], _: int) -> None:
    shape = spec.shape
    if shape.heads % shape.key_heads:
        raise FieldError(attribute.name, f"expected a divisor of heads ({shape.heads}), got {shape.key_heads}")


@attrs.frozen(kw_only=True)
class Llama(PriorSpec):
    """Llama 3's transformer with new weights: grouped-query attention and scaled rotary positions.

    The first position is the embedding of a start id, or of the class where there is one.
    Source: Dubey et al. (2024), arXiv:2407.21783, section 3.2.
    """

    implementation: ClassVar[str] = "crt_ar.llama.build:new_llama"

    size: LlamaSize = "Llama-3.2-1B"
    """Name of a published shape, with its tied embeddings and rotary positions."""
    layers: int = attrs.field(default=0, validator=at_least(0))
    """Blocks of attention and feed-forward; 0 takes that of `size`."""
    width: int = attrs.field(default=0, validator=at_least(0))
    """Channels of a position; 0 takes that of `size`."""
    heads: int = attrs.field(default=0, validator=[at_least(0), _even_heads])
    """Heads of queries, each of an even number of channels; 0 takes that of `size`."""
    key_heads: int = attrs.field(default=0, validator=[at_least(0), _divides_heads])
    """Heads of keys and values, a divisor of `heads`; 0 takes that of `size`."""
    hidden: int = attrs.field(default=0, validator=at_least(0))
    """Channels inside a feed-forward layer; 0 takes that of `size`."""
    start: int = attrs.field(default=0, validator=at_least(0))
    """The id whose embedding is the first position; 128000 in Llama 3's vocabulary."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """Backend of attention; `auto` is xformers where it is installed and runs, torch elsewhere."""
    recompute: bool = attrs.field(default=False, metadata=COSMETIC)
    """Compute each block again in the backward pass, which takes far less memory."""

    @property
    def shape(self) -> LlamaShape:
        """The shape of `size` with the fields that are set."""
        own = {name: getattr(self, name) for name in ("layers", "width", "heads", "key_heads", "hidden")}
        return SHAPES[self.size]._replace(**{name: value for name, value in own.items() if value})


@attrs.frozen(kw_only=True)
class LlamaFolder(PriorSpec):
    """A Llama, Mistral, Qwen 2 or Qwen 3 that starts from the weights in a folder, and is trained further.

    The folder is as transformers saves it. Weights are read as float32. Rows fit the sliding window, if there is one.
    Ids beyond the folder's vocabulary get new rows, at the mean of the others. The first position is `bos_token_id`, or
    else the first `eos_token_id`, or else zeros; or the class, whose row starts as that. Where a row without a class
    begins with that id, the id is the first position.
    """

    implementation: ClassVar[str] = "crt_ar.llama.build:llama_in_folder"

    folder: str = attrs.field(metadata=FILES)
    """Folder of `config.json` and `model.safetensors`, or its shards, relative to the working directory."""
    trained: int = attrs.field(default=0, validator=at_least(0))
    """The last blocks that are trained, with the final norm and the rows of new ids and of classes; 0 trains all."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """Backend of attention; `auto` is xformers where it is installed and runs, torch elsewhere."""
    recompute: bool = attrs.field(default=False, metadata=COSMETIC)
    """Compute each block again in the backward pass, which takes far less memory."""

    def example_in(self, folder: Path) -> LlamaFolder:
        """Returns the spec with a small Llama written to `folder`."""
        return attrs.evolve(self, folder=_small(folder / "llama"))


@attrs.frozen(kw_only=True)
class FrozenLlama(PriorSpec):
    """The network in a folder, read as by `llama-folder`, with frozen weights.

    Weights keep the type of the files, and all is computed in it: bfloat16 stays bfloat16. Where the files have several
    types, or float64, weights become float32.
    """

    implementation: ClassVar[str] = "crt_ar.llama.build:frozen_llama"
    pretrained: ClassVar[bool] = True

    folder: str = attrs.field(metadata=FILES)
    """Folder of `config.json` and `model.safetensors`, or its shards, relative to the working directory."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """Backend of attention; `auto` is xformers where it is installed and runs, torch elsewhere."""

    def example_in(self, folder: Path) -> FrozenLlama:
        """Returns the spec with a small Llama written to `folder`."""
        return attrs.evolve(self, folder=_small(folder / "llama"))


def _small(folder: Path) -> str:
    llama: Any = Llama(layers=2, width=16, heads=4, key_heads=2, hidden=24).build(4, 0, None)
    resolve("crt_ar.llama.files:write_llama")(folder, llama)
    return str(folder)

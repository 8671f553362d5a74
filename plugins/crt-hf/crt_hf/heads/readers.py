"""A target and a head in a folder, as generation reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crt_ar.llama.network import LlamaTransformer
from crt_hf.as_read import AsRead
from crt_hf.heads.config import read_head_config, usual
from crt_hf.heads.drafting import HeadDraft
from crt_hf.heads.files import read_head
from crt_hf.heads.network import Head
from crt_hf.heads.watched import Watched
from crt_hf.kept import Kept
from crt_hf.model import Model, Reader
from crt_hf.translated import Intersection
from crt_nn.packed import pack
from crtcore.errors import RunError


def network_of(reader: Reader) -> LlamaTransformer:
    """The network of a target, whose hidden states a head can have.

    Raises: RunError if crt-ar does not read it.
    """
    prior = reader.prior.prior if isinstance(reader.prior, Kept) else reader.prior  # a head needs whole sessions
    if not isinstance(prior, AsRead) or not isinstance(prior.network, LlamaTransformer):
        raise RunError(f"speculators: expected a target that crt-ar reads, whose hidden states a head can have, got "
                       f"{reader.ran}; name another draft")  # fmt: skip
    return prior.network


def drafting(head: Head, target: Watched, own: Sequence[int]) -> HeadDraft:
    """A head as a draft over the ids of its target; `own` are those that it has."""
    names = {str(x): x for x in range(target.vocabulary)}
    common = Intersection(names, {str(x): at for at, x in enumerate(own)}, vocabulary=target.vocabulary, unknown=0)
    return HeadDraft(head, target, common)


def readers_with_head(target: Model, folder: Path) -> list[Reader]:
    """The readers of a target and of a head that drafts for it.

    Raises: RunError if crt-ar does not read the target, or the head does not fit it.
    """
    reader = target.reader("target")
    network, config = network_of(reader), read_head_config(folder)
    blocks = len(network.stack.blocks)
    layers = usual(blocks) if config.layers is None else config.layers
    if not all(0 <= layer <= blocks for layer in layers):
        raise RunError(f"speculators: {folder}: expected layers from 0 to {blocks}, the target's, got {layers}; name "
                       "the target that the head was trained with")  # fmt: skip
    weight = network.embedding.weight
    head, ids = read_head(folder, weight, len(layers))
    head = head.to(weight.device, weight.dtype)
    packing = f"; {pack(head)}" if getattr(network, "packing", "") else ""
    watched = Watched(network, layers)
    size = f"{len(ids)} of the target's {config.vocabulary} ids"
    ran = f"eagle3 head after {', '.join(map(str, layers))} layers, {size}{packing}"
    return [reader._replace(prior=watched), Reader("draft", drafting(head, watched, ids), ran, weight.device)]

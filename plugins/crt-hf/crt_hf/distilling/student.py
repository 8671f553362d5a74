"""The draft: a small Llama over the ids that its target writes most often.

Axes: v the target's ids, d the draft's, w width, b windows, n ids of a window, k likeliest ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.shape import LlamaShape
from crt_hf.distilling.lessons import Lessons
from crt_nn.context import AttentionContext

Size: TypeAlias = Literal["tiny", "small", "head"]


class Form(NamedTuple):
    """What a size stands for."""

    layers: int
    width: int
    heads: int
    hidden: int
    vocabulary: int
    """Ids of the target that it has at most."""
    rate: float
    """The highest learning rate."""


FORMS: Mapping[Size, Form] = {
    "tiny": Form(layers=1, width=128, heads=2, hidden=352, vocabulary=4096, rate=4e-3),
    "small": Form(layers=2, width=256, heads=4, hidden=704, vocabulary=8192, rate=2e-3),
}
SPREAD = 0.02
"""Root mean square of the first values of the embedding, as of other weights."""


def fresh(form: Form, frequent: Int[Tensor, " v"], embedding: Float[Tensor, "u x"], seed: int) -> LlamaTransformer:
    """Returns a new draft, whose id 0 stands for all ids that are not `frequent`.

    Its embedding starts as the principal components of the target's rows, so that ids that are alike there are alike
    here. The other weights are drawn by the seed.
    """
    shape = LlamaShape(
        layers=form.layers, width=form.width, heads=form.heads, key_heads=form.heads, hidden=form.hidden, tied=True,
        base=10_000.0, positions=2048,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        draft = LlamaTransformer(shape, len(frequent) + 1, None, start=None)
        draft.reset_parameters()
    rows = embedding.detach()[frequent.to(embedding.device)].to("cpu", torch.float32)
    rows = rows - rows.mean(0)
    _, spreads, directions = torch.linalg.svd(rows.T @ rows)  # of x by x, whatever the number of ids
    kept = rows @ directions[: form.width].T
    with torch.no_grad():
        weight = draft.embedding.weight
        weight[0] = 0
        if float(spreads[0]) > 0:
            weight[1:, : kept.shape[1]] = kept * (SPREAD / kept.square().mean().sqrt())
    return draft


def loss(draft: LlamaTransformer, windows: Lessons) -> Float[Tensor, ""]:
    """Returns the cross-entropy of the draft to the target's chances of the draft's ids, in nats a place.

    Chances are not normalised over those ids: a place counts as much as the draft can reach there.
    Source: Hinton et al. (2015), arXiv:1503.02531, section 2, at temperature 1.
    """
    ids = windows.ids.long()
    places = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
    states = draft.states(draft.embed(ids), AttentionContext(places))[windows.known]
    logits = draft.logits(states[None])[0, :, 1:]  # of the target's ids alone
    chances = windows.chances[windows.known].float()
    scores = logits.gather(1, (windows.best[windows.known].long() - 1).clamp(min=0)) - logits.logsumexp(1, True)
    return -(chances * scores).sum() / max(len(states), 1)

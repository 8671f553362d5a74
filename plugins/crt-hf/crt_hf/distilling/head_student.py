"""A head as a student: it starts from its target's last states and output layer, and learns to go on from its own.

Axes: b rows, n ids of a row that are read, u the target's states behind one another, o the head's ids, k likeliest ids.
Source: Li et al. (2025), arXiv:2503.01840, section 3, for what is read, and for drafting steps in training.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_ar.llama.network import LlamaTransformer
from crt_hf.distilling.lessons import Row
from crt_hf.heads.config import HeadConfig
from crt_hf.heads.network import Head
from crt_hf.heads.unrolled import unrolled

OWN = 4096
"""Ids of the target that a head has at most."""
RATE, OUTPUT_RATE = 1e-3, 0.2
"""The highest learning rate, and the share of it for the output layer, which starts as the target's."""
ROWS = 8
"""Texts of a step."""
DEEPER, DECAY = 0.5, 0.8
"""Share of the time after which a second drafted id is trained too, and what it counts beside the first."""


class HeadBatch(NamedTuple):
    """Rows of the same width."""

    ids: Int[Tensor, "b n"]
    states: Float[Tensor, "b n u"]
    """The target's states at the ids before."""
    known: Bool[Tensor, "b n"]
    best: Int[Tensor, "b n k"]
    chances: Float[Tensor, "b n k"]


def layers_of(network: LlamaTransformer) -> tuple[int, int, int]:
    """After how many blocks states are read: an early one, the middle, and the last."""
    blocks = len(network.stack.blocks)
    return min(2, blocks), blocks // 2, blocks


def fresh_head(network: LlamaTransformer, frequent: Int[Tensor, " o"], seed: int) -> Head:
    """Returns a new head for a target: the states of its last block, its output layer for the head's ids, its norm.

    What the head adds to the states is 0 at first. Its embedding is the target's, and is not trained.
    """
    theirs = network.shape
    hidden = 32 * -(-4 * theirs.width // 96)
    shape = theirs._replace(
        layers=1, hidden=hidden, tied=False, family="llama", head=theirs.channels, bias="none", feed_bias=False,
        head_norms=False, window=None,
    )  # fmt: skip
    layers = layers_of(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = Head(HeadConfig(shape, network.vocabulary, len(frequent), False, layers), len(layers) * shape.width)
        for module in head.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
    embedding = network.embedding.weight.detach()
    output = embedding if network.head is None else network.head.weight.detach()
    with torch.no_grad():
        head.embedding.weight.copy_(embedding)
        head.head.weight.copy_(output[frequent.to(output.device)])
        head.fuse.weight.zero_()
        head.fuse.weight[:, -shape.width :] = torch.eye(shape.width)
        head.norm.gain.copy_(network.stack.norm.gain)
        head.attention.outward.weight.zero_()
        head.feed.down.weight.zero_()
    head.embedding.weight.requires_grad_(False)
    return head


def head_loss(head: Head, batch: HeadBatch, depth: int) -> Float[Tensor, ""]:
    """Returns the cross-entropy to the target's chances of the head's ids, of later drafted ids by less, in nats.

    As `student.loss`, chances are not normalised over the head's ids.
    """
    total = batch.states.new_zeros(())
    chances, best = batch.chances[batch.known].float(), batch.best[batch.known].long()
    for at, states in enumerate(unrolled(head, batch.ids.long(), batch.states, depth)):
        logits = head.logits(states[batch.known][None])[0]
        scores = logits.gather(1, (best - 1).clamp(min=0)) - logits.logsumexp(1, True)
        total = total - DECAY**at * (chances * scores).sum() / max(len(logits), 1)
    return total


def batch_of(rows: list[Row], dtype: torch.dtype, device: torch.device) -> HeadBatch:
    """Rows beside each other; those that are shorter end with places where nothing is known."""
    width = max(len(row.ids) for row in rows)

    def joined(name: str) -> Tensor:
        parts = [getattr(row, name) for row in rows]
        return torch.stack([
            functional.pad(part, (0, 0) * (part.ndim - 1) + (0, width - len(part))) for part in parts
        ]).to(device)  # fmt: skip

    return HeadBatch(joined("ids"), joined("states").to(dtype), joined("known"), joined("best"), joined("chances"))

"""Rows that have ended are left out of a session that can do so, and change no other row."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from crt_basics.decoders.specs import Ancestral
from crt_nn.attention import Attention
from crt_nn.block import Stack
from crt_nn.context import AttentionContext
from crt_nn.prefixed import Prefixed
from crt_nn.session import CachedSession
from crt_verify.lookup.spec import Lookup
from crtcore import Limits, Noise, Sampling
from crtcore.kinds import Request

VOCABULARY = 7


class Small(Prefixed):
    """A transformer with random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.vocabulary, self.classes = VOCABULARY, 0
        self.embedding, self.prefixes = nn.Embedding(VOCABULARY, 16), nn.Embedding(1, 16)
        self.stack = Stack(16, 2, [partial(Attention, heads=2)])
        self.head = nn.Linear(16, VOCABULARY)

    def states(self, features: Tensor, context: AttentionContext) -> Tensor:
        states: Tensor = self.stack(features, context)
        return states

    def forward_states(self, ids: Tensor, class_ids: Tensor | None, noise: Noise | None = None) -> Tensor:
        features = self.begin(ids, class_ids)
        return self.states(features, AttentionContext(torch.arange(features.shape[1]).expand(len(ids), -1)))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_that_have_ended_are_left_out(monkeypatch: pytest.MonkeyPatch, temperature: float) -> None:
    prior, sizes, extend = Small().double(), list[int](), CachedSession.extend

    def counted(session: CachedSession, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        sizes.append(len(ids))
        return extend(session, ids, parents)

    prompt = torch.tensor(
        [[1, 2, 1, 2, 1], [3, 4, -1, -1, -1], [5, 5, 5, -1, -1], [6, 0, 6, 0, -1], [2, -1, -1, -1, -1]]
    )
    request = Request(
        prompt, Limits(length=30, stop=(3,)), Sampling(temperature=temperature), seeds=torch.arange(len(prompt))
    )
    expected = Ancestral().build().generate(prior, request).ids
    monkeypatch.setattr(CachedSession, "extend", counted)

    generation = Lookup().build().generate(prior, request)

    lengths = (expected >= 0).sum(-1)
    assert lengths.unique().numel() > 1
    assert torch.equal(generation.ids, expected)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]
    assert sum(sizes) == int((generation.target_calls - 1).sum())  # no row took part in a call that it did not need

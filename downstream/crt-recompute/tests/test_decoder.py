"""The laws of decoders hold, and ids are those of a prior's full pass."""

from __future__ import annotations

import pytest
import torch
from crt_recompute.plugin import Recompute

import crtcore
from crt_laws import obeys
from crtcore import Limits
from crtcore.kinds import Request

test_the_decoder = obeys(Recompute())


def test_crtcore_finds_it() -> None:
    assert crtcore.discover().find("decoder", "recompute").spec is Recompute


def test_it_opens_no_session_and_takes_the_likeliest_ids_of_full_passes() -> None:
    prior = crtcore.discover().find("prior", "table").spec(order=1).build(4, 6, None)
    prior.open = lambda *_, **__: pytest.fail("a session was opened")
    prompt = torch.tensor([[1, 2], [3, -1]])
    request = Request(prompt, Limits(length=2), crtcore.Sampling(temperature=0.0))

    ids = Recompute().build().generate(prior, request).ids

    for row, start in zip(ids.tolist(), ([1, 2], [3]), strict=True):
        first = int(prior(torch.tensor([start]))[0, -1].argmax())
        second = int(prior(torch.tensor([[*start, first]]))[0, -1].argmax())
        assert row == [first, second]

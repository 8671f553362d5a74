"""Priors of images compute the same with packed weights, their output layers too."""

from typing import Any

import pytest
import torch

from crt_ar.specs import LlamaGen, Transformer
from crt_nn import fused
from crt_nn.packed import native, pack


@pytest.mark.parametrize(
    "spec",
    [Transformer(layers=2, width=32, heads=4), LlamaGen(layers=2, width=32, heads=4)],
    ids=["transformer", "llamagen"],
)
def test_logits_with_packed_weights(spec: Transformer | LlamaGen) -> None:
    torch.manual_seed(0)
    prior = spec.build(11, 9, 3).eval().requires_grad_(False)
    prior.head.weight.normal_()
    ids, classes = torch.randint(11, (2, 9)), torch.tensor([0, 2])
    with torch.no_grad():
        before = prior(ids, classes)
        said = pack(prior)
        after = prior(ids, classes)
    assert said.startswith("packed: 10 layers")  # two norms and two sub-layers in each block, a norm and the head
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    assert not torch.equal(after, before)


def test_a_session_takes_blocks_with_dropout_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    prior = LlamaGen(layers=2, width=32, heads=4).build(11, 9, 3).eval().requires_grad_(False)
    prior.head.weight.normal_()
    ids, classes = torch.randint(11, (2, 9)), torch.tensor([0, 2])
    expected = prior(ids, classes)
    pack(prior)
    whole, called = fused.WholeBlock.__call__, list[object]()

    def counted(*args: Any) -> torch.Tensor:
        called.append(args)
        return whole(*args)

    monkeypatch.setattr(fused.WholeBlock, "__call__", counted)
    session = prior.open(ids[:, :4], classes, capacity=9, room=5)
    logits = session.extend(ids[:, 4:])

    torch.testing.assert_close(logits, expected[:, 5:], rtol=1e-4, atol=1e-5)
    assert len(called) == (2 * 2 if native() else 0)

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


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("spec", [Transformer(layers=2, width=32, heads=4), LlamaGen(layers=2, width=32, heads=4)])
def test_no_rows_and_no_new_ids_are_steps_too(spec: Transformer | LlamaGen, packed: bool) -> None:
    prior = spec.build(11, 9, 3).eval().requires_grad_(False)
    if packed:
        pack(prior)
    ids, classes = torch.randint(11, (2, 4)), torch.tensor([0, 2])

    with torch.no_grad():
        whole = prior(ids[:0], classes[:0])
        none = prior.open(ids[:0], classes[:0], capacity=9, room=5)
        after = none.extend(ids[:0, :2])
        some = prior.open(ids, classes, capacity=9, room=5)
        nothing = some.extend(ids[:, :0])
        later = some.extend(ids[:, :2])

    assert (whole.shape, none.next_logits.shape, after.shape) == ((0, 5, 11), (0, 11), (0, 2, 11))
    assert nothing.shape == (2, 0, 11)
    torch.testing.assert_close(later, prior(torch.cat((ids, ids[:, :2]), 1), classes)[:, 5:], rtol=1e-4, atol=1e-5)

"""Priors of images compute the same with packed weights, their output layers too."""

import pytest
import torch

from crt_ar.specs import LlamaGen, Transformer
from crt_nn.packed import pack


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

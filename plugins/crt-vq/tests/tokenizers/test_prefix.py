"""The prefix: what the decoder reads, what moves the prefix, and what it costs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from crt_vq import VQ, CausalCE, Conv, Prefix, ResidualVQ
from crtcore import Noise
from crtcore.errors import RunError
from crtcore.kinds import BottleneckOutput, Encoded


class Pass:
    """A bottleneck whose codes are its features."""

    width, vocabulary = 4, None

    def __call__(self, features: Tensor, *, noise: Noise | None = None) -> BottleneckOutput:
        """The features."""
        return BottleneckOutput(features, features, None, features.new_zeros(len(features)), features.new_zeros(()))


SMALL = Prefix(tokenizer=Conv(channels=4), count=3, codes=5)


def images() -> Tensor:
    """Uniform images."""
    return 2 * torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)) - 1


def built(spec: Prefix = SMALL, bottleneck: Any = None) -> Any:
    """A tokenizer of 16 cells."""
    torch.manual_seed(0)
    return spec.build((bottleneck or VQ(codes=8)).build(), images())


def test_the_prefix_comes_first() -> None:
    tokenizer = built()

    encoded = tokenizer(images())

    assert tokenizer.length == 19
    assert tokenizer.vocabulary == 8
    assert torch.equal(encoded.ids[:, 3:], tokenizer.inner.encode(images()))
    assert encoded.ids[:, :3].max() < 5


def test_the_decoder_does_not_read_the_prefix() -> None:
    tokenizer = built()
    ids = tokenizer.encode(images())
    other = ids.clone()
    other[:, :3] = torch.tensor([7, 0, 2])

    assert torch.equal(tokenizer.decode(other), tokenizer.decode(ids))


def test_the_rate_counts_both_parts() -> None:
    assert built()(images()).rate.tolist() == pytest.approx([3 * math.log(5) + 16 * math.log(8)] * 4)


def test_codes_are_entries_of_length_one() -> None:
    tokenizer = built()
    encoded = tokenizer(images())
    entries = torch.nn.functional.normalize(tokenizer.entries, dim=-1)

    torch.testing.assert_close(encoded.codes[:, :3], entries[encoded.ids[:, :3]])
    assert torch.equal(encoded.ids[:, :3], (encoded.latents[:, :3] @ entries.T).argmax(-1))


def test_the_gradient_is_that_of_a_softmax_over_cosines() -> None:
    tokenizer = built()
    encoded = tokenizer(images())
    upstream = torch.randn(encoded.codes.shape, generator=torch.Generator().manual_seed(2))
    entries = torch.nn.functional.normalize(tokenizer.entries, dim=-1).detach()

    (through,) = torch.autograd.grad(encoded.codes, encoded.features, upstream)

    features = tokenizer.inner(images()).features.detach().requires_grad_()
    mean = (tokenizer._latents(features) @ entries.T / 0.1).softmax(-1) @ entries
    (expected,) = torch.autograd.grad(mean, features, upstream[:, :3])
    torch.testing.assert_close(through, expected)


def moved(tokenizer: Any, **fields: Any) -> set[str]:
    """The parameters of a tokenizer that the cross-entropy of ids moves."""
    regularizer = CausalCE(layers=1, width=8, heads=2, first="learned", **fields).build(tokenizer)
    regularizer(images(), tokenizer(images()), 1.0).loss.backward()
    named = tokenizer.named_parameters()
    return {
        name.split(".")[0] + "." + name.split(".")[1] if "." in name else name
        for name, p in named
        if p.grad is not None
    }


def test_cross_entropy_moves_the_prefix_and_the_shared_encoder() -> None:
    assert moved(built()) == {"entries", "summarise.1", "summarise.3", "inner.encoder"}


def moves_features(encoded: Encoded, cells: slice) -> bool:
    """Whether a loss on the codes of cells reaches the encoder's features."""
    loss = encoded.codes[:, cells].sum()
    (gradient,) = torch.autograd.grad(loss, encoded.features, retain_graph=True, allow_unused=True)
    return gradient is not None and bool(gradient.any())


def test_cells_get_no_gradient_of_a_loss_on_codes() -> None:
    encoded = built()(images())

    assert moves_features(encoded, slice(3))
    assert not moves_features(encoded, slice(3, None))


def test_codes_of_cells_with_a_gradient_are_noticed() -> None:
    assert moves_features(built().inner(images()), slice(None))


def test_nothing_else_trains_the_prefix() -> None:
    tokenizer = built()

    tokenizer(images()).loss.backward()

    assert tokenizer.entries.grad is None
    assert all(parameter.grad is None for parameter in tokenizer.summarise.parameters())
    assert all(parameter.grad is not None for parameter in tokenizer.inner.encoder.parameters())


def test_several_codes_of_a_cell_are_kept() -> None:
    tokenizer = built(bottleneck=ResidualVQ(codes=8, depth=2))
    ids = tokenizer.encode(images())

    assert ids.shape == (4, 35)
    assert torch.equal(tokenizer.decode(ids), tokenizer.inner.decode(ids[:, 3:]))


def test_statistics_come_from_the_cells() -> None:
    tokenizer, alone = (built(bottleneck=VQ(codes=8, decay=0.9)) for _ in range(2))

    tokenizer.after_step(tokenizer(images()))
    alone.inner.after_step(alone.inner(images()))

    assert torch.equal(tokenizer.inner.bottleneck.entries, alone.inner.bottleneck.entries)


def test_more_codes_than_ids_are_refused() -> None:
    spec = Prefix(tokenizer=Conv(channels=4))

    with pytest.raises(RunError, match=r"prefix: expected a bottleneck with at least 1024 ids, .* got 8; use fewer"):
        built(spec)


def test_continuous_codes_are_refused() -> None:
    with pytest.raises(RunError, match="got one whose codes are continuous"):
        SMALL.build(Pass(), images())


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 19 ids a row"):
        built().decode(torch.zeros(1, 16, dtype=torch.int64))

"""End-to-end training: the next-id loss by hand, and where its gradient goes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from crt_vq import VQ, CausalDecoder, Conv, EndToEnd
from crt_vq.regularizers.end_to_end import EndToEndRegularizer
from crt_vq.regularizers.generator import Generator, next_id_loss
from crtcore.kinds import Encoded


def images(count: int = 4) -> Tensor:
    """Uniform images."""
    return 2 * torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1)) - 1


def built(**fields: Any) -> tuple[EndToEndRegularizer, Any]:
    """A small regulariser and its tokenizer of 16 ids of 6 codes."""
    torch.manual_seed(0)
    tokenizer = Conv(channels=4).build(VQ(codes=6).build(), images())
    regularizer: Any = EndToEnd(layers=1, width=8, heads=2, **fields).build(tokenizer)
    return regularizer, tokenizer


def test_the_loss_is_the_mean_cross_entropy_of_present_ids() -> None:
    logits = torch.tensor([[[math.log(3), 0.0], [0.0, 0.0]]])  # probabilities 3/4 and 1/4, then 1/2 and 1/2
    targets = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])

    both = next_id_loss(logits, targets, torch.tensor([[True, True]]))
    first = next_id_loss(logits, targets, torch.tensor([[True, False]]))

    assert both.item() == pytest.approx((math.log(4) + math.log(2)) / 2)
    assert first.item() == pytest.approx(math.log(4))


def test_soft_targets_weigh_the_cross_entropy() -> None:
    loss = next_id_loss(torch.tensor([[[math.log(3), 0.0]]]), torch.tensor([[[0.5, 0.5]]]), torch.tensor([[True]]))

    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_logits_depend_on_earlier_ids_alone() -> None:
    generator = Generator(EndToEnd(layers=3, width=8, heads=2), 6, 5)
    assignments = torch.eye(6)[torch.tensor([[0, 1, 2, 3, 4]])]
    changed = assignments.clone()
    changed[0, 2] = torch.eye(6)[5]

    one, other = (generator.logits(generator.hidden(each)) for each in (assignments, changed))

    moved = ((one - other).abs() > 1e-6).any(-1)[0].tolist()
    assert moved == [False, False, False, True, True]


@pytest.mark.parametrize(("layers", "depth"), [(1, 1), (2, 1), (3, 1), (12, 4), (24, 8), (36, 12)])
def test_a_third_of_the_layers_is_read(layers: int, depth: int) -> None:
    assert Generator(EndToEnd(layers=layers, width=8, heads=2), 4, 3).depth == depth


@pytest.mark.parametrize("read_out", ["straight-through", "soft"])
def test_the_gradient_reaches_encoder_and_codes(read_out: Any) -> None:
    regularizer, tokenizer = built(read_out=read_out)

    regularizer(images(), tokenizer(images()), 1.0).loss.backward()

    gradients = [parameter.grad for parameter in [*tokenizer.encoder.parameters(), tokenizer.bottleneck.entries]]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    assert all(parameter.grad is None for parameter in [*tokenizer.decoder.parameters(), *regularizer.parameters()])


def last_and_first(regularizer: EndToEndRegularizer, encoded: Encoded) -> list[bool]:
    """Whether the last and the first latent get a gradient: the last is never read, the first always."""
    (gradient,) = torch.autograd.grad(regularizer(images(), encoded, 1.0).loss, encoded.latents)
    return [bool(gradient[:, -1].any()), bool(gradient[:, 0].any())]


def test_the_context_alone_gets_a_gradient() -> None:
    regularizer, tokenizer = built(through="context")

    assert last_and_first(regularizer, tokenizer(images())) == [False, True]


def test_the_targets_get_a_gradient_as_well() -> None:
    regularizer, tokenizer = built(through="both")

    assert last_and_first(regularizer, tokenizer(images())) == [True, True]


def test_both_gradients_are_the_sum_of_the_two() -> None:
    gradients = {}
    for through in ("context", "target", "both"):
        regularizer, tokenizer = built(through=through)
        encoded = tokenizer(images())
        (gradients[through],) = torch.autograd.grad(regularizer(images(), encoded, 1.0).loss, encoded.latents)

    torch.testing.assert_close(gradients["both"], gradients["context"] + gradients["target"])


def test_hard_ids_have_the_value_of_the_soft_ones_as_the_temperature_falls() -> None:
    penalties = []
    for read_out in ("straight-through", "soft"):
        regularizer, tokenizer = built(read_out=read_out, temperature=1e-7)
        penalties.append(regularizer(images(), tokenizer(images()), 1.0).own_loss.item())

    assert penalties[0] == pytest.approx(penalties[1], rel=1e-5)


def test_ids_collapse_where_nothing_else_is_minimised() -> None:
    regularizer, tokenizer = built()
    optimizer = torch.optim.Adam([*tokenizer.parameters(), *regularizer.parameters()], lr=1e-2)
    before = len(tokenizer.encode(images(64)).unique())

    for _ in range(150):
        penalty = regularizer(images(64), tokenizer(images(64)), 1.0)
        optimizer.zero_grad()
        (penalty.loss + penalty.own_loss).backward()
        optimizer.step()

    assert len(tokenizer.encode(images(64)).unique()) < before
    assert penalty.metrics["cross_entropy"] < 0.1


def test_the_weight_rises_linearly() -> None:
    regularizer, tokenizer = built(start=0.5, ramp=0.2)

    penalty = regularizer(images(), tokenizer(images()), 0.6)

    assert penalty.loss.item() == pytest.approx(0.5 * penalty.own_loss.item())


def test_it_works_on_codes_that_a_causal_decoder_shapes() -> None:
    spec = CausalDecoder(tokenizer=Conv(channels=4), layers=1, width=8, heads=2)
    tokenizer = spec.build(VQ(codes=6).build(), images())

    penalty = EndToEnd(layers=1, width=8, heads=2).build(tokenizer)(images(), tokenizer(images()), 1.0)

    assert math.isfinite(penalty.loss.item())

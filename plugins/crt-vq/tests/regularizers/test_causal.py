"""The causal regulariser: what its losses move, when, and the effect of shrinking features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crt_vq import VQ, Causal, Conv, ResidualVQ
from crt_vq.regularizers.causal import CausalRegularizer
from crtcore.kinds import Encoded

CHOICES = [
    {},
    {"layers": 0},
    {"head": "mixing"},
    {"head": "masked"},
    {"space": "raw", "reduction": "norm"},
    {"space": "straight-through", "reduction": "sum"},
    {"error": "cosine"},
    {"error": "nll"},
    {"first": "learned"},
    {"order": (4, 0, 3, 1, 2)},
]


def built(latent: int = 3, length: int = 5, **fields: Any) -> CausalRegularizer:
    """A small regulariser in float64."""
    torch.manual_seed(0)
    return CausalRegularizer(Causal(**{"layers": 2, "width": 8, "heads": 2, **fields}), latent, length).double()


def encoded(latents: Tensor) -> Encoded:
    """An `Encoded` of which only the latents matter."""
    mask = torch.ones(latents.shape[:2], dtype=torch.bool)
    zero = latents.new_zeros(len(latents))
    return Encoded(latents, latents, latents, None, mask, latents, zero, zero, latents.new_zeros(()))


def drawn(*shape: int) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def doubling(**fields: Any) -> CausalRegularizer:
    """A linear head that predicts twice the previous latent."""
    regularizer = built(latent=2, length=2, layers=0, **fields)
    regularizer.foreteller.head.weight.data = 2 * torch.eye(2).double()
    regularizer.foreteller.head.bias.data.zero_()  # type: ignore[operator]
    return regularizer


@pytest.mark.parametrize(("reduction", "error"), [("mean", 12.5), ("sum", 25.0), ("norm", 5.0)])
def test_the_error_of_two_latents_is_that_of_the_second(reduction: str, error: float) -> None:
    latents = torch.tensor([[[1.0, 2.0], [5.0, 8.0]]]).double()  # 2 * 1 is 3 from 5, 2 * 2 is 4 from 8

    penalty = doubling(reduction=reduction)(torch.zeros(1), encoded(latents), 1.0)

    assert penalty.loss.item() == penalty.own_loss.item() == error


def test_a_learned_first_latent_adds_the_error_of_the_first() -> None:
    latents = torch.tensor([[[1.0, 2.0], [5.0, 8.0]]]).double()  # it starts at 0, twice of which is 0

    penalty = doubling(first="learned")(torch.zeros(1), encoded(latents), 1.0)

    assert penalty.own_loss.item() == (12.5 + (1**2 + 2**2) / 2) / 2


def test_the_error_is_a_mean_over_present_positions() -> None:
    batch = encoded(torch.tensor([[[1.0, 2.0], [5.0, 8.0]], [[1.0, 2.0], [9.0, 9.0]]]).double())

    penalty = doubling()(torch.zeros(2), batch._replace(mask=torch.tensor([[True, True], [True, False]])), 1.0)

    assert penalty.own_loss.item() == 12.5


def test_a_sample_of_one_latent_has_no_error() -> None:
    penalty = built(length=1)(torch.zeros(2), encoded(drawn(2, 1, 3)), 1.0)

    assert penalty.loss.item() == penalty.own_loss.item() == 0


@pytest.mark.parametrize(
    "fields", [{}, {"layers": 0}, {"head": "mixing"}, {"head": "masked"}, {"error": "cosine"}], ids=str
)
def test_constant_latents_can_be_predicted(fields: dict[str, Any]) -> None:
    regularizer = built(length=4, **fields)
    batch = encoded(drawn(1, 1, 3).expand(4, 4, 3))
    optimizer = torch.optim.Adam(regularizer.parameters(), lr=1e-2)

    for _ in range(300):
        optimizer.zero_grad()
        regularizer(torch.zeros(4), batch, 0.0).own_loss.backward()
        optimizer.step()

    assert regularizer(torch.zeros(4), batch, 0.0).own_loss.item() < 1e-4


@pytest.mark.parametrize("fields", CHOICES, ids=str)
def test_both_gradients_are_those_of_the_plain_error(fields: dict[str, Any]) -> None:
    regularizer = built(**fields)
    latents = drawn(2, 5, 3).requires_grad_()
    batch = encoded(latents)
    parameters = list(regularizer.parameters())
    plain = regularizer.error(latents, batch.mask)
    expected = torch.autograd.grad(plain, [latents, *parameters])

    penalty = regularizer(torch.zeros(2), batch, 1.0)
    got = torch.autograd.grad(penalty.loss + penalty.own_loss, [latents, *parameters])

    assert penalty.loss.item() == penalty.own_loss.item() == plain.item()
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("layers", [0, 1])
@pytest.mark.parametrize(
    ("detach", "reached"), [("none", [True, True]), ("target", [True, False]), ("input", [False, True])]
)
def test_what_is_detached_gets_no_gradient(detach: str, reached: list[bool], layers: int) -> None:
    latents = drawn(1, 2, 3).requires_grad_()
    regularizer = built(length=2, layers=layers, detach=detach)

    (gradient,) = torch.autograd.grad(regularizer(torch.zeros(1), encoded(latents), 1.0).loss, latents)

    assert gradient[0].any(-1).tolist() == reached


def test_detaching_changes_neither_the_error_nor_the_gradient_of_the_head() -> None:
    batch = encoded(drawn(2, 5, 3))
    regularizers = [built(detach=detach) for detach in ("none", "target", "input")]

    owns = [regularizer(torch.zeros(2), batch, 1.0).own_loss for regularizer in regularizers]

    plain, *others = [
        torch.autograd.grad(own, list(regularizer.parameters()))
        for own, regularizer in zip(owns, regularizers, strict=True)
    ]
    assert owns[0] == owns[1] == owns[2]
    for other in others:
        torch.testing.assert_close(other, plain)


@pytest.mark.parametrize(
    ("space", "reached"),
    [("raw", ["features"]), ("compared", ["latents"]), ("straight-through", ["codes"])],
)
def test_the_gradient_is_at_the_chosen_space(space: str, reached: list[str]) -> None:
    leaves = {name: drawn(2, 5, 3).requires_grad_() for name in ("features", "latents", "codes")}
    batch = encoded(drawn(2, 5, 3))._replace(**leaves)

    built(space=space)(torch.zeros(2), batch, 1.0).loss.backward()

    assert [name for name, leaf in leaves.items() if leaf.grad is not None and leaf.grad.any()] == reached


@pytest.mark.parametrize("space", ["compared", "raw", "straight-through"])
@pytest.mark.parametrize("detach", ["none", "target", "input"])
def test_the_gradient_reaches_only_the_encoder(space: Any, detach: Any) -> None:
    images = torch.rand(2, 1, 8, 8)
    tokenizer = Conv(channels=4).build(VQ(codes=16).build(), images)
    batch = tokenizer(images)

    Causal(layers=1, width=8, heads=2, space=space, detach=detach).build(tokenizer)(images, batch, 1.0).loss.backward()

    gradients = [parameter.grad for parameter in tokenizer.encoder.parameters()]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    others = [*tokenizer.decoder.parameters(), *tokenizer.bottleneck.parameters()]  # type: ignore[attr-defined]
    assert all(parameter.grad is None for parameter in others)


def loss_and_ids(features: Tensor, space: Any) -> tuple[Tensor, Tensor]:
    """The loss of features behind a cosine codebook under a linear head without a bias, and their ids."""
    torch.manual_seed(0)
    codebook, regularizer = VQ(codes=16, width=3).build().double(), built(layers=0, space=space)
    regularizer.foreteller.head.bias.data.zero_()  # type: ignore[operator]
    codes, latents, ids, _, _ = codebook(features)
    batch = encoded(features)._replace(latents=latents, codes=codes)
    assert ids is not None
    return regularizer(torch.zeros(2), batch, 1.0).loss, ids


@pytest.mark.parametrize(("space", "share"), [("compared", 1.0), ("straight-through", 1.0), ("raw", 1e-6)])
def test_shrinking_the_features_lowers_the_loss_only_in_raw_space(space: str, share: float) -> None:
    features = drawn(2, 5, 3)

    loss, ids = loss_and_ids(features, space)
    shrunk, same = loss_and_ids(features / 1000, space)

    assert torch.equal(ids, same)  # the task of stage 2 is the same in every space
    torch.testing.assert_close(shrunk, share * loss, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("space", "degree"), [("compared", 0.0), ("raw", 2.0)])
def test_only_raw_space_has_a_gradient_toward_the_origin(space: str, degree: float) -> None:
    features = drawn(2, 5, 3).requires_grad_()
    loss, _ = loss_and_ids(features, space)

    (gradient,) = torch.autograd.grad(loss, features)

    # By Euler's theorem: the error is of degree 2 in the length of raw features, of degree 0 if that is scaled to 1.
    assert (gradient * features).sum().item() == pytest.approx(degree * loss.item(), abs=1e-12)


def test_the_default_loss_does_not_depend_on_the_length_of_features() -> None:
    features = drawn(2, 5, 3)

    torch.testing.assert_close(
        loss_and_ids(features, "compared")[0], loss_and_ids(functional.normalize(features, dim=-1), "compared")[0]
    )


def test_raw_space_needs_a_feature_for_each_code() -> None:
    images = torch.rand(2, 1, 8, 8)
    tokenizer = Conv(channels=4).build(ResidualVQ(codes=4, depth=2).build(), images)
    regularizer = Causal(space="raw").build(tokenizer)

    with pytest.raises(ValueError, match="expected a feature for each of 32 codes, got 16; take another space"):
        regularizer(images, tokenizer(images), 1.0)


@pytest.mark.parametrize(
    ("fields", "progress", "share"),
    [
        ({"ramp": 0.2}, 0.0, 0.0),
        ({"ramp": 0.2}, 0.05, 0.25),
        ({"ramp": 0.2}, 0.2, 1.0),
        ({"ramp": 0.2}, 1.0, 1.0),
        ({"ramp": 0.2, "start": 0.5}, 0.49, 0.0),
        ({"ramp": 0.2, "start": 0.5}, 0.6, 0.5),
        ({"ramp": 0.2, "start": 0.5}, 0.7, 1.0),
        ({"ramp": 0.0, "start": 0.5}, 0.49, 0.0),
        ({"ramp": 0.0, "start": 0.5}, 0.5, 1.0),
    ],
    ids=str,
)
def test_the_weight_rises_linearly_over_the_ramp_once_it_starts(
    fields: dict[str, float], progress: float, share: float
) -> None:
    regularizer = built(**fields)
    batch = encoded(drawn(2, 5, 3))

    penalty = regularizer(torch.zeros(2), batch, progress)

    assert penalty.loss.item() == pytest.approx(share * penalty.own_loss.item())


def test_the_ramp_begins_where_the_loss_does() -> None:
    regularizer, batch = built(last=0.25, ramp=0.2), encoded(drawn(2, 5, 3))

    begins, halfway = (regularizer(torch.zeros(2), batch, progress) for progress in (0.75, 0.85))

    assert begins.loss.item() == 0
    assert halfway.loss.item() == pytest.approx(0.5 * halfway.own_loss.item())


def test_without_a_ramp_the_weight_is_whole_from_the_start() -> None:
    penalty = built(ramp=0.0)(torch.zeros(2), encoded(drawn(2, 5, 3)), 0.0)

    assert penalty.loss.item() == penalty.own_loss.item() > 0


def test_the_head_learns_where_no_gradient_is_recorded_for_the_tokenizer() -> None:
    regularizer = built()

    penalty = regularizer(torch.zeros(2), encoded(drawn(2, 5, 3)), 0.5)

    assert not penalty.loss.requires_grad
    assert penalty.own_loss.requires_grad


def test_the_metrics_have_the_error_and_the_gradient_norm_at_the_latents() -> None:
    latents = drawn(2, 5, 3).requires_grad_()
    penalty = built(ramp=0.5)(torch.zeros(2), encoded(latents)._replace(ids=torch.zeros(2, 5).long()), 0.25)

    (gradient,) = torch.autograd.grad(penalty.loss, latents)

    assert penalty.metrics["prediction_error"] == penalty.own_loss.item()
    assert penalty.metrics["latent_gradient_norm"] == pytest.approx(gradient.norm().item())
    assert penalty.metrics.keys() - {"prediction_error", "latent_gradient_norm"} == {
        "latent_norm", "codes_used", "unigram_entropy",
    }  # fmt: skip

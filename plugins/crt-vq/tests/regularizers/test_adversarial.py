"""The adversarial regulariser: the hinge by hand, what each loss moves, when, and the adaptive weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crt_laws.toys import Patches
from crt_run.training.losses import detached
from crt_vq import VQ, Adversarial, Conv
from crt_vq.regularizers.adversarial import AdversarialRegularizer, hinge_loss
from crt_vq.regularizers.patchgan import patch_discriminator, smallest_image
from crtcore.errors import RunError
from crtcore.kinds import Encoded

IMAGES = 2 * torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1


def tokenizer(**fields: Any) -> Any:
    torch.manual_seed(0)
    return Conv(channels=4).build(VQ(codes=8, **fields).build(), IMAGES)


def adversary(of: Any, **fields: Any) -> AdversarialRegularizer:
    torch.manual_seed(1)
    return Adversarial(**{"layers": 1, "channels": 4, **fields}).build(of)


class Scale(nn.Module):
    """A discriminator whose logit is the pixel times a learned factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images


def encoded(reconstruction: Tensor) -> Encoded:
    """An `Encoded` of which only the reconstruction matters."""
    none = reconstruction.detach().flatten(1)[..., None]
    mask = torch.ones(none.shape[:2], dtype=torch.bool)
    zero = none[:, 0, 0]
    return Encoded(none, none, none, None, mask, reconstruction, zero, zero, zero.sum())


def test_the_hinge_of_two_logits_each_is_worked_out_by_hand() -> None:
    # Real: 0 and 0.5, fake: 0 and 1.25; half the sum of their means.
    assert hinge_loss(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.25])).item() == (0.25 + 0.625) / 2


def test_both_losses_and_gradients_are_worked_out_by_hand() -> None:
    regularizer = adversary(tokenizer())
    regularizer.judge = Scale(0.5)  # type: ignore[assignment]
    data = torch.tensor([[[[4.0]]], [[[1.0]]]])
    made = torch.tensor([[[[-6.0]]], [[[0.5]]]], requires_grad=True)

    penalty = regularizer(data, encoded(made), 1.0)

    # Logits: 2 and 0.5 of data, -3 and 0.25 of reconstructions.
    assert penalty.loss.item() == -(-3 + 0.25) / 2
    assert penalty.own_loss.item() == (0.25 + 0.625) / 2
    assert torch.autograd.grad(penalty.loss, made, retain_graph=True)[0].flatten().tolist() == [-0.25, -0.25]
    (own,) = torch.autograd.grad(penalty.own_loss, regularizer.judge.factor)
    assert own.item() == (-1 / 2 + 0.5 / 2) / 2  # data at 1 is under 1, the reconstruction at 0.5 is over -1
    assert penalty.metrics == {"real_logit": 1.25, "fake_logit": -1.375}


def test_each_side_learns_only_from_its_own_loss() -> None:
    made = tokenizer()
    regularizer = adversary(made)
    reached = made(IMAGES)

    penalty = regularizer(IMAGES, reached, 1.0)

    (gradient,) = torch.autograd.grad(penalty.loss, reached.features, retain_graph=True)
    assert gradient.any()
    discriminator = list(regularizer.parameters())
    assert torch.autograd.grad(penalty.loss, discriminator, retain_graph=True, allow_unused=True) == (None,) * len(
        discriminator
    )
    own = torch.autograd.grad(penalty.own_loss, discriminator, retain_graph=True)
    assert all(each.any() for each in own[:-1])  # inside both margins the last shift moves both means alike
    ours = list(made.parameters())
    assert torch.autograd.grad(penalty.own_loss, ours, allow_unused=True) == (None,) * len(ours)


@pytest.mark.parametrize(("progress", "started"), [(0.0, False), (0.49, False), (0.5, True), (1.0, True)])
def test_before_the_start_both_losses_are_0(progress: float, started: bool) -> None:
    made = tokenizer()
    regularizer = adversary(made, start=0.5)
    before = [each.clone() for each in regularizer.state_dict().values()]

    penalty = regularizer(IMAGES, made(IMAGES), progress)

    assert (penalty.loss.requires_grad, penalty.own_loss.requires_grad) == (started, started)
    assert bool(penalty.own_loss != 0) == started
    after = regularizer.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True)) == (not started)


def test_the_adaptive_weight_equalises_the_gradients_at_the_last_layer() -> None:
    made = tokenizer()
    plain, adaptive = adversary(made), adversary(made, adaptive=True)
    reached = made(IMAGES)

    ours, even = plain(IMAGES, reached, 1.0), adaptive(IMAGES, reached, 1.0)

    last = made.decoder[-1].weight
    norms = [
        torch.autograd.grad(loss, last, retain_graph=True)[0].norm().item()
        for loss in (reached.loss, ours.loss, even.loss)
    ]
    factor = norms[0] / (norms[1] + 1e-4)
    assert even.metrics["adaptive_weight"] == pytest.approx(factor, rel=1e-5)
    assert norms[2] == pytest.approx(factor * norms[1], rel=1e-5)
    assert even.own_loss == ours.own_loss


def test_the_adaptive_weight_has_an_upper_limit() -> None:
    made = tokenizer()
    regularizer = adversary(made, adaptive=True)
    reached = made(IMAGES)

    penalty = regularizer(IMAGES, reached._replace(loss=1e9 * reached.loss), 1.0)

    assert penalty.metrics["adaptive_weight"] == 1e4


def test_the_adaptive_weight_triggers_no_update_of_codes() -> None:
    made = tokenizer(patience=3)
    regularizer = adversary(made, adaptive=True)

    regularizer(IMAGES, made(IMAGES), 1.0)

    assert made.bottleneck.upkeep.steps == 0


def test_at_weight_0_the_discriminator_learns_and_no_weight_is_adapted() -> None:
    made = tokenizer()
    regularizer = adversary(made, adaptive=True)

    penalty = regularizer(IMAGES, detached(made(IMAGES)), 1.0)

    assert not penalty.loss.requires_grad
    assert penalty.own_loss.requires_grad
    assert penalty.metrics.keys() == {"real_logit", "fake_logit"}


def test_the_regulariser_has_no_parameter_of_the_tokenizer() -> None:
    made = tokenizer()
    ours = {id(each) for each in made.parameters()}

    assert not ours & {id(each) for each in adversary(made, adaptive=True).parameters()}


def test_the_published_discriminator_has_the_published_layers() -> None:
    discriminator = patch_discriminator(Adversarial(), 3)

    assert round(sum(each.numel() for each in discriminator.parameters()) / 1e6, 1) == 2.8
    assert discriminator.eval()(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_smallest_image_has_one_patch(layers: int) -> None:
    side = smallest_image(layers)
    discriminator = patch_discriminator(Adversarial(layers=layers, channels=1), 1).eval()

    assert discriminator(torch.zeros(1, 1, side, side)).shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        discriminator(torch.zeros(1, 1, side - 1, side - 1))


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(RunError, match=r"expected a tokenizer of images of at least 24 by 24, got data of shape"):
        Adversarial().build(tokenizer())


def test_a_tokenizer_without_ids_is_refused() -> None:
    made = tokenizer()
    made.vocabulary = None

    with pytest.raises(RunError, match="expected a tokenizer with ids"):
        adversary(made)


def test_any_tokenizer_of_images_works() -> None:
    made: Any = Patches().build(VQ(codes=8).build(), IMAGES)

    assert adversary(made, adaptive=True)(IMAGES, made(IMAGES), 1.0).loss.requires_grad

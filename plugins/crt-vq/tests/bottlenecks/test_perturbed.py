"""`perturbed`: which codes are swapped, for which others, when, and by which noise."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from crt_vq import LFQ, VQ, Conv, Perturbed, ResidualVQ
from crt_vq.bottlenecks.perturbed import PerturbedBottleneck
from crtcore import Noise
from crtcore.kinds import BottleneckOutput, BottleneckSpec


def swapping(**fields: Any) -> PerturbedBottleneck:
    """A bottleneck of the Euclidean codes 0, 10, 20 and 30; by default all are swapped for one of the two nearest."""
    torch.manual_seed(0)
    book = VQ(codes=4, width=1, compare="euclidean")
    fields = {"bottleneck": book, "neighbours": 2, "swapped": 1.0, "share": 1.0, **fields}
    swaps = Perturbed(**fields).build().double()
    swaps.bottleneck.entries.data = torch.tensor([[0.0], [10.0], [20.0], [30.0]], dtype=torch.float64)
    return swaps


def features(samples: int = 64) -> Tensor:
    """Samples of three features: nearest to 0, then 10; to 20, then 30; to 20, then 10."""
    return torch.tensor([[[1.0], [24.0], [16.0]]], dtype=torch.float64).repeat(samples, 1, 1).requires_grad_()


def noise(samples: int = 64) -> Noise:
    """A seed for each sample."""
    return Noise(torch.arange(samples), "test")


def ids(output: BottleneckOutput) -> Tensor:
    """The ids, which must exist."""
    assert output.ids is not None
    return output.ids


def test_a_code_is_swapped_for_any_of_the_nearest() -> None:
    swapped_ids = ids(swapping()(features(), noise=noise()))

    # By chance one of the two is missing for a feature with probability 2**-61.
    assert swapped_ids[:, 0].unique().tolist() == [0, 1]
    assert swapped_ids[:, 1].unique().tolist() == [2, 3]
    assert swapped_ids[:, 2].unique().tolist() == [1, 2]


def test_ids_name_the_swapped_codes() -> None:
    swaps = swapping()

    output = swaps(features(), noise=noise())

    assert torch.equal(swaps.lookup(ids(output)), output.codes)


def test_codes_that_are_not_swapped_stay_bit_for_bit() -> None:
    torch.manual_seed(0)
    swaps = Perturbed(bottleneck=VQ(codes=64), neighbours=8, share=0.5).build()
    vectors = torch.randn(32, 4, 8).requires_grad_()

    plain, output = swaps.bottleneck(vectors), swaps(vectors, noise=noise(32))

    same = ids(plain) == ids(output)
    assert same.any()
    assert not same.all()
    assert torch.equal(plain.codes[same], output.codes[same])


def test_autocast_changes_no_swap() -> None:
    torch.manual_seed(0)
    swaps = Perturbed(bottleneck=VQ(codes=64), neighbours=8, share=1.0).build()
    vectors = torch.randn(32, 4, 8).requires_grad_()
    plain = swaps(vectors, noise=noise(32))

    with torch.autocast("cpu", torch.bfloat16):
        mixed = swaps(vectors, noise=noise(32))

    assert torch.equal(ids(mixed), ids(plain))
    assert torch.equal(mixed.codes, plain.codes)


def test_the_gradient_is_that_of_the_codes_replaced() -> None:
    sample = features()

    swapping()(sample, noise=noise()).codes.sum().backward()

    assert sample.grad is not None
    assert (sample.grad == 1).all()


def test_rate_loss_and_latents_are_those_before_the_swap() -> None:
    swaps = swapping()

    plain, output = swaps.bottleneck(features()), swaps(features(), noise=noise())

    assert torch.equal(plain.rate, output.rate)
    assert torch.equal(plain.loss, output.loss)
    assert torch.equal(plain.latents, output.latents)


@pytest.mark.parametrize("fields", [{"share": 0.0}, {"swapped": 0.0}, {"neighbours": 1}], ids=str)
def test_at_probability_0_nothing_is_swapped(fields: dict[str, Any]) -> None:
    assert ids(swapping(**fields)(features(), noise=noise())).unique(dim=0).tolist() == [[0, 2, 2]]


def test_outside_training_nothing_is_swapped() -> None:
    assert ids(swapping().eval()(features(), noise=noise())).unique(dim=0).tolist() == [[0, 2, 2]]


def test_without_noise_nothing_is_swapped_in_training() -> None:
    assert ids(swapping()(features())).unique(dim=0).tolist() == [[0, 2, 2]]


def test_samples_and_codes_are_chosen_as_often_as_the_spec_says() -> None:
    swaps = swapping(share=0.25, swapped=0.5, neighbours=4)

    swapped, ranks = swaps.draw_swaps(torch.zeros(4096, 64, dtype=torch.int64), noise(4096))

    chosen = swapped.any(-1)  # a chosen sample without a swap has probability 2**-64
    # Five standard deviations: false alarms at 6e-7 each.
    assert chosen.double().mean().item() == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 4096) ** 0.5)
    among = swapped[chosen].double()
    assert among.mean().item() == pytest.approx(0.5, abs=5 * (0.25 / among.numel()) ** 0.5)
    for rank in range(4):
        shares = (ranks[swapped] == rank).double()
        assert shares.mean().item() == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / shares.numel()) ** 0.5)


def test_the_same_noise_swaps_the_same_codes_also_after_a_backward_pass() -> None:
    swaps, state = swapping(), torch.get_rng_state()

    first = swaps(features(), noise=noise())
    first.codes.sum().backward()
    second, other = swaps(features(), noise=noise()), swaps(features(), noise=Noise(torch.arange(64) + 64, "test"))

    assert torch.equal(ids(first), ids(second))
    assert not torch.equal(ids(first), ids(other))
    assert torch.equal(torch.get_rng_state(), state)


def test_more_samples_do_not_change_the_swaps_of_the_others() -> None:
    swaps = swapping()

    assert torch.equal(ids(swaps(features(8), noise=noise(8))), ids(swaps(features(), noise=noise()))[:8])


def test_with_a_seed_for_each_sample_its_place_in_the_batch_does_not_matter() -> None:
    swaps, seeds = swapping(), torch.arange(64)
    order = seeds.flip(0)

    straight = ids(swaps(features(), noise=Noise(seeds, "test")))
    turned = ids(swaps(features(), noise=Noise(seeds[order], "test")))

    assert torch.equal(straight[order], turned)
    assert len(straight.unique(dim=0)) > 1


def test_the_inner_bottleneck_has_the_first_values_it_would_have_alone() -> None:
    torch.manual_seed(3)
    alone = VQ(codes=16).build()
    torch.manual_seed(3)
    within = Perturbed(bottleneck=VQ(codes=16), neighbours=4).build().bottleneck

    assert torch.equal(alone.entries, within.entries)  # type: ignore[attr-defined]


def test_a_tokenizer_trains_on_swapped_codes_and_encodes_to_the_nearest() -> None:
    torch.manual_seed(0)
    images = torch.rand(16, 1, 8, 8)
    spec = Perturbed(bottleneck=LFQ(width=4), neighbours=16, swapped=1.0, share=1.0)
    tokenizer = Conv(channels=4).build(spec.build(), images)

    encoded = tokenizer(images, noise=noise(16))
    named = tokenizer.encode(images)

    assert encoded.ids is not None
    assert not torch.equal(encoded.ids, named)
    torch.testing.assert_close(tokenizer.decode(encoded.ids), encoded.reconstruction)
    assert torch.equal(named, tokenizer.eval()(images, noise=noise(16)).ids)


class Whole:
    """Returns its input."""

    width = 1
    vocabulary = None

    def __call__(self, features: Tensor, *, noise: Noise | None = None) -> BottleneckOutput:
        return BottleneckOutput(features, features, None, features.new_zeros(len(features)), features.new_zeros(()))


@attrs.frozen(kw_only=True)
class WholeSpec(BottleneckSpec):
    """Of a bottleneck without ids."""

    def build(self) -> Whole:
        return Whole()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bottleneck": WholeSpec()}, "expected a bottleneck with ids, got one whose codes are continuous"),
        ({"bottleneck": VQ(codes=4), "neighbours": 5}, "expected at most 4 neighbours, one for each code, got 5"),
        (
            {"bottleneck": ResidualVQ(codes=8, depth=3), "neighbours": 2},
            "expected a bottleneck with one code for each feature, got 3",
        ),
    ],
)
def test_a_bottleneck_whose_codes_cannot_be_swapped_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Perturbed(**fields).build()

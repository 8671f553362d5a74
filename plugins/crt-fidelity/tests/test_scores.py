"""Scores: parity with torch-fidelity and crtcore's Fréchet distance, and names of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_fidelity
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_basics.metrics.frechet import frechet_distance
from crt_fidelity import Fidelity, scores
from crt_fidelity import images as kept_images
from crt_fidelity.pixels import eight_bit
from crt_fidelity.random_convolutions import LAYER, NAME, RandomConvolutions
from crt_fidelity.scores import kernel, kernel_without_pairs
from crt_laws import measured, obeys

from .sets import Bytes, evidence, images

SEEDS = st.integers(0, 2**32)
SMALL = Fidelity(extractor="random-convolutions")
FRECHET = Fidelity(extractor="random-convolutions", references=("train",), numbers=("fid",))
STATED = 1e-6
"""Relative precision of torch-fidelity's FID, from doc/sphinx/source/precision.md of its repository."""

test_the_usual_numbers = obeys(SMALL)


def values(spec: Fidelity = SMALL, **changes: Tensor) -> dict[str, float]:
    return {name: number.value for name, number in measured(spec.build(), evidence(**changes)).items()}


def features(data: Tensor) -> Tensor:
    (result,) = RandomConvolutions(NAME, [LAYER])(eight_bit(data, "any"))
    return result


@pytest.fixture(scope="module")
def registered() -> str:
    """Registers the small extractor with torch-fidelity, which accepts a name once."""
    torch_fidelity.register_feature_extractor(NAME, RandomConvolutions)
    return NAME


def theirs(extractor: str, one: Tensor, other: Tensor, **options: Any) -> dict[str, float]:
    """Computes torch-fidelity's numbers of two sets of images."""
    metrics: dict[str, float] = torch_fidelity.calculate_metrics(
        input1=Bytes(eight_bit(one, "any")), input2=Bytes(eight_bit(other, "any")), feature_extractor=extractor,
        cuda=False, cache=False, save_cpu_ram=True, verbose=False, **options,
    )  # fmt: skip
    return metrics


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.integers(10, 70), st.integers(10, 70), st.floats(0.1, 2))
def test_frechet_is_torch_fidelitys_and_crtcores_to_its_stated_precision(
    registered: str, seed: int, count: int, others: int, gain: float
) -> None:
    drawn, train = images(seed, count, gain), images(seed + 1, others)

    ours = values(FRECHET, generated=drawn, train=train)["generation_frechet_random_convolutions_vs_train"]

    own = theirs(registered, drawn, train, fid=True)["frechet_inception_distance"]
    assert ours == pytest.approx(own, rel=STATED)
    assert frechet_distance(features(drawn), features(train)) == pytest.approx(own, rel=STATED)


def test_kernel_precision_and_recall_are_torch_fidelitys(registered: str) -> None:
    given = evidence(generated=images(7, 40, 0.6))

    ours = values(generated=given.generated)

    own = theirs(registered, given.generated, given.train, kid=True, kid_subset_size=20, prc=True)
    assert ours["generation_kernel_random_convolutions_vs_train"] == pytest.approx(
        own["kernel_inception_distance_mean"], rel=1e-9
    )
    assert ours["generation_precision_random_convolutions_vs_train"] == own["precision"]
    assert ours["generation_recall_random_convolutions_vs_train"] == own["recall"]


def test_a_kernel_distance_without_pairs_is_the_mean_over_other_pairs() -> None:
    """Of three rows in one dimension, whose subsets of three are all of them."""
    one, other = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [1.0], [3.0]])

    value = kernel_without_pairs(one, other, 3)

    def cubic(x: Tensor, y: Tensor) -> float:
        return float((x * y + 1) ** 3)

    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    terms = [cubic(one[i], one[j]) + cubic(other[i], other[j]) - 2 * cubic(one[i], other[j]) for i, j in pairs]
    assert value == pytest.approx(sum(terms) / 6, rel=1e-12)


@pytest.mark.parametrize("paired", [False, True], ids=["independent", "in pairs"])
def test_the_kernel_distance_to_held_out_images_has_no_bias(paired: bool) -> None:
    """2,000 trials: the mean is within 6 standard errors of the truth, 0, but for fewer than one in 1e7 false alarms.

    In pairs, the other row is the negative of the first, of the same law.
    """
    rows = torch.randn(2000, 2, 12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    gaps = torch.tensor(
        [next(kernel(-one if paired else other, one, paired=True))[1] for one, other in rows], dtype=torch.float64
    )

    assert abs(float(gaps.mean())) < 6 * float(gaps.std()) / 2000**0.5


@pytest.mark.parametrize("count", [12, 40, 150])
def test_perfect_reconstructions_are_at_distance_zero(count: int) -> None:
    real = images(5, count)

    numbers = measured(SMALL.build(), evidence(real=real, reconstructed=real, generated=images(6, count)))

    kernel_distance = numbers["reconstruction_kernel_random_convolutions_vs_held_out"]
    assert kernel_distance.value == pytest.approx(0, abs=1e-12)
    against = f"against {count} held-out images, 100 subsets of {count // 2}, own pairs left out"
    assert kernel_distance.unit.endswith(against)
    assert 0 <= numbers["reconstruction_frechet_random_convolutions_vs_held_out"].value < 1e-6
    for number in ("precision", "recall"):
        assert numbers[f"reconstruction_{number}_random_convolutions_vs_held_out"].value == 1


def test_equal_images_are_at_distance_zero() -> None:
    """Features without variance, such as those of a tokenizer that has collapsed."""
    flat = torch.full((60, 1, 8, 8), 0.3)

    numbers = values(real=flat, reconstructed=flat, generated=flat, train=flat)

    for name, value in numbers.items():
        assert value == pytest.approx(0.0 if "frechet" in name or "kernel" in name else 1.0, abs=1e-9), name


def test_rounding_makes_no_distance_negative() -> None:
    """Where images are fewer than features, torch-fidelity's formula ends up to 1.4e-7 of the variance below 0."""
    rows = torch.randn(40, 512, generator=torch.Generator().manual_seed(0), dtype=torch.float64).relu().numpy()
    both = {"mu": rows.mean(0), "sigma": np.cov(rows, rowvar=False)}
    assert scores.fid_statistics_to_metric(both, both, verbose=False)[scores.KEY_METRIC_FID] < -1e-9

    assert scores.frechet(both, both) == 0


def test_a_distance_far_below_zero_is_refused() -> None:
    one, other = ({"mu": np.zeros(2), "sigma": np.eye(2) * gain} for gain in (-1.0, 0.25))

    with pytest.raises(ValueError, match=r"expected a squared distance of at least 0, got -1\.5"):
        scores.frechet(one, other)


@pytest.mark.parametrize("batches", [[torch.arange(39)], [torch.arange(40), torch.tensor([3])]], ids=["few", "twice"])
@pytest.mark.parametrize("numbers", [("fid",), ("kid",), ("prc",)])
def test_images_that_do_not_come_once_are_refused(numbers: tuple[Any, ...], batches: list[Tensor]) -> None:
    spec = Fidelity(extractor="random-convolutions", numbers=numbers)

    with pytest.raises(ValueError, match=r"fidelity: reconstruction: expected every sample once, got (39|41) of 40"):
        measured(spec.build(), evidence(), batches)


def test_features_that_are_not_finite_are_refused() -> None:
    metric = SMALL.build()
    metric.network.kernel2.fill_(torch.inf)

    with pytest.raises(ValueError, match="fidelity: expected finite features of train, got some that are not"):
        measured(metric, evidence())


def test_every_number_names_extractor_reference_and_images() -> None:
    numbers = measured(SMALL.build(), evidence(generated=images(3, 30)))

    assert set(numbers) == {
        f"{what}_{number}_random_convolutions_vs_{reference}"
        for what in ("reconstruction", "generation")
        for number in ("frechet", "kernel", "precision", "recall")
        for reference in ("held_out", "train")
    }
    seen = numbers["generation_kernel_random_convolutions_vs_train"]
    assert seen.unit == "kernel units of layer 64 of random-convolutions against 90 train images, 100 subsets of 15"
    assert seen.n == 30
    assert numbers["reconstruction_frechet_random_convolutions_vs_held_out"].unit == (
        "squared units of layer 64 of random-convolutions against 30 held-out images"
    )


def test_perfect_reconstructions_are_at_zero_from_held_out_images_alone() -> None:
    numbers = values(reconstructed=evidence().real)

    assert numbers["reconstruction_frechet_random_convolutions_vs_held_out"] == pytest.approx(0, abs=1e-6)
    assert numbers["reconstruction_frechet_random_convolutions_vs_train"] > 1e-2


def test_samples_of_another_distribution_are_farther() -> None:
    near, far = values(), values(generated=images(3, 40, 1.5))

    for number in ("frechet", "kernel"):
        for reference in ("held_out", "train"):
            name = f"generation_{number}_random_convolutions_vs_{reference}"
            assert far[name] > 2 * near[name]


def test_samples_of_a_part_have_precision_without_recall() -> None:
    real = evidence().real

    numbers = values(generated=real[:10].repeat(4, 1, 1, 1))

    assert numbers["generation_precision_random_convolutions_vs_held_out"] == 1
    assert numbers["generation_recall_random_convolutions_vs_held_out"] < 0.5


def test_the_same_evidence_gives_the_same_numbers() -> None:
    assert values() == values()


def test_numbers_of_batches_are_torch_fidelitys_of_all_images(registered: str) -> None:
    """More images than features: of singular covariances torch-fidelity's own formula keeps fewer digits."""
    drawn, train = images(7, 150, 0.6), images(8, 170)

    numbers = measured(SMALL.build(), evidence(generated=drawn, train=train), torch.arange(150).split(23))

    own = theirs(registered, drawn, train, fid=True, kid=True, kid_subset_size=75, prc=True)
    for name, theirs_name in {
        "frechet": "frechet_inception_distance", "kernel": "kernel_inception_distance_mean",
        "precision": "precision", "recall": "recall",
    }.items():  # fmt: skip
        ours = numbers[f"generation_{name}_random_convolutions_vs_train"].value
        assert ours == pytest.approx(own[theirs_name], rel=1e-9), name


def test_features_of_a_bounded_number_of_images_are_kept_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_images, "KEPT", 30)
    metric = SMALL.build()

    numbers = measured(metric, evidence(), torch.arange(40).split(7))

    backwards = measured(metric, evidence(), torch.arange(40).flip(0).split(11))
    assert all(len(each.features) == 30 for sort in metric.images.values() for each in sort.kept.values())
    kernel = numbers["generation_kernel_random_convolutions_vs_train"]
    assert "against 30 of 90 train images, 100 subsets of 15" in kernel.unit
    assert kernel.n == 30
    assert numbers["generation_frechet_random_convolutions_vs_train"].n == 40
    assert backwards[(name := "generation_kernel_random_convolutions_vs_train")].value == pytest.approx(
        numbers[name].value, rel=1e-9
    )


def test_only_the_numbers_and_references_of_the_spec_are_computed() -> None:
    spec = Fidelity(extractor="random-convolutions", numbers=("prc",), references=("train",))

    assert set(values(spec)) == {
        f"{what}_{number}_random_convolutions_vs_train"
        for what in ("reconstruction", "generation")
        for number in ("precision", "recall")
    }


def test_stored_statistics_give_the_distance_to_their_images(tmp_path: Path) -> None:
    train = features(evidence().train).numpy()
    file = tmp_path / "train-of.2026.npz"
    np.savez(file, mu=train.mean(0), sigma=np.cov(train, rowvar=False))
    spec = Fidelity(extractor="random-convolutions", references=("train", str(file)))

    numbers = measured(spec.build(), evidence())

    stored = numbers["generation_frechet_random_convolutions_vs_train_of_2026"]
    assert stored.value == pytest.approx(numbers["generation_frechet_random_convolutions_vs_train"].value, rel=STATED)
    assert stored.unit.endswith(f"against {file}")
    assert "generation_kernel_random_convolutions_vs_train_of_2026" not in numbers


def test_statistics_of_other_features_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    spec = Fidelity(extractor="random-convolutions", references=(str(tmp_path / "wide.npz"),), numbers=("fid",))

    with pytest.raises(ValueError, match="fidelity: expected 64 features, as the extractor has, got 2048"):
        measured(spec.build(), evidence())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generated": images(0, 9)}, "fidelity: expected at least 10 images for reconstruction, got 9"),
        ({"train": images(0, 9)}, "fidelity: expected at least 10 images for train, got 9"),
        ({"generated": torch.zeros(40, 16)}, r"fidelity: expected images of 1 or 3 channels for generation"),
    ],
)
def test_images_that_are_not_valid_are_refused(changes: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measured(SMALL.build(), evidence(**changes))


class FewClasses(torch_fidelity.FeatureExtractorBase):  # type: ignore[misc]
    """Stand-in of Inception with its layer names and small features."""

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return "2048", "logits_unbiased"

    def forward(self, data: Tensor) -> tuple[Tensor, ...]:
        means = data.double().flatten(1)[:, :5] / 64
        return tuple({"2048": means, "logits_unbiased": 2 * means}[layer] for layer in self.features_list)


@pytest.fixture
def _few_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "inception", lambda file, layers: FewClasses("inception-v3-compat", layers))


@pytest.mark.usefixtures("_few_classes")
def test_the_inception_score_is_the_mean_over_ten_splits() -> None:
    drawn = images(3, 40)
    spec = Fidelity(extractor="inception", weights="w.pth", numbers=("isc",))

    numbers = measured(spec.build(), evidence(generated=drawn))

    # Splits of one image would have score 1; in splits of 4, order matters, and torch-fidelity shuffles by seed 2020.
    order = np.random.RandomState(2020).permutation(40)
    shares = (eight_bit(drawn, "any").double().flatten(1)[:, :5] / 32).softmax(1)[order].view(10, 4, 5)
    nats = (shares * (shares / shares.mean(1, keepdim=True)).log()).sum(-1).mean(1)
    assert set(numbers) == {"reconstruction_score_inception", "generation_score_inception"}
    score = numbers["generation_score_inception"]
    assert score.value == pytest.approx(float(nats.exp().mean()), rel=1e-9)
    assert (score.unit, score.n) == ("classes by layer logits_unbiased of inception-v3-compat, 10 splits", 40)


@pytest.mark.usefixtures("_few_classes")
def test_names_of_numbers_contain_inception() -> None:
    spec = Fidelity(extractor="inception", weights="w.pth", numbers=("fid", "isc"), references=("train",))

    numbers = measured(spec.build(), evidence())

    assert set(numbers) == {
        f"{what}_{name}"
        for what in ("reconstruction", "generation")
        for name in ("frechet_inception_vs_train", "score_inception")
    }
    unit = numbers["generation_frechet_inception_vs_train"].unit
    assert unit == "squared units of layer 2048 of inception-v3-compat against 90 train images"

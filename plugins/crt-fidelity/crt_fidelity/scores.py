"""Fidelity scores: torch-fidelity's numbers of reconstructions and draws, against each reference.

Axes: b batch, c images of a reference, d features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kernel_poly, kid_features_to_metric, mmd2
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from crt_fidelity.images import SPLITS, Images
from crt_fidelity.inception import inception
from crt_fidelity.moments import Statistics, statistics, stored
from crt_fidelity.pixels import eight_bit
from crt_fidelity.random_convolutions import NAME, RandomConvolutions
from crt_fidelity.specs import LEAST, SETS, Fidelity, Number, name_of
from crt_run.statistics import squared_distance
from crt_run.streams import joined, merged, numbered
from crtcore.kinds import Evidence, Measurement, Train

SCORED = ("reconstruction", "generation")

BATCH = 64
"""Images in a batch of the extractor."""
NEIGHBOURS = 3
"""Kynkäänniemi et al. (2019), arXiv:1904.06991, section 3.1."""
SUBSETS, LARGEST = 100, 1000
"""Subsets of the kernel distance and the most images of one, as in torch-fidelity."""


class Reference(NamedTuple):
    """Images, or stored statistics, that others are compared with."""

    name: str
    stored: Statistics
    """Empty if there are images."""
    images: Images | None
    sort: str
    """Its description in the unit of a number: the sort of its images, or a file."""


class FidelityScores:
    """Reconstructions and draws against held-out images, training images or stored statistics.

    Names of numbers are such as `generation_frechet_inception_vs_train`. All images count for the Fréchet distance and
    the Inception score, so that distances to two references also differ by the bias of their sizes. Kernel distance,
    precision and recall need features of single images: those of at most 10,000 of each set are kept, chosen by noise.
    The unit holds the extractor's layer, the size of the reference and the subsets of a kernel distance, with half of
    the smaller set or 1,000 images. A kernel distance to held-out images compares none with its own reconstruction, nor
    with the draw of its class, so that it has no bias there either and may be negative. Where rounding makes a Fréchet
    distance negative, it is 0. Perfect reconstructions are at distance 0 from the held-out images. torch-fidelity gives
    no intervals.
    """

    def __init__(self, spec: Fidelity) -> None:
        self.spec = spec
        self.stored = {file: stored(file) for file in spec.references if file not in SETS}
        kind = FeatureExtractorInceptionV3 if spec.extractor == "inception" else RandomConvolutions
        self.layers = {number: kind.get_default_feature_layer_for_metric(number) for number in spec.numbers}
        needed = sorted(set(self.layers.values()))
        extractor = inception(spec.weights, needed) if spec.extractor == "inception" else kind(NAME, needed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = extractor.to(self.device).eval()
        self.references = spec.references if set(self.layers) != {"isc"} else ()
        self.images: dict[str, Images] = {}

    def fit(self, train: Train) -> None:
        """Takes the training images, where they are a reference.

        Raises: ValueError if there are too few images, or some are not finite images of one or three channels.
        """
        of_references: dict[Number, str] = {number: layer for number, layer in self.layers.items() if number != "isc"}
        self.images = {name: Images(self.layers, train.held_out) for name in SCORED}
        sizes = {"held-out": train.held_out, "train": train.samples}
        self.images |= {name: Images(of_references, size) for name, size in sizes.items() if name in self.references}
        for name, images in self.images.items():
            if images.size < LEAST:
                raise ValueError(f"fidelity: expected at least {LEAST} images for {name}, got {images.size}")
        if "train" in self.images:
            for rows in numbered(train.samples):
                self._take("train", rows, train.data(rows))

    def update(self, batch: Evidence) -> None:
        """Raises: ValueError if some are not finite images of one or three channels, or their features not finite."""
        self._take("reconstruction", batch.rows, batch.reconstructed)
        self._take("generation", batch.rows, batch.generated)
        if "held-out" in self.images:
            self._take("held-out", batch.rows, batch.real)

    def partial(self) -> Mapping[str, Tensor]:
        """What is kept of reconstructions, draws and held-out images; each has the training images of its own `fit`."""
        return joined(self._held_out)

    def merge(self, partial: Mapping[str, Tensor]) -> None:
        """Takes what came elsewhere."""
        merged(self._held_out, partial)

    @property
    def _held_out(self) -> dict[str, Images]:
        return {name: images for name, images in self.images.items() if name != "train"}

    def compute(self) -> dict[str, Measurement]:
        """Raises: ValueError if some images have not come or came twice, or an .npz file has other features."""
        for name, each in self.images.items():
            each.come.check(f"fidelity: {name}: ")
        extractor = name_of(self.spec.extractor)
        numbers = {}
        for what in SCORED:
            images = self.images[what]
            for reference in map(self._reference, self.references):
                for name, number in self._against(images, reference):
                    numbers[f"{what}_{name}_{extractor}_vs_{reference.name}"] = number
            if "isc" in self.layers:
                unit = f"classes by layer {self.layers['isc']} of {self.network.get_name()}, {SPLITS} splits"
                numbers[f"{what}_score_{extractor}"] = Measurement(images.score.compute(), unit, images.size)
        return numbers

    def _take(self, what: str, rows: Int[Tensor, " b"], data: Float[Tensor, "b ..."]) -> None:
        if not len(rows):
            return
        with torch.inference_mode():
            for some, images in zip(torch.split(rows, BATCH), torch.split(data, BATCH), strict=True):
                features = self.network(eight_bit(images, what).to(self.device))
                layers = self.network.convert_features_tuple_to_dict(features)
                if not all(each.isfinite().all() for each in layers.values()):
                    raise ValueError(f"fidelity: expected finite features of {what}, got some that are not")
                self.images[what].update(some, {layer: each.cpu() for layer, each in layers.items()})

    def _reference(self, reference: str) -> Reference:
        if reference in self.stored:
            return Reference(name_of(reference), self.stored[reference], None, reference)
        return Reference(name_of(reference), {}, self.images[reference], f"{reference} images")

    def _against(self, images: Images, reference: Reference) -> Iterator[tuple[str, Measurement]]:
        """Names and numbers of a set of images against a reference."""
        for number, layer in self.layers.items():
            real = reference.images
            against = reference.sort if real is None else f"{real.label(number)} {reference.sort}"
            scale = f"layer {layer} of {self.network.get_name()} against {against}"
            if number == "fid":
                other = reference.stored if real is None else statistics(real.moments)
                value = frechet(other, statistics(images.moments))
                yield "frechet", Measurement(value, f"squared units of {scale}", images.size)
            elif number in ("kid", "prc") and real is not None:
                features, others = images.kept[number].features, real.kept[number].features
                paired = real is self.images.get("held-out")
                compare = partial(kernel, paired=paired) if number == "kid" else precision_and_recall
                for name, value, unit in compare(features, others):
                    yield name, Measurement(value, unit.format(scale), len(features))


def kernel(
    features: Float[Tensor, "b d"], real: Float[Tensor, "c d"], *, paired: bool
) -> Iterator[tuple[str, float, str]]:
    """torch-fidelity's kernel distance, with its name and unit; of paired sets without the pairs."""
    size = min(LARGEST, len(real) // 2, len(features) // 2)
    if paired:
        value = kernel_without_pairs(features, real, size)
        yield "kernel", value, f"kernel units of {{}}, {SUBSETS} subsets of {size:,}, own pairs left out"
        return
    scores = kid_features_to_metric(
        features, real, kid_subsets=SUBSETS, kid_subset_size=size, rng_seed=2020, verbose=False
    )
    yield "kernel", scores[KEY_METRIC_KID_MEAN], f"kernel units of {{}}, {SUBSETS} subsets of {size:,}"


def kernel_without_pairs(features: Float[Tensor, "b d"], real: Float[Tensor, "b d"], size: int) -> float:
    """torch-fidelity's kernel distance of sets whose rows i depend on one another; those are not compared.

    A subset has the same rows of both sets. torch-fidelity's own estimate takes them for independent, which makes that
    of equal sets negative.
    Source: Gretton et al. (2012), A kernel two-sample test, lemma 6, the statistic for equally many samples.
    """
    one, other = features.double().numpy(), real.double().numpy()
    draws, values = np.random.RandomState(2020), []
    for _ in range(SUBSETS):
        rows = draws.choice(len(one), size, replace=False)
        x, y = one[rows], other[rows]
        kernels = kernel_poly(x, x), kernel_poly(x, y), kernel_poly(y, y)
        values.append(mmd2(*kernels, mmd_est="u-statistic"))
    return float(np.mean(values))


def precision_and_recall(
    features: Float[Tensor, "b d"], real: Float[Tensor, "c d"]
) -> Iterator[tuple[str, float, str]]:
    """torch-fidelity's precision and recall, with their names and units."""
    scores = prc_features_to_metric(features, real, prc_neighborhood=NEIGHBOURS, save_cpu_ram=True, verbose=False)
    yield "precision", scores[KEY_METRIC_PRECISION], "share, by {}"
    yield "recall", scores[KEY_METRIC_RECALL], "share, by {}"


def frechet(one: Statistics, other: Statistics) -> float:
    """Computes torch-fidelity's Fréchet distance; where rounding makes it negative, it is 0.

    Raises: ValueError if the numbers of features differ, or a covariance is not valid.
    """
    if one["mu"].shape != other["mu"].shape:
        raise ValueError(
            f"fidelity: expected {len(other['mu'])} features, as the extractor has, "
            f"got {len(one['mu'])} in the reference"
        )
    value: float = fid_statistics_to_metric(one, other, verbose=False)[KEY_METRIC_FID]
    gap = one["mu"] - other["mu"]
    return squared_distance(value, float(gap @ gap + one["sigma"].trace() + other["sigma"].trace()))

"""Fidelity scores: torch-fidelity's numbers of reconstructions and draws, against each reference.

Axes: b batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from crt_fidelity.inception import inception
from crt_fidelity.moments import Moments, moments, stored
from crt_fidelity.pixels import eight_bit
from crt_fidelity.random_convolutions import NAME, RandomConvolutions
from crt_fidelity.specs import SETS, Fidelity, name_of
from crtcore.kinds import Evidence, Measurement

Layers: TypeAlias = dict[str, Float[Tensor, "b _"]]
"""Features of images by layer."""

LEAST = 10
"""Least images of a set: the Inception score has ten splits, and a third neighbour needs four images."""
BATCH = 64
"""Images in a batch of the extractor."""
NEIGHBOURS = 3
"""Kynkäänniemi et al. (2019), arXiv:1904.06991, section 3.1."""
SPLITS = 10
"""Splits of the Inception score, as in torch-fidelity."""
SUBSETS, LARGEST = 100, 1000
"""Subsets of the kernel distance and the most images of one, as in torch-fidelity."""


class Reference(NamedTuple):
    """Features and moments of reference images."""

    name: str
    label: str
    """Its description in the unit of a number."""
    layers: Layers
    """Empty if the reference has moments alone."""
    moments: Moments


class FidelityScores:
    """Reconstructions and draws against held-out images, training images or stored statistics."""

    def __init__(self, spec: Fidelity) -> None:
        self.spec = spec
        self.stored = {file: stored(file) for file in spec.references if file not in SETS}
        kind = FeatureExtractorInceptionV3 if spec.extractor == "inception" else RandomConvolutions
        self.layers = {number: kind.get_default_feature_layer_for_metric(number) for number in spec.numbers}
        needed = sorted(set(self.layers.values()))
        extractor = inception(spec.weights, needed) if spec.extractor == "inception" else kind(NAME, needed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = extractor.to(self.device).eval()

    def __call__(self, evidence: Evidence) -> dict[str, Measurement]:
        """Returns measurements with names such as `generation_frechet_inception_vs_train`.

        All images count, so that distances to two references also differ by the bias of their sizes. The unit holds the
        extractor's layer, the size of the reference and the subsets of a kernel distance, with half of the smaller set
        or 1,000 images. Perfect reconstructions are at distance 0 from the held-out images. torch-fidelity gives no
        intervals.
        Raises: ValueError if there are too few images, or some are not finite images of one or three channels, or an
        .npz file has another number of features.
        """
        with torch.inference_mode():
            compared = self.spec.references if set(self.layers) != {"isc"} else ()
            references = [self._reference(reference, evidence) for reference in compared]
            numbers = {}
            for what, images in (("reconstruction", evidence.reconstructed), ("generation", evidence.generated)):
                layers = self._features(images, what)
                for name, value, unit in self._numbers(layers, references):
                    numbers[f"{what}_{name}"] = Measurement(value, unit, len(images))
        return numbers

    def _reference(self, reference: str, evidence: Evidence) -> Reference:
        if reference in self.stored:
            return Reference(name_of(reference), reference, {}, self.stored[reference])
        images = evidence.real if reference == "held-out" else evidence.train
        layers = self._features(images, f"the reference {reference!r}")
        own = moments(layers[self.layers["fid"]]) if "fid" in self.layers else {}
        return Reference(name_of(reference), f"{len(images):,} {reference} images", layers, own)

    def _features(self, images: Float[Tensor, "b ..."], what: str) -> Layers:
        if len(images) < LEAST:
            raise ValueError(f"fidelity: expected at least {LEAST} images for {what}, got {len(images)}")
        parts = [
            self.network.convert_features_tuple_to_dict(self.network(eight_bit(some, what).to(self.device)))
            for some in torch.split(images, BATCH)
        ]
        return {layer: torch.cat([part[layer].cpu() for part in parts]) for layer in parts[0]}

    def _numbers(self, layers: Layers, references: list[Reference]) -> Iterator[tuple[str, float, str]]:
        """Yields names, values and units."""
        extractor = name_of(self.spec.extractor)
        for reference in references:
            for name, value, unit in self._against(layers, reference):
                yield f"{name}_{extractor}_vs_{reference.name}", value, unit
        if "isc" in self.layers:
            layer = self.layers["isc"]
            score = isc_features_to_metric(layers[layer], splits=SPLITS)[KEY_METRIC_ISC_MEAN]
            yield f"score_{extractor}", score, f"classes by layer {layer} of {self.network.get_name()}, {SPLITS} splits"

    def _against(self, layers: Layers, reference: Reference) -> Iterator[tuple[str, float, str]]:
        for number, layer in self.layers.items():
            features = layers[layer]
            scale = f"layer {layer} of {self.network.get_name()} against {reference.label}"
            if number == "fid":
                yield "frechet", frechet(reference.moments, moments(features)), f"squared units of {scale}"
            elif number == "kid" and reference.layers:
                real = reference.layers[layer]
                size = min(LARGEST, len(real) // 2, len(features) // 2)
                scores = kid_features_to_metric(
                    features, real, kid_subsets=SUBSETS, kid_subset_size=size, rng_seed=2020, verbose=False
                )
                unit = f"kernel units of {scale}, {SUBSETS} subsets of {size:,}"
                yield "kernel", scores[KEY_METRIC_KID_MEAN], unit
            elif number == "prc" and reference.layers:
                scores = prc_features_to_metric(
                    features, reference.layers[layer], prc_neighborhood=NEIGHBOURS, save_cpu_ram=True, verbose=False
                )
                yield "precision", scores[KEY_METRIC_PRECISION], f"share, by {scale}"
                yield "recall", scores[KEY_METRIC_RECALL], f"share, by {scale}"


def frechet(one: Moments, other: Moments) -> float:
    """Computes torch-fidelity's Fréchet distance.

    Raises: ValueError if the numbers of features differ.
    """
    if one["mu"].shape != other["mu"].shape:
        raise ValueError(
            f"fidelity: expected {len(other['mu'])} features, as the extractor has, "
            f"got {len(one['mu'])} in the reference"
        )
    value: float = fid_statistics_to_metric(one, other, verbose=False)[KEY_METRIC_FID]
    return value

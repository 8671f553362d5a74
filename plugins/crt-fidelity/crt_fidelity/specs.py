"""Spec of the metric, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import attrs

from crt_fidelity.meanings import MEANINGS
from crtcore.kinds import Meaning, MetricSpec
from crtcore.spec import FILES, FieldError, each

if TYPE_CHECKING:
    from pathlib import Path

Number: TypeAlias = Literal["fid", "kid", "prc", "isc"]
"""torch-fidelity's names: Fréchet and kernel distance, precision and recall, Inception score."""

SETS = "held-out", "train"
"""References with images."""
LEAST = 10
"""Least images of a set: the Inception score has ten splits, and a third neighbour needs four images."""
PUBLISHED = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
"""Address of the weights of Inception."""


def _needs_weights(spec: Fidelity, attribute: attrs.Attribute[Any], value: str) -> None:
    if spec.extractor == "inception" and not value:
        raise FieldError(
            attribute.name, f"expected the file of Inception's weights, got none; download it from {PUBLISHED}"
        )
    if spec.extractor != "inception" and value:
        raise FieldError(attribute.name, f"expected no file, as {spec.extractor!r} needs none, got {value!r}")


def _valid_reference(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if value not in SETS and not value.endswith(".npz"):
        raise FieldError(attribute.name, f"expected 'held-out', 'train' or an .npz file of statistics, got {value!r}")


def _distinct(_: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    names = [name_of(reference) for reference in value]
    if len(set(names)) < len(names):
        raise FieldError(attribute.name, f"expected references of different names, got {value!r}")


def _computable(spec: Fidelity, attribute: attrs.Attribute[Any], value: tuple[Number, ...]) -> None:
    if "isc" in value and spec.extractor != "inception":
        message = f"expected an extractor with classes for 'isc', which is 'inception', got {spec.extractor!r}"
        raise FieldError(attribute.name, message)
    stored = [reference for reference in spec.references if reference not in SETS]
    if stored and "fid" not in value:
        raise FieldError(attribute.name, f"expected 'fid', as {stored[0]!r} has moments alone, got {value!r}")
    if len(stored) == len(spec.references) and {"kid", "prc"} & set(value):
        message = f"expected a reference with images for 'kid' and 'prc', got {spec.references!r} alone"
        raise FieldError(attribute.name, message)


def name_of(choice: str) -> str:
    """Returns an extractor or a reference as part of the name of a number; a file without folder and suffix."""
    stem = choice.removesuffix(".npz").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter if letter.isalnum() else "_" for letter in stem)


@attrs.frozen(kw_only=True)
class Fidelity(MetricSpec):
    """FID, KID, Inception score, precision and recall by torch-fidelity, of reconstructions and samples.

    The name of every number contains extractor and reference, as numbers against held-out images and against training
    images cannot be compared.
    Source: Obukhov et al. (2020), torch-fidelity; Heusel et al. (2017), arXiv:1706.08500; Bińkowski et al. (2018),
    arXiv:1801.01401; Salimans et al. (2016), arXiv:1606.03498; Kynkäänniemi et al. (2019), arXiv:1904.06991.
    """

    implementation: ClassVar[str] = "crt_fidelity.installed:fidelity"
    meanings: ClassVar[Mapping[str, Meaning]] = MEANINGS

    extractor: Literal["inception", "random-convolutions"]
    """Network that computes features of images: Inception, or a small fixed network for trials on small machines."""
    weights: str = attrs.field(default="", validator=_needs_weights, metadata=FILES)
    """Path of Inception's weights; nothing is downloaded."""
    references: tuple[str, ...] = attrs.field(
        default=SETS, validator=[each(_valid_reference), _distinct], metadata={"files": lambda entry: entry not in SETS}
    )
    """References: `held-out`, `train`, or .npz files with `mu` and `sigma` of the same features."""
    numbers: tuple[Number, ...] = attrs.field(default=("fid", "kid", "prc"), validator=_computable)
    """Numbers to compute; `isc` needs Inception, and an .npz file serves `fid` alone."""

    @property
    def least(self) -> int:
        """Images of a set."""
        return LEAST

    def example_in(self, folder: Path) -> Fidelity:
        """The small extractor, which needs no file; it has no classes."""
        numbers = tuple(number for number in self.numbers if number != "isc")
        return attrs.evolve(self, extractor="random-convolutions", weights="", numbers=numbers)

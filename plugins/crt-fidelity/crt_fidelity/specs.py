"""Spec of the metric, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import attrs

from crtcore.kinds import MetricSpec
from crtcore.spec import FieldError, each

if TYPE_CHECKING:
    pass

Number: TypeAlias = Literal["fid", "kid", "prc", "isc"]
"""As torch-fidelity calls them: Fréchet and kernel distance, precision and recall, Inception score."""

SETS = "held-out", "train"
"""References whose images are at hand."""
PUBLISHED = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
"""Where the weights of Inception are."""


def _weighed(spec: Fidelity, attribute: attrs.Attribute[Any], value: str) -> None:
    if spec.extractor == "inception" and not value:
        raise FieldError(attribute.name, f"expected the file of Inception's weights, got none; it is at {PUBLISHED}")
    if spec.extractor != "inception" and value:
        raise FieldError(attribute.name, f"expected no file, as {spec.extractor!r} needs none, got {value!r}")


def _named(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if value not in SETS and not value.endswith(".npz"):
        raise FieldError(attribute.name, f"expected 'held-out', 'train' or an .npz file of statistics, got {value!r}")


def _apart(_: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    names = [called(reference) for reference in value]
    if len(set(names)) < len(names):
        raise FieldError(attribute.name, f"expected references of different names, got {value!r}")


def _answerable(spec: Fidelity, attribute: attrs.Attribute[Any], value: tuple[Number, ...]) -> None:
    if "isc" in value and spec.extractor != "inception":
        message = f"expected an extractor that tells classes for 'isc', which is 'inception', got {spec.extractor!r}"
        raise FieldError(attribute.name, message)
    stored = [reference for reference in spec.references if reference not in SETS]
    if stored and "fid" not in value:
        raise FieldError(attribute.name, f"expected 'fid', as {stored[0]!r} serves nothing else, got {value!r}")
    if len(stored) == len(spec.references) and {"kid", "prc"} & set(value):
        message = f"expected a reference with images for 'kid' and 'prc', got {spec.references!r} alone"
        raise FieldError(attribute.name, message)


def called(choice: str) -> str:
    """An extractor or a reference in the name of a number; a file without folder and ending."""
    stem = choice.removesuffix(".npz").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter if letter.isalnum() else "_" for letter in stem)


@attrs.frozen(kw_only=True)
class Fidelity(MetricSpec):
    """FID, KID, Inception score, precision and recall by torch-fidelity, of reconstructions and of draws.

    The extractor and the reference are in the name of every number, as a number against held-out images and one against
    training images cannot be compared.
    Source: Obukhov et al. (2020), torch-fidelity; Heusel et al. (2017), arXiv:1706.08500; Bińkowski et al. (2018),
    arXiv:1801.01401; Salimans et al. (2016), arXiv:1606.03498; Kynkäänniemi et al. (2019), arXiv:1904.06991.
    """

    implementation: ClassVar[str] = "crt_fidelity.installed:fidelity"

    extractor: Literal["inception", "random-convolutions"]
    """What makes features of images: the field's Inception, or a small fixed network for trials on a desk."""
    weights: str = attrs.field(default="", validator=_weighed)
    """File of Inception's weights, from where the command is given; nothing is ever downloaded."""
    references: tuple[str, ...] = attrs.field(default=SETS, validator=[each(_named), _apart])
    """What images are compared with: `held-out`, `train`, or .npz files with `mu` and `sigma` of the same features."""
    numbers: tuple[Number, ...] = attrs.field(default=("fid", "kid", "prc"), validator=_answerable)
    """Which numbers; `isc` is Inception's alone, and an .npz file serves `fid` alone."""

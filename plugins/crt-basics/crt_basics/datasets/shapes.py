"""Scenes of one coloured shape each, computed from a seed and an index in integers: the same bits everywhere.

Axes: b batch, c colour channels, h height, w width, y and x points of a finer raster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from jaxtyping import Int
from torch import Tensor

from crt_basics.datasets.specs import Shapes
from crt_nn.splits import check
from crtcore.kinds import Batch
from crtcore.noise import Noise

FORMS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "circle": lambda x, y, r: x * x + y * y <= r * r,
        "square": lambda x, y, r: torch.maximum(x.abs(), y.abs()) <= r,
        "triangle": lambda x, y, r: (y <= r) & (2 * x.abs() <= y + r),
        "cross": lambda x, y, r: (3 * torch.minimum(x.abs(), y.abs()) <= r) & (torch.maximum(x.abs(), y.abs()) <= r),
        "ring": lambda x, y, r: (x * x + y * y <= r * r) & (4 * (x * x + y * y) >= r * r),
    }
)
"""Whether a point at x, y from the centre is in a shape of radius r; y points down."""
COLORS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "red": (220, 40, 40),
        "green": (40, 190, 70),
        "blue": (60, 90, 230),
        "yellow": (240, 200, 40),
        "white": (240, 240, 240),
    }
)
"""Levels of red, green and blue; at least one channel of each colour is far brighter than any background."""
DARK = 96
"""Levels of a background are below this."""
FINE = 4
"""Points of the finer raster along a pixel, on each axis."""
UNITS = 2 * FINE
"""Units along a pixel: points lie at the odd ones, centres and reaches are whole ones."""
CHUNK = 32
"""Images drawn at a time, so that their points stay in the cache."""
SAMPLED = 64
"""Images of each split that the checksum covers."""


class ShapeScenes:
    """A shape of one colour, size and place, over a gradient from one dark colour to another.

    Splits share a scene by chance alone: with 96**6 pairs of shades and 25 classes two are equal once in 1e13.
    """

    classes = len(FORMS) * len(COLORS)
    levels = 256
    vocabulary = None

    def __init__(self, spec: Shapes) -> None:
        self.spec = spec
        self.sizes = {"train": spec.train, "validation": spec.validation, "test": spec.test}
        digest = hashlib.sha256(repr((spec.size, spec.seed, self.sizes)).encode())
        for split, size in self.sizes.items():
            scenes, labels = self._drawn(split, torch.arange(min(size, SAMPLED)))
            digest.update(scenes.numpy().tobytes() + labels.numpy().tobytes())
        self.checksum = digest.hexdigest()

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The scenes of `split` at `indices`, with shape times colours plus colour as class ids.

        Raises: ValueError if there is no such split, IndexError if an index is not in it.
        """
        check(self.sizes, split, indices)
        scenes, labels = self._drawn(split, indices)
        return Batch(scenes.float() / 127.5 - 1, labels, None)

    def _drawn(self, split: str, indices: Int[Tensor, " b"]) -> tuple[Int[Tensor, "b 3 h w"], Int[Tensor, " b"]]:
        """Levels of scenes, and their classes."""
        noise, size = Noise(self.spec.seed, f"shapes of {split}"), self.spec.size

        def below(bound: int | Tensor, which: int) -> Int[Tensor, " b"]:
            """Even over 0 to bound - 1, but for one part in a million: 32 bits are cut into a few thousand parts."""
            return noise.bits(indices, which) * bound >> 32

        labels = below(self.classes, 0)
        reach = size + below(size + size // 2 + 1, 1)  # an eighth to five sixteenths of the image
        room = UNITS * size - 2 * reach + 1
        place = torch.stack([reach + below(room, 2), reach + below(room, 3)], 1)  # b 2
        shades = torch.stack([below(DARK, which) for which in range(4, 10)], 1).view(-1, 2, 3)
        cover = covered(labels // len(COLORS), place, reach, size)[:, None]  # b 1 h w
        color = torch.tensor(list(COLORS.values()))[labels % len(COLORS), :, None, None]  # b 3 1 1
        whole = FINE * FINE
        return (cover * color + (whole - cover) * background(shades, size) + whole // 2) // whole, labels


def background(shades: Int[Tensor, "b 2 c"], size: int) -> Int[Tensor, "b c h 1"]:
    """A linear gradient of levels from the first shade at the top to the second at the bottom, rounded."""
    row, last = torch.arange(size), size - 1
    top, bottom = shades[..., None].unbind(1)  # b c 1
    return ((top * (last - row) + bottom * row + last // 2) // last)[..., None]


def covered(
    forms: Int[Tensor, " b"], place: Int[Tensor, "b 2"], reach: Int[Tensor, " b"], size: int
) -> Int[Tensor, "b h w"]:
    """The number of points in each pixel that are in the shape: 0 to the square of `FINE`."""
    counts = torch.zeros(len(forms), size, size, dtype=torch.int64)
    points = torch.arange(1, UNITS * size, 2, dtype=torch.int32)
    place, reach = place.int(), reach.int()
    for index, inside in enumerate(FORMS.values()):
        for chosen in torch.split((forms == index).nonzero()[:, 0], CHUNK):
            x = points[None, None, :] - place[chosen, 0, None, None]  # b 1 x
            y = points[None, :, None] - place[chosen, 1, None, None]  # b y 1
            cells = inside(x, y, reach[chosen, None, None]).view(-1, size, FINE, size, FINE)
            counts[chosen] = cells.sum((2, 4))
    return counts

"""The shapes: areas, colours and edges as stated, and scenes that depend on seed, split and index alone."""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Any

import pytest
import torch
from torch import Tensor

from crt_basics.datasets.shapes import COLORS, DARK, FINE, FORMS, UNITS, background, covered
from crt_basics.datasets.specs import Shapes
from crt_laws import obeys

test_the_usual_scenes = obeys(Shapes())
test_the_smallest_scenes = obeys(Shapes(train=1, validation=1, test=1, size=8, seed=-5))

AREAS = {"circle": math.pi, "square": 4.0, "triangle": 2.0, "cross": 20 / 9, "ring": math.pi * 3 / 4}
"""Area of each shape that reaches 1 far."""


def cover(form: str, *, reach: int = 100, size: int = 32, place: tuple[int, int] = (128, 128)) -> Tensor:
    """The share of each pixel that lies in the shape."""
    index = torch.tensor([list(FORMS).index(form)])
    return covered(index, torch.tensor([place]), torch.tensor([reach]), size)[0].double() / FINE**2


def levels(**fields: Any) -> tuple[Tensor, Tensor]:
    batch = Shapes(**fields).build().take("train", torch.arange(200))
    assert batch.class_ids is not None
    return ((batch.data.double() + 1) * 127.5).round().long(), batch.class_ids


@pytest.mark.parametrize("form", FORMS)
def test_a_shape_has_its_area(form: str) -> None:
    """To 2 %: a point stands for a square of 2 by 2 units, where the shape is 200 wide and the bar of a cross 67."""
    area = float(cover(form).sum()) * UNITS**2 / 100**2

    assert area == pytest.approx(AREAS[form], rel=0.02)


@pytest.mark.parametrize("form", FORMS)
def test_a_shape_is_its_own_mirror_image(form: str) -> None:
    result = cover(form)

    assert torch.equal(result, result.flip(1))


def test_a_triangle_stands_on_its_base() -> None:
    rows = cover("triangle").sum(1)

    assert rows[:16].sum() < rows[16:].sum() / 2


def test_a_ring_is_a_circle_with_a_hole_half_as_wide() -> None:
    ring, circle, hole = cover("ring"), cover("circle"), cover("circle", reach=50)

    assert torch.equal(ring + hole, circle)


def test_edges_are_shares_of_a_pixel() -> None:
    """A square that reaches 10.5 pixels from the middle of the image covers half of the pixels along its sides."""
    result = cover("square", reach=84)

    assert sorted(result.unique().tolist()) == [0, 0.25, 0.5, 1]
    assert result[16, 4:7].tolist() == [0, 0.5, 1]
    assert result[5, 5] == 0.25


def test_a_background_runs_from_its_first_shade_to_its_second() -> None:
    shades = torch.tensor([[[0, 90, 7], [31, 0, 7]]])

    result = background(shades, 32)

    assert result[0, 0, :, 0].tolist() == list(range(32))
    assert (result[0, 1, 0, 0], result[0, 1, -1, 0]) == (90, 0)
    assert (result[0, 2] == 7).all()


def test_a_class_names_the_colour() -> None:
    scenes, labels = levels()

    shown = torch.stack([
        (scenes == torch.tensor(color)[:, None, None]).all(1).flatten(1).any(1) for color in COLORS.values()
    ], 1)  # fmt: skip

    assert torch.equal(shown.long().argmax(1), labels % len(COLORS))
    assert (shown.sum(1) == 1).all()


def test_a_class_names_the_shape() -> None:
    """Drawn again in its bounding box, it looks most like the shape that its class says."""
    scenes, labels = levels()

    output = []
    for lit in (scenes >= 140).any(1):  # pixels that the shape covers by half, about
        rows, columns = lit.any(1).nonzero()[:, 0], lit.any(0).nonzero()[:, 0]
        middle = UNITS * (int(columns[0] + columns[-1]) + 1) // 2, UNITS * (int(rows[0] + rows[-1]) + 1) // 2
        reach = UNITS * len(columns) // 2
        alike = {form: int(((cover(form, reach=reach, place=middle) > 0.5) == lit).sum()) for form in FORMS}
        output.append(max(alike.items(), key=itemgetter(1))[0])

    right = [form == list(FORMS)[label // len(COLORS)] for form, label in zip(output, labels.tolist(), strict=True)]
    assert sum(right) > 0.95 * len(right)


def test_every_colour_is_brighter_than_any_background() -> None:
    assert min(max(color) for color in COLORS.values()) > DARK
    assert len(set(COLORS.values())) == len(COLORS)


def test_at_most_half_of_an_image_is_shape_and_the_rest_is_dark() -> None:
    scenes, _ = levels()

    lit = (scenes >= DARK).any(1).flatten(1).double().mean(1)
    dark = scenes[(scenes < DARK).all(1)[:, None].expand_as(scenes)]
    assert 0.01 < lit.min() < lit.max() < 0.5
    assert dark.min() == 0
    assert dark.max() == DARK - 1


def test_sizes_and_places_fill_their_ranges() -> None:
    """Of 200, a share of one half is off by 0.18 less than once in 1e6."""
    scenes, _ = levels()

    lit = (scenes >= DARK).any(1)
    left = lit[:, :, :16].flatten(1).sum(1) > lit[:, :, 16:].flatten(1).sum(1)
    top = lit[:, :16].flatten(1).sum(1) > lit[:, 16:].flatten(1).sum(1)
    width = lit.any(1).sum(1)
    assert abs(float(left.double().mean()) - 0.5) < 0.18
    assert abs(float(top.double().mean()) - 0.5) < 0.18
    assert width.min() < 11
    assert width.max() > 18


def test_every_class_is_met_about_as_often() -> None:
    """5,000 draws, 200 of each class expected: 100 or 300 are over seven standard deviations off."""
    labels = Shapes().build().take("train", torch.arange(5000)).class_ids
    assert labels is not None

    times = labels.bincount(minlength=25)

    assert len(times) == 25
    assert times.min() > 100
    assert times.max() < 300


def test_more_samples_leave_those_that_were_there_alone() -> None:
    few, many = Shapes(train=40).build(), Shapes(train=80, validation=9, test=9).build()

    one, other = few.take("train", torch.arange(40)), many.take("train", torch.arange(40))

    assert torch.equal(one.data, other.data)


@pytest.mark.parametrize("fields", [{"seed": 1}, {"size": 33}])
def test_another_seed_or_size_has_other_scenes_and_another_checksum(fields: dict[str, int]) -> None:
    one, other = Shapes().build(), Shapes(**fields).build()

    first = one.take("test", torch.arange(20)).data, other.take("test", torch.arange(20)).data

    assert one.checksum != other.checksum
    assert not torch.equal(first[0], first[1][..., :32, :32])


def test_the_scenes_are_these_bits() -> None:
    """Integers all through: a checksum that changes says that the data did, and with them what is comparable."""
    checksum = Shapes().build().checksum

    assert checksum == "eadaa4b4000925354e4ca68ca5c71398d3e7a4cd999fbbe74b4d75ba09e2150b"


def test_no_two_scenes_are_alike() -> None:
    dataset = Shapes().build()

    scenes = [row.numpy().tobytes() for split in dataset.sizes for row in dataset.take(split, torch.arange(500)).data]

    assert len(set(scenes)) == 1500

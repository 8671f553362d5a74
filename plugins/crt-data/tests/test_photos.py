"""The photographs: crops, splits without common photographs, and errors of missing files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from crt_data import photos
from crt_data.photos import FACES, PHOTOGRAPHS, crops, pictures
from crt_data.specs import Photos
from crt_laws import obeys
from crtcore.errors import RunError

test_the_usual_crops = obeys(Photos())
test_large_crops_that_do_not_overlap = obeys(Photos(size=96, step=200))


def numbered(height: int, width: int) -> Tensor:
    """Returns a photograph whose squares all differ."""
    return (torch.arange(3 * height * width) % 251).byte().view(3, height, width)


def levels(split: str, index: int) -> Tensor:
    batch = Photos().build().take(split, torch.tensor([index]))
    return ((batch.data[0].double() + 1) * 127.5).round().byte()


def test_crops_are_the_squares_a_step_apart_that_fit() -> None:
    photograph = numbered(10, 13)

    squares = list(crops(photograph, 4, 3))

    expected = [photograph[:, top : top + 4, left : left + 4] for top in (0, 3, 6) for left in (0, 3, 6, 9)]
    assert len(squares) == len(expected)
    assert all(torch.equal(one, other) for one, other in zip(squares, expected, strict=True))


def test_a_photograph_of_just_the_size_is_one_crop() -> None:
    (square,) = crops(numbered(8, 8), 8, 1)

    assert torch.equal(square, numbered(8, 8))


def test_a_smaller_photograph_is_one_crop_enlarged() -> None:
    """From 2 to 4 pixels, bilinear: the ends, and a quarter of the way from each."""
    photograph = torch.tensor([[0, 100], [0, 100]], dtype=torch.uint8).expand(3, 2, 2)

    (square,) = crops(photograph, 4, 1)

    assert square.dtype == torch.uint8
    assert square.tolist() == [[[0, 25, 75, 100]] * 4] * 3


def test_the_first_crops_are_the_corners_of_the_first_photographs() -> None:
    corners = {"train": data.astronaut(), "validation": data.chelsea()}

    for split, photograph in corners.items():
        assert torch.equal(levels(split, 0), torch.from_numpy(photograph[:32, :32]).permute(2, 0, 1))


def test_a_grey_photograph_has_three_equal_channels() -> None:
    squares = levels("test", 0)

    assert torch.equal(squares, torch.from_numpy(data.camera()[:32, :32]).expand(3, -1, -1))


def test_no_photograph_and_no_face_is_in_two_splits() -> None:
    names = [name for split in PHOTOGRAPHS.values() for name in split]
    faces = [row for rows in FACES.values() for row in range(100)[rows]]

    assert len(set(names)) == len(names)
    assert sorted(faces) == list(range(100))


def test_every_split_has_its_photographs_and_faces() -> None:
    for split in PHOTOGRAPHS:
        squares = list(pictures(split))

        small = [picture for picture in squares if picture.shape[-1] == 25]
        assert len(small) == len(range(100)[FACES[split]])
        assert len(squares) == len(PHOTOGRAPHS[split]) + len(small)


def test_no_two_crops_of_any_splits_are_alike() -> None:
    dataset = Photos().build()

    rows = [
        row.numpy().tobytes()
        for split, size in dataset.sizes.items()
        for row in dataset.take(split, torch.arange(size)).data
    ]

    assert len(set(rows)) == len(rows) > 7000


def test_the_step_changes_training_crops_alone() -> None:
    near, far = Photos(step=16).build().sizes, Photos(step=32).build().sizes

    assert near["train"] > 3 * far["train"]
    assert (near["validation"], near["test"]) == (far["validation"], far["test"])


def test_the_checksum_is_of_the_photographs_and_not_of_the_crops() -> None:
    assert Photos().build().checksum == Photos(size=64, step=64).build().checksum


def test_the_checksum_shows_another_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Photos(size=64, step=64).build().checksum
    monkeypatch.setattr(photos, "open_image", lambda *_: Image.fromarray(data.coffee()))

    assert Photos(size=64, step=64).build().checksum != before


def test_a_scikit_image_without_a_photograph_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(photos.skimage, "__file__", str(tmp_path / "__init__.py"))

    with pytest.raises(RunError, match=r"photos: expected astronaut\.png in .*, got no such file; install"):
        Photos().build()


def test_a_photograph_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in (*PHOTOGRAPHS["train"], "lfw_subset.npy"):
        (tmp_path / "data" / name).write_bytes(b"no image")
    monkeypatch.setattr(photos.skimage, "__file__", str(tmp_path / "__init__.py"))

    with pytest.raises(RunError, match=r"photos: cannot read .*astronaut\.png \(it is no BMP"):
        Photos().build()


def test_without_scikit_image_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "crt_data.photos")
    monkeypatch.setitem(sys.modules, "skimage", None)

    with pytest.raises(RunError, match=r"photos: expected the module 'skimage', .* pip install"):
        Photos().build()

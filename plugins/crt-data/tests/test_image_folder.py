"""Images in a folder: crops, splits, and errors of folders that cannot be used."""

from __future__ import annotations

import builtins
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crt_data import readers
from crt_data.crops import centre_crop, random_crop, resized
from crt_data.listing import list_images
from crt_data.pictures import paint, paint_many
from crt_data.specs import ImageFolder
from crt_laws import obeys
from crtcore.errors import RunError

LARGEST = 2**32 - 1

test_one_crop_of_an_image = obeys(ImageFolder(folder="set by the laws", size=8))
test_several_crops_of_an_image = obeys(ImageFolder(folder="set by the laws", size=8, crops=3, seed=1))


def ramp(width: int, height: int) -> Image.Image:
    """An image whose red is the column and whose green is the row."""
    levels = np.zeros((height, width, 3), np.uint8)
    levels[..., 0], levels[..., 1] = np.arange(width)[None], np.arange(height)[:, None]
    return Image.fromarray(levels)


def corner(image: Image.Image) -> tuple[int, int]:
    """Column and row of the first pixel of a part of a ramp."""
    red, green, _ = np.array(image)[0, 0]
    return int(red), int(green)


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """A folder with train and val."""
    paint_many(tmp_path / "train", ("ape", "bee"), 100)
    paint_many(tmp_path / "val", ("ape", "bee"), 3)
    return tmp_path


def names_of(folder: Path) -> Mapping[str, tuple[str, ...]]:
    return list_images(folder).files


def test_the_centre_of_an_image_is_cropped() -> None:
    image = centre_crop(ramp(20, 9), 9)

    assert image.size == (9, 9)
    assert corner(image) == (5, 0)


def test_an_image_is_halved_by_boxes_before_it_is_resized() -> None:
    flat = Image.fromarray(np.tile(np.array([[0], [200]], np.uint8), (8, 32))).convert("RGB")

    image = resized(flat, 8)

    assert image.size == (16, 8)
    assert np.array(image).min() == np.array(image).max() == 100


def test_a_small_image_is_enlarged() -> None:
    assert centre_crop(ramp(4, 6), 8).size == (8, 8)


def test_a_training_crop_has_the_whole_side_or_four_fifths_of_it() -> None:
    least, most = (random_crop(ramp(100, 50), 40, [scale, 0, 0, 0]) for scale in (0, LARGEST))

    step = [np.diff(np.array(image)[0, :, 0].astype(int)).mean() for image in (least, most)]
    assert step == pytest.approx([50 / 40, 1.0], abs=0.02)
    assert least.size == most.size == (40, 40)


def test_a_training_crop_reaches_every_corner_and_is_mirrored_by_its_last_word() -> None:
    """Of an image of 100 by 50, taken as it is: the crop of 40 has 61 places across and 11 down."""
    first, last = (random_crop(ramp(100, 50), 40, [LARGEST, word, word, 0]) for word in (0, LARGEST))
    mirrored = random_crop(ramp(100, 50), 40, [LARGEST, 0, 0, LARGEST])

    assert corner(first) == (0, 0)
    assert corner(last) == (60, 10)
    assert corner(mirrored) == (39, 0)
    assert np.array_equal(np.array(mirrored), np.array(first)[:, ::-1])


def test_held_out_images_are_cropped_at_the_centre(halves: Path) -> None:
    spec = ImageFolder(folder=str(halves), size=8)
    dataset = spec.build()

    image = dataset.take("test", torch.tensor([0])).data[0]

    expected = centre_crop(Image.open(halves / "val" / "ape" / "0000.png"), 8)
    assert torch.equal(image, torch.from_numpy(np.array(expected)).permute(2, 0, 1).float() / 127.5 - 1)


def test_every_crop_of_an_image_is_another_sample_under_its_class(halves: Path) -> None:
    dataset = ImageFolder(folder=str(halves), size=8, crops=5).build()
    images = dataset.sizes["train"] // 5

    batch = dataset.take("train", torch.arange(5) * images + 150)

    assert len({crop.numpy().tobytes() for crop in batch.data}) == 5
    assert batch.class_ids is not None
    assert batch.class_ids.tolist() == [1] * 5


def test_another_seed_has_other_crops(halves: Path) -> None:
    one, other = (
        ImageFolder(folder=str(halves), size=8, seed=seed).build().take("train", torch.arange(20)).data
        for seed in (0, 1)
    )

    assert sum(not torch.equal(left, right) for left, right in zip(one, other, strict=True)) > 15


def test_random_words_of_training_crops_are_uniform(halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2,000 words the mean is the middle, but for 5.3 standard errors: chance leaves that once in two million."""
    drawn: list[list[int]] = []
    whole = Image.new("RGB", (8, 8))
    monkeypatch.setattr(readers, "open_image", lambda *_: whole)

    def watched(image: Image.Image, size: int, words: list[int]) -> Image.Image:
        drawn.append(words)
        return image

    monkeypatch.setattr(readers, "random_crop", watched)
    dataset = ImageFolder(folder=str(halves), size=8, crops=11).build()

    dataset.take("train", torch.arange(2000))

    means = torch.tensor(drawn, dtype=torch.float64).mean(0) / 2**32
    assert (means - 0.5).abs().max() < 5.3 / (12 * 2000) ** 0.5
    assert len({tuple(words) for words in drawn}) == 2000


def test_val_is_for_test_and_a_hundredth_of_train_for_validation(halves: Path) -> None:
    files = names_of(halves)

    assert {name.split("/")[0] for name in files["test"]} == {"val"}
    assert {name.split("/")[0] for name in (*files["train"], *files["validation"])} == {"train"}
    assert (len(files["test"]), len(files["train"]) + len(files["validation"])) == (6, 200)
    assert 1 <= len(files["validation"]) <= 10


def test_without_val_a_tenth_is_held_out(tmp_path: Path) -> None:
    paint_many(tmp_path, ("ape", "bee"), 300)

    files = names_of(tmp_path)

    assert 10 <= len(files["validation"]) <= 60
    assert 10 <= len(files["test"]) <= 60


def test_a_new_file_does_not_change_the_split_of_others(halves: Path) -> None:
    before = names_of(halves)

    paint(halves / "train" / "ape" / "0000a.JPEG", 9, 9)

    after = names_of(halves)
    assert all(set(before[split]) <= set(after[split]) for split in before)
    assert sum(map(len, after.values())) == sum(map(len, before.values())) + 1


def test_the_checksum_shows_another_file_and_another_length(halves: Path) -> None:
    def checksum() -> str:
        return ImageFolder(folder=str(halves), size=8).build().checksum

    checksums = [checksum()]
    paint(halves / "val" / "ape" / "0003.png", 9, 9)
    checksums.append(checksum())
    paint(halves / "val" / "ape" / "0003.png", 30, 30)
    checksums.append(checksum())

    assert len(set(checksums)) == 3


def test_nothing_is_opened_before_it_is_taken(halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    untouched = io.open

    def watched(path: Any, *rest: Any, **options: Any) -> Any:
        seen.append(str(path))
        return untouched(path, *rest, **options)

    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr(io, "open", watched)

    dataset = ImageFolder(folder=str(halves), size=8).build()
    before = list(seen)
    dataset.take("test", torch.tensor([1]))

    assert before == []
    assert seen == [str(halves / "val" / "ape" / "0001.png")]


def test_grey_and_transparent_images_have_three_channels(halves: Path) -> None:
    Image.new("L", (9, 9), 100).save(halves / "val" / "ape" / "0000.png")
    Image.new("RGBA", (9, 9), (1, 2, 3, 51)).save(halves / "val" / "ape" / "0001.png")

    data = ImageFolder(folder=str(halves), size=8).build().take("test", torch.tensor([0, 1])).data

    white = 255 * 204 / 255  # four fifths of it show through
    levels = ((data + 1) * 127.5).round()[:, :, 0, 0].tolist()
    assert levels == [[100, 100, 100], [round(white + level / 5) for level in (1, 2, 3)]]


def test_an_image_that_is_too_long_for_its_crops_is_named(halves: Path) -> None:
    """As tall as a crop it would be 4,096 by 12,288,000 pixels."""
    Image.new("1", (3000, 1)).save(halves / "val" / "ape" / "0000.png")
    narrow, wide = (ImageFolder(folder=str(halves), size=size).build() for size in (8, 4096))

    assert narrow.take("test", torch.tensor([0])).data.shape == (1, 3, 8, 8)
    with pytest.raises(RunError, match=r"cannot read .*0000\.png \(too long for crops of 4096: 3000 x 1\)"):
        wide.take("test", torch.tensor([0]))


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_file_that_cannot_be_read_is_named(halves: Path, content: bytes) -> None:
    (halves / "val" / "ape" / "0000.png").write_bytes(content)
    dataset = ImageFolder(folder=str(halves), size=8).build()

    with pytest.raises(
        RunError, match=r"image-folder: cannot read .*/val/ape/0000\.png \(.+\); replace it by a valid image"
    ):
        dataset.take("test", torch.tensor([1, 0]))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def test_an_image_that_was_cut_short_is_named(halves: Path) -> None:
    paint(halves / "val" / "ape" / "0000.jpg", 40, 40)
    cut_short(halves / "val" / "ape" / "0000.jpg")
    dataset = ImageFolder(folder=str(halves), size=8).build()

    with pytest.raises(RunError, match=r"cannot read .*0000\.jpg"):
        dataset.take("test", torch.tensor([0]))


def refusal(folder: Path) -> str:
    with pytest.raises(RunError) as refused:
        ImageFolder(folder=str(folder), size=8).build()
    return str(refused.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert f"expected a folder {tmp_path / 'gone'}, got none; name one with a sub-folder" in refusal(tmp_path / "gone")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert f"{tmp_path}: expected a sub-folder of images for each class, got none" in refusal(tmp_path)


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    paint_many(tmp_path, ("ape",), 60)
    (tmp_path / "bee").mkdir()
    (tmp_path / "bee" / "notes.txt").touch()

    assert f"{tmp_path / 'bee'}: expected images (*.bmp, *.jpeg" in refusal(tmp_path)


def test_images_beside_no_class_are_refused(tmp_path: Path) -> None:
    paint_many(tmp_path / "train", ("ape",), 100)
    paint(tmp_path / "val" / "0000.png", 9, 9)

    assert f"{tmp_path / 'val'}: expected a sub-folder of images for each class, got none" in refusal(tmp_path)


def test_train_without_val_is_refused(tmp_path: Path) -> None:
    paint_many(tmp_path / "train", ("ape",), 3)

    assert "expected folders train and val, or neither, got train alone" in refusal(tmp_path)


def test_a_class_of_val_that_train_lacks_is_refused(halves: Path) -> None:
    paint_many(halves / "val", ("cow",), 3)

    assert f"{halves / 'val'}: expected the classes of train, got also 'cow'" in refusal(halves)


def test_too_few_images_for_a_split_are_refused(tmp_path: Path) -> None:
    paint_many(tmp_path, ("ape",), 2)

    assert "expected images for every split, got none for" in refusal(tmp_path)


def test_images_in_folders_of_a_class_belong_to_it(halves: Path) -> None:
    before = names_of(halves)["test"]
    paint(halves / "val" / "bee" / "2019" / "May" / "1.png", 9, 9)
    paint(halves / "val" / "ape" / "bee" / "1.PNG", 9, 9)
    paint(halves / "val" / "ape" / "x.png" / "1.png", 9, 9)

    dataset = ImageFolder(folder=str(halves), size=8).build()

    after = names_of(halves)["test"]
    added = ("val/ape/bee/1.PNG", "val/ape/x.png/1.png", "val/bee/2019/May/1.png")
    assert after == tuple(sorted(before + added))
    class_ids = dataset.take("test", torch.arange(len(after))).class_ids
    assert class_ids is not None
    assert class_ids.tolist() == [0] * 5 + [1] * 4
    assert dataset.skipped == {}


@pytest.mark.parametrize("name", ["x.tif", "x.TIFF", "x.ppm", "x.pgm", "x.bmp", "x.webp", "x.jpg", "x.JPEG"])
def test_files_with_suffixes_of_images_are_read(halves: Path, name: str) -> None:
    image = Image.new("L" if name.endswith("pgm") else "RGB", (9, 9))
    image.save(halves / "val" / "ape" / name)

    assert f"val/ape/{name}" in names_of(halves)["test"]
    data = ImageFolder(folder=str(halves), size=8).build().take("test", torch.arange(7)).data
    assert (data[3] == -1).all()


def test_what_systems_leave_is_no_image_and_no_class(halves: Path) -> None:
    before = ImageFolder(folder=str(halves), size=8).build()
    for name in ("._0001.png", ".0002.thumb.jpg", ".thumbs/1.png", "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "Thumbs.db"):
        paint(halves / "val" / "ape" / f"{name}.png", 9, 9)
        (halves / "val" / "ape" / f"{name}.png").rename(halves / "val" / "ape" / name)
    paint(halves / "train" / "__MACOSX" / "ape" / "1.png", 9, 9)
    paint(halves / "train" / ".ipynb_checkpoints" / "1.png", 9, 9)
    (halves / ".DS_Store").touch()

    after = ImageFolder(folder=str(halves), size=8).build()

    assert after.checksum == before.checksum
    assert (after.sizes, after.classes) == (before.sizes, 2)
    assert after.skipped == {"hidden or of a system": {"number": 8, "first": ".DS_Store"}}


def test_everything_that_is_left_out_is_counted(halves: Path) -> None:
    for name in ("notes.txt", "val/ape/a.gif", "val/bee/deep/b.csv", "val/bee/c", "train/1.png", "val/2.png"):
        (halves / name).parent.mkdir(exist_ok=True)
        (halves / name).touch()
    paint(halves / "test" / "ape" / "1.png", 9, 9)

    assert ImageFolder(folder=str(halves), size=8).build().skipped == {
        "beside train and val": {"number": 2, "first": "notes.txt"},
        "in no class": {"number": 2, "first": "train/1.png"},
        "not an image by its suffix": {"number": 3, "first": "val/ape/a.gif"},
    }


def test_a_class_with_nothing_but_hidden_images_is_refused(tmp_path: Path) -> None:
    paint_many(tmp_path, ("ape",), 60)
    paint(tmp_path / "bee" / "._1.png", 9, 9)

    assert "got none (left out so far: 1 hidden or of a system)" in refusal(tmp_path)


def test_a_link_to_nothing_is_refused(halves: Path) -> None:
    (halves / "val" / "ape" / "x.png").symlink_to(halves / "gone.png")

    assert f"{halves / 'val' / 'ape' / 'x.png'}: expected an image, got a link to nothing; remove it" in refusal(halves)


def test_what_is_no_regular_file_is_refused(halves: Path) -> None:
    os.mkfifo(halves / "val" / "ape" / "x.png")

    assert "x.png: expected an image, got no regular file; remove it" in refusal(halves)


def test_links_to_images_and_folders_are_followed(halves: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    paint(elsewhere / "1.png", 9, 9)
    (halves / "val" / "ape" / "x.png").symlink_to(elsewhere / "1.png")
    (halves / "val" / "ape" / "more").symlink_to(elsewhere)

    assert {"val/ape/x.png", "val/ape/more/1.png"} <= set(names_of(halves)["test"])


@pytest.mark.parametrize("target", ["train/ape", "train", "..", "both"])
def test_links_that_lead_back_are_refused(halves: Path, target: str) -> None:
    (halves / "train" / "bee" / "to").symlink_to(halves / ("train/ape" if target == "both" else target))
    (halves / "train" / "ape" / "back").symlink_to(halves / ("train/bee" if target == "both" else target))

    assert "expected no link to a folder above, got one; remove it" in refusal(halves)


def test_a_link_to_itself_is_refused(halves: Path) -> None:
    (halves / "val" / "ape" / "x.png").symlink_to(halves / "val" / "ape" / "x.png")

    assert f"{halves / 'val' / 'ape' / 'x.png'}: expected something that can be read, got Too many" in refusal(halves)


def test_a_folder_that_cannot_be_listed_is_refused(halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", closed)

    assert f"{halves}: expected something that can be read, got Permission denied" in refusal(halves)


def test_without_pillow_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("image_folder", "images", "readers", "crops", "decoding"):
        monkeypatch.delitem(sys.modules, f"crt_data.{name}")
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(RunError, match=r"expected the module 'PIL', .* pip install"):
        ImageFolder(folder="anywhere").build()


def test_the_shape_of_a_sample_is_known_before_there_is_a_folder() -> None:
    assert ImageFolder(folder="gone", size=24).sample_shape == (3, 24, 24)

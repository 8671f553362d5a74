"""Zips with a folder for each class: layouts, members, and errors of zips that cannot be used."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from crt_data import index
from crt_data.packing import pack_zip
from crt_data.pictures import paint, painted
from crt_data.specs import ImageFolder, ImageZip
from crt_laws import obeys
from crtcore.errors import RunError

test_the_example = obeys(ImageZip(file="set by the laws", size=8))


def pictures(parts: Mapping[str, int], top: str = "") -> dict[str, bytes]:
    """Pictures of two classes in each part."""
    return {
        f"{top}{part}{name}/{index:04d}.png": painted("PNG", 12, 10, seed=hash_of(part, name, index))
        for part, each in parts.items() for name in ("ape", "bee") for index in range(each)
    }  # fmt: skip


def hash_of(*parts: object) -> int:
    """A seed of its own for each picture."""
    return int.from_bytes(repr(parts).encode()) % (2**61 - 1)


HALVES = pictures({"train/": 100, "val/": 3})


def build(path: Path) -> Any:
    return ImageZip(file=str(path), size=8).build()


def refusal(path: Path) -> str:
    with pytest.raises(RunError) as refused:
        build(path)
    return str(refused.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("top", ["", "imagenet/", "a/b/"])
def test_a_zip_has_the_samples_of_the_folder_that_it_was_packed_from(tmp_path: Path, top: str, method: int) -> None:
    for name, content in HALVES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    pack_zip(tmp_path / "x.zip", {f"{top}{name}": content for name, content in reversed(HALVES.items())}, method)
    folder = ImageFolder(folder=str(tmp_path), size=8).build()

    packed = build(tmp_path / "x.zip")

    assert (packed.sizes, packed.classes) == (folder.sizes, folder.classes)
    for split, size in packed.sizes.items():
        one, other = (each.take(split, torch.arange(size)) for each in (packed, folder))
        assert torch.equal(one.data, other.data)
        assert torch.equal(one.class_ids, other.class_ids)


def kaggle(solution: str) -> dict[str, bytes]:
    top = "ILSVRC/Data/CLS-LOC/"
    train = {
        f"{top}train/{name.removeprefix('train/')}": content for name, content in HALVES.items() if "train" in name
    }
    held = {f"{top}val/ILSVRC2012_val_{each:08d}.JPEG": painted("JPEG", 12, 10, seed=each) for each in range(4)}
    others = {f"{top}test/ILSVRC2012_test_00000001.JPEG": b"", "ILSVRC/Annotations/CLS-LOC/val/a.xml": b""}
    return {"LOC_val_solution.csv": solution.encode(), "LOC_synset_mapping.txt": b"", **others, **train, **held}


def test_kaggles_archive_of_imagenet_has_the_classes_of_val_in_a_list(tmp_path: Path) -> None:
    lines = [f"ILSVRC2012_val_{each:08d},{('ape', 'bee')[each == 2]} 1 2 3 4 \n" for each in (3, 2, 1, 0)]
    pack_zip(tmp_path / "x.zip", kaggle(f"ImageId,PredictionString\n{''.join(lines)}"))

    dataset = build(tmp_path / "x.zip")

    assert (dataset.classes, dataset.sizes["test"]) == (2, 4)
    # sorted by class and name, as folders of classes are
    assert dataset.take("test", torch.arange(4)).class_ids.tolist() == [0, 0, 0, 1]
    assert dataset.skipped["beside train and val"]["number"] == 4


def test_an_image_of_kaggles_val_without_a_class_is_counted(tmp_path: Path) -> None:
    pack_zip(tmp_path / "x.zip", kaggle("ImageId,PredictionString\nILSVRC2012_val_00000000,ape 1 2 3 4\n"))

    dataset = build(tmp_path / "x.zip")

    assert dataset.sizes["test"] == 1
    assert dataset.skipped["in no class"] == {
        "number": 3,
        "first": "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG",
    }


def test_a_line_of_kaggles_list_without_a_class_is_refused(tmp_path: Path) -> None:
    pack_zip(tmp_path / "x.zip", kaggle("ImageId,PredictionString\nILSVRC2012_val_00000000,\n"))

    assert "x.zip: 'LOC_val_solution.csv': expected a name and a class with boxes, got" in refusal(tmp_path / "x.zip")


def test_a_damaged_list_of_kaggles_is_one_error(tmp_path: Path) -> None:
    pack_zip(tmp_path / "x.zip", kaggle("ImageId,PredictionString\n"), zipfile.ZIP_DEFLATED)
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[content.index(b"LOC_val_solution.csv") + len("LOC_val_solution.csv")] = 0xFF  # no kind of deflated block
    (tmp_path / "x.zip").write_bytes(content)

    assert "x.zip: expected a zip, got one that cannot be read (Error -3" in refusal(tmp_path / "x.zip")


def test_what_systems_leave_is_no_image(tmp_path: Path) -> None:
    pack_zip(tmp_path / "x.zip", {**HALVES, "__MACOSX/train/ape/._0000.png": b"", "train/ape/.x.png": b""})

    dataset = build(tmp_path / "x.zip")

    assert dataset.skipped == {"hidden or of a system": {"number": 2, "first": "__MACOSX/train/ape/._0000.png"}}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "expected a folder of images for each class, got none"),
        ({"a.png": b"", "b.txt": b""}, "expected a folder of images for each class, got none"),
        (pictures({"train/": 3}), "expected folders train and val, or neither, got train alone"),
        ({**HALVES, "val/cow/1.png": b""}, "expected the classes of train, got also 'cow', of 'val/cow/1.png'"),
        (pictures({"": 2}), "expected images for every split, got none for"),
    ],
    ids=["empty", "no folders", "train alone", "a class of val alone", "too few"],
)
def test_members_that_make_no_data_set_are_refused(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    pack_zip(tmp_path / "x.zip", members)

    refused = refusal(tmp_path / "x.zip")

    assert refused.startswith(f"image-zip: {tmp_path / 'x.zip'}")
    assert message in refused


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    pack_zip(tmp_path / "x.zip", {"ape/1.png": b"", "ape/2.png": b""})
    content = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(content.replace(b"ape/2.png", b"ape/1.png"))

    assert "expected one member of a name, got two called 'ape/1.png'" in refusal(tmp_path / "x.zip")


def test_another_method_is_refused(tmp_path: Path) -> None:
    pack_zip(tmp_path / "x.zip", HALVES, zipfile.ZIP_BZIP2)

    assert "expected stored or deflated members, got method 12 ('train/ape/0000.png')" in refusal(tmp_path / "x.zip")


def test_a_member_that_says_to_be_huge_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "LARGEST", 1000)
    pack_zip(tmp_path / "x.zip", {**HALVES, "train/ape/x.png": bytes(2000)})

    assert "expected images of at most 1,000 bytes, got 2,000 in 'train/ape/x.png'" in refusal(tmp_path / "x.zip")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    pack_zip(tmp_path / "x.zip", HALVES)
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flags of the first member in the list
    (tmp_path / "x.zip").write_bytes(content)

    assert "got an encrypted one ('train/ape/0000.png'); pack it anew" in refusal(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (None, "no such file; put it there"),
        (b"", "an empty one; fetch the file again"),
        (b"<!DOCTYPE html>\n<html>" * 100, "a web page, as a failed download leaves; fetch the file again"),
        (bytes(range(256)) * 8, r"one that cannot be read (File is not a zip file); fetch it again"),
    ],
    ids=["none", "empty", "page", "other"],
)
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes | None, got: str) -> None:
    if content is not None:
        (tmp_path / "x.zip").write_bytes(content)

    assert f"image-zip: {tmp_path / 'x.zip'}: expected a zip, got {got}" in refusal(tmp_path / "x.zip")


def test_a_zip_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    pack_zip(tmp_path / "x.zip", HALVES)
    whole = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(whole[: len(whole) // 2])

    assert "expected a zip, got one that cannot be read (File is not a zip file); fetch it again" in refusal(
        tmp_path / "x.zip"
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_named_when_it_is_taken(tmp_path: Path, method: int) -> None:
    pack_zip(tmp_path / "x.zip", HALVES, method)
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[content.index(b"val/ape/0001.png") + 200] ^= 1
    (tmp_path / "x.zip").write_bytes(content)
    dataset = build(tmp_path / "x.zip")

    assert len(dataset.take("test", torch.tensor([0, 2])).data) == 2
    with pytest.raises(RunError, match=r"image-zip: cannot read .*x\.zip: 'val/ape/0001\.png' \(.*\); the archive is"):
        dataset.take("test", torch.tensor([0, 1]))


def test_the_list_is_kept_and_the_checksum_is_of_the_content(tmp_path: Path, cache: Path) -> None:
    pack_zip(tmp_path / "x.zip", HALVES)
    before = build(tmp_path / "x.zip").checksum
    os.utime(tmp_path / "x.zip", (1e9, 1e9))
    assert build(tmp_path / "x.zip").checksum == before
    assert len(list(cache.iterdir())) == 1
    assert build(tmp_path / "x.zip").checksum == before
    (tmp_path / "x.zip").rename(tmp_path / "y.zip")
    assert build(tmp_path / "y.zip").checksum == before

    paint(tmp_path / "z.png", 12, 10)
    with zipfile.ZipFile(tmp_path / "y.zip", "a") as archive:
        archive.write(tmp_path / "z.png", "train/ape/z.png")

    assert build(tmp_path / "y.zip").checksum != before

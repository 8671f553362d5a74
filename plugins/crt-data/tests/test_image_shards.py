"""Tar shards: what a sample is, the splits, the kept table, and errors of shards that cannot be used."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crt_data import tar_shards
from crt_data.crops import centre_crop
from crt_data.packing import pack_tar
from crt_data.pictures import painted
from crt_data.specs import ImageShards
from crt_laws import obeys
from crtcore.errors import RunError

BLOCK = 512

test_the_example = obeys(ImageShards(folder="set by the laws", size=8))
test_several_crops_of_an_image = obeys(ImageShards(folder="set by the laws", size=8, crops=3, seed=1))


def samples(count: int, first: int = 0, label: int | None = None) -> list[dict[str, bytes]]:
    """Samples of two classes, or of one."""
    return [
        {
            f"{index:05d}.png": painted("PNG", 12, 10, seed=index),
            f"{index:05d}.cls": b"%d" % (index % 2 if label is None else label),
        }
        for index in range(first, first + count)
    ]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder with two shards for training and one that is held out."""
    for number in range(2):
        pack_tar(tmp_path / f"toys-train-{number:03d}.tar", samples(80, 80 * number))
    pack_tar(tmp_path / "toys-val-000.tar", samples(6, 200))
    return tmp_path


def settled(folder: Path) -> None:
    """Makes all files look as if they had not been changed for long."""
    for path in folder.rglob("*.*"):
        os.utime(path, (1e9, 1e9))


def build(folder: Path, **fields: Any) -> Any:
    return ImageShards(folder=str(folder), size=8, **fields).build()


def refusal(folder: Path, **fields: Any) -> str:
    with pytest.raises(RunError) as refused:
        build(folder, **fields)
    return str(refused.value)


def test_members_of_one_name_are_a_sample(shards: Path) -> None:
    dataset = build(shards)

    batch = dataset.take("test", torch.tensor([3]))

    expected = centre_crop(Image.open(io.BytesIO(painted("PNG", 12, 10, seed=203))), 8)
    assert torch.equal(batch.data[0], torch.from_numpy(np.array(expected)).permute(2, 0, 1).float() / 127.5 - 1)
    assert batch.class_ids.tolist() == [1]
    assert (dataset.classes, dataset.sizes["test"], sum(dataset.sizes.values())) == (2, 6, 166)


def test_a_class_may_be_in_a_field_of_json(tmp_path: Path) -> None:
    made = [
        {f"{each}.jpg": painted("JPEG", 12, 10, seed=each), f"{each}.json": json.dumps({"a": {"b": each % 3}}).encode()}
        for each in range(200)
    ]
    pack_tar(tmp_path / "all.tar", made)

    dataset = build(tmp_path, label="json.a.b")

    seen = {split: dataset.take(split, torch.arange(size)).class_ids for split, size in dataset.sizes.items()}
    assert dataset.classes == 3
    assert torch.bincount(torch.cat(list(seen.values()))).tolist() == [67, 67, 66]


def test_without_a_label_there_are_no_classes(shards: Path) -> None:
    dataset = build(shards, label="")

    assert dataset.classes is None
    assert dataset.take("train", torch.arange(3)).class_ids is None


def test_folders_dots_and_capitals_in_names(tmp_path: Path) -> None:
    made = [
        {f"./v1.0/{each}.JPG": painted("JPEG", 12, 10, seed=each), f"./v1.0/{each}.cls": b"0\n"} for each in range(200)
    ]
    pack_tar(tmp_path / "all.tar", made)

    assert sum(build(tmp_path).sizes.values()) == 200


def test_what_is_no_sample_is_left_out_and_counted(shards: Path) -> None:
    members: Mapping[str, bytes] = {"README": b"", "._1.png": b"", "__index__/1.png": b""}
    pack_tar(shards / "toys-train-001.tar", [members, *samples(80, 80)])

    assert build(shards).skipped == {
        "not an image by its suffix": {"number": 1, "first": "toys-train-001.tar/README"},
        "hidden or of a system": {"number": 2, "first": "toys-train-001.tar/._1.png"},
    }


def test_the_words_of_a_name_are_its_part(tmp_path: Path) -> None:
    for name, first in (("train/00.tar", 0), ("validation/00.tar", 200), ("imagenet1k-test-00.tar", 300)):
        pack_tar(tmp_path / name, samples(160 if first == 0 else 5, first))

    dataset = build(tmp_path)

    assert dataset.sizes["test"] == 5
    assert dataset.skipped == {"beside train and val": {"number": 1, "first": "imagenet1k-test-00.tar"}}


def test_without_validation_test_is_held_out(tmp_path: Path) -> None:
    pack_tar(tmp_path / "a_train.tar", samples(160))
    pack_tar(tmp_path / "a_test.tar", samples(5, 200))

    assert build(tmp_path).sizes["test"] == 5


@pytest.mark.parametrize(
    ("names", "got"),
    [
        (("train-0.tar", "more-0.tar"), "'more-0.tar' with neither"),
        (("train-0.tar", "train-1.tar"), "none with test among 2"),
        (("val-0.tar",), "none with train among 1"),
        (("train-val-0.tar",), "'train-val-0.tar'"),
        ((), "expected files *.tar, got none"),
    ],
)
def test_names_that_do_not_tell_the_parts_are_refused(tmp_path: Path, names: tuple[str, ...], got: str) -> None:
    for number, name in enumerate(names):
        pack_tar(tmp_path / name, samples(3, 3 * number))

    assert got in refusal(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert f"{tmp_path / 'gone'}: expected a folder with files *.tar, got none" in refusal(tmp_path / "gone")


def test_too_few_images_for_a_split_are_refused(tmp_path: Path) -> None:
    pack_tar(tmp_path / "all.tar", samples(3))

    assert "expected images for every split, got none for" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"x.cls": b"0"}, "'x': expected one image (*.bmp, *.jpeg"),
        ({"x.png": b"", "x.jpg": b"", "x.cls": b"0"}, "got 2 among cls, jpg, png"),
        ({"x.png": b""}, "'x': expected a member *.cls with the class, got none; set `label`"),
        ({"x.png": b"", "x.cls": b"ape"}, "'x': expected a class from 0 in *.cls, got 'ape'"),
        ({"x.png": b"", "x.cls": b"-1"}, "'x': expected a class from 0 in *.cls, got '-1'"),
        ({"x.png": b"", "y.png": b"", "x.cls": b"0"}, "'x': expected a member *.cls"),
    ],
)
def test_a_sample_that_is_not_whole_is_named(shards: Path, broken: dict[str, bytes], message: str) -> None:
    pack_tar(shards / "toys-train-001.tar", [*samples(3, 80), broken])

    refused = refusal(shards)

    assert refused.startswith(f"image-shards: {shards / 'toys-train-001.tar'}: ")
    assert message in refused


def test_members_of_a_sample_that_lie_apart_are_refused(shards: Path) -> None:
    one, other = samples(2, 80)
    pack_tar(shards / "toys-train-001.tar", [one, other, {"00080.txt": b"an ape"}])

    assert "toys-train-001.tar: expected members of a sample side by side, got '00080.txt' apart" in refusal(shards)


def test_a_class_that_training_lacks_is_refused(shards: Path) -> None:
    pack_tar(shards / "toys-val-000.tar", samples(3, 200, label=2))

    assert "expected classes from 0 to 1, as in training, got 2 of '00200.png'" in refusal(shards)


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


@pytest.mark.parametrize(
    ("length", "why"),
    [
        (BLOCK + 50, " after '00200.png' (unexpected end of data)"),
        (2 * BLOCK + 100, " after '00200.png' ("),
        (3 * BLOCK + 100, " after '00200.cls' ("),
        (4 * BLOCK, " after '00200.cls' (the mark of its end is missing: it is cut short)"),
        (100, " (truncated header)"),
        (0, " (empty file)"),
    ],
    ids=["in the data", "in a header", "in padding", "between samples", "in the first header", "at its beginning"],
)
def test_a_shard_that_was_cut_short_is_named(shards: Path, length: int, why: str) -> None:
    path = shards / "toys-val-000.tar"
    content = {"00200.png": bytes(100), "00200.cls": b"0"}
    pack_tar(path, [content, *samples(3, 201)])
    cut(path, length)

    refused = refusal(shards)

    assert refused.startswith(f"image-shards: {path}: expected a tar without compression, got one that cannot be read")
    assert refused.endswith("; fetch it again")
    assert why in refused


def test_a_damaged_header_inside_is_no_end(shards: Path) -> None:
    """`tarfile` reads such a shard as a shorter one."""
    path = shards / "toys-train-001.tar"
    content = bytearray(path.read_bytes())
    at = content.index(b"00100.png")
    content[at] = ord("x")  # the header's checksum no longer fits
    path.write_bytes(content)

    assert "after '00099.cls' (a damaged header, or another archive behind its end)" in refusal(shards)


def test_another_archive_behind_the_end_is_refused(shards: Path) -> None:
    path = shards / "toys-train-001.tar"
    path.write_bytes(path.read_bytes() + (shards / "toys-train-000.tar").read_bytes())

    assert "another archive behind its end" in refusal(shards)


def test_a_compressed_shard_is_refused(shards: Path) -> None:
    path = shards / "toys-val-000.tar"
    path.write_bytes(gzip.compress(path.read_bytes()))

    assert f"{path}: expected a tar without compression" in refusal(shards)


def test_an_image_that_cannot_be_decoded_is_named(shards: Path) -> None:
    pack_tar(shards / "toys-val-000.tar", [{"x.png": b"no image", "x.cls": b"1"}, *samples(2, 200)])
    dataset = build(shards)

    assert len(dataset.take("test", torch.tensor([1, 2])).data) == 2
    with pytest.raises(RunError, match=r"image-shards: cannot read .*toys-val-000\.tar: 'x\.png' \(.*; replace it"):
        dataset.take("test", torch.tensor([2, 0]))


def test_a_table_is_kept_and_used(shards: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(shards)
    first = build(shards)
    monkeypatch.setattr(tar_shards, "_made", lambda *_: pytest.fail("the shards were read through again"))

    again = build(shards)

    everything = torch.arange(first.sizes["train"])
    one, other = first.take("train", everything), again.take("train", everything)
    assert len(list(cache.iterdir())) == 1
    assert (again.checksum, again.sizes, again.classes) == (first.checksum, first.sizes, first.classes)
    assert torch.equal(one.data, other.data)
    assert torch.equal(one.class_ids, other.class_ids)


def test_a_file_that_has_just_changed_leaves_no_table(shards: Path, cache: Path) -> None:
    build(shards)

    assert not cache.exists()


def test_the_checksum_is_of_names_and_contents_and_not_of_times(shards: Path) -> None:
    before = build(shards).checksum
    settled(shards)
    assert build(shards).checksum == before
    whole = hashlib.sha256()
    for path in sorted(shards.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.name}\0{path.stat().st_size}\0{digest}\0".encode())
    assert before == whole.hexdigest()

    path = shards / "toys-val-000.tar"
    path.write_bytes(path.read_bytes() + bytes(BLOCK))

    assert build(shards).checksum != before


def test_a_damaged_table_is_made_again(shards: Path, cache: Path) -> None:
    settled(shards)
    before = build(shards).checksum
    (table,) = cache.iterdir()
    table.write_bytes(table.read_bytes()[:-100])

    assert build(shards).checksum == before


def change_a_byte(path: Path, part: bytes) -> None:
    """Changes a byte and leaves length and time of change, as a disk may."""
    content = bytearray(path.read_bytes())
    content[content.index(part) + len(part) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, (1e9, 1e9))


def test_a_changed_byte_of_an_image_that_is_tried_is_noticed_at_the_start(shards: Path) -> None:
    settled(shards)
    build(shards)
    change_a_byte(shards / "toys-train-000.tar", painted("PNG", 12, 10, seed=0))  # the first is always tried

    assert "toys-train-000.tar: '00000.png' (expected CRC-32" in refusal(shards)


def test_a_changed_byte_of_another_image_is_noticed_when_it_is_taken(shards: Path) -> None:
    settled(shards)
    build(shards)
    change_a_byte(shards / "toys-train-000.tar", painted("PNG", 12, 10, seed=1))
    dataset = build(shards)

    with pytest.raises(RunError, match=r"'00001\.png' \(expected CRC-32 .*\); the archive is damaged or was changed"):
        dataset.take("train", torch.arange(dataset.sizes["train"]))


def test_a_shard_that_goes_or_shrinks_while_it_is_used_is_named(shards: Path) -> None:
    dataset = build(shards)
    cut(shards / "toys-val-000.tar", 100)

    with pytest.raises(RunError, match=r"toys-val-000\.tar: '00200\.png' \(expected \d+ bytes, got \d+: .*cut short"):
        dataset.take("test", torch.tensor([0]))

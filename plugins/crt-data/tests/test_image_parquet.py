"""Parquet files: rows, columns, class names, and errors of files that cannot be used."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crt_data.crops import centre_crop
from crt_data.packing import pack_parquet
from crt_data.parquet_pages import Page, fragments
from crt_data.pictures import painted
from crt_data.readers import PAGE_METHODS, PackedReader, decompressed, pyarrow
from crt_data.specs import ImageParquet
from crt_laws import obeys
from crtcore.errors import RunError

test_the_example = obeys(ImageParquet(folder="set by the laws", size=8))


def rows(count: int, first: int = 0) -> list[tuple[int, bytes]]:
    return [(index % 2, painted("PNG", 12, 10, seed=index)) for index in range(first, first + count)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two files for training and one that is held out."""
    for number in range(2):
        pack_parquet(tmp_path / "data" / f"train-{number:05d}-of-00002.parquet", rows(80, 80 * number), group=30)
    pack_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", rows(7, 200), group=3)
    return tmp_path


def build(folder: Path, **fields: Any) -> Any:
    return ImageParquet(folder=str(folder), size=8, **fields).build()


def refusal(folder: Path, **fields: Any) -> str:
    with pytest.raises(RunError) as refused:
        build(folder, **fields)
    return str(refused.value)


def write(path: Path, columns: dict[str, Any], metadata: Any = None, **options: Any) -> None:
    """Writes columns as they are."""
    table = pyarrow().table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pyarrow().parquet.write_table(table, path, **options)


def structs(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"bytes": content, "path": None} for _, content in rows(count, first)]


def names(*each: str) -> Any:
    """What `datasets` writes of a column of classes."""
    return {"info": {"features": {"label": {"names": list(each), "_type": "ClassLabel"}}}}


def test_a_row_is_a_sample(files: Path) -> None:
    dataset = build(files)

    batch = dataset.take("test", torch.arange(7))

    expected = centre_crop(Image.open(io.BytesIO(painted("PNG", 12, 10, seed=205))), 8)
    assert torch.equal(batch.data[5], torch.from_numpy(np.array(expected)).permute(2, 0, 1).float() / 127.5 - 1)
    assert batch.class_ids.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert (dataset.classes, sum(dataset.sizes.values())) == (2, 167)


def test_class_names_in_a_file_tell_how_many_classes_there_are(files: Path) -> None:
    labels = [index % 2 for index in range(7)]
    for path in (files / "data").iterdir():
        first = 80 * int(path.name.split("-")[1]) if "train" in path.name else 300
        count = 80 if "train" in path.name else 7
        labels = [index % 2 for index in range(count)]
        write(path, {"image": structs(count, first), "label": labels}, names("ape", "bee", "cow"))

    assert build(files).classes == 3


def test_class_names_that_differ_are_refused(files: Path) -> None:
    for path, last in zip(sorted((files / "data").iterdir()), ("bee", "bee", "cow"), strict=True):
        write(path, {"image": structs(3), "label": [0, 1, 0]}, names("ape", last))

    assert "expected the class names of the files before, got others" in refusal(files)


def test_columns_may_have_other_names_and_classes_may_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "all.parquet", {"img": structs(200), "fine": list(range(200))})

    dataset = build(tmp_path, image="img", label="")

    assert dataset.classes is None
    assert dataset.take("train", torch.arange(2)).class_ids is None
    assert build(tmp_path, image="img", label="fine").classes == 200


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"img": structs(3)}, "expected a column 'image', got 'img'; set `image`"),
        ({"image": structs(3)}, "expected a column 'label', got 'image'; set `label`"),
        ({"image": [b"", b""], "label": [0, 1]}, "expected a struct with bytes in 'image', got binary; set `image`"),
        ({"image": structs(2), "label": ["ape", "bee"]}, "expected integers in 'label', got string; set `label`"),
        ({"image": structs(2), "label": [0, -1]}, "'row 1 of row group 0': expected a class from 0 in 'label', got -1"),
        (
            {"image": structs(2), "label": [0, None]},
            "'row 1 of row group 0': expected a class from 0 in 'label', got N",
        ),
        (
            {"image": [*structs(1), {"bytes": None, "path": "a.png"}], "label": [0, 1]},
            "'row 1 of row group 0, a.png': expected bytes in the column 'image', got none: they are in",
        ),
    ],
)
def test_columns_that_are_not_images_and_classes_are_refused(
    files: Path, columns: dict[str, Any], message: str
) -> None:
    path = files / "data" / "train-00001-of-00002.parquet"
    write(path, columns)

    refused = refusal(files)

    assert refused.startswith(f"image-parquet: {path}: ")
    assert message in refused


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_images_are_read_from_pages_of_every_kind(
    tmp_path: Path, compression: str, version: str, dictionary: bool
) -> None:
    """Pages of 20 kB, and images that compress well and badly, the same one twice among them."""
    contents = [painted(("BMP", "PNG")[index % 2], 20 + index % 50, 50, seed=index // 2 * 2) for index in range(149)]
    contents.append(contents[0])
    write(
        tmp_path / "all.parquet", {"image": [{"bytes": each, "path": None} for each in contents], "label": [0] * 150},
        compression=compression, use_dictionary=dictionary, row_group_size=25, data_page_size=20_000,
        data_page_version=version, write_batch_size=2,
    )  # fmt: skip

    index = build(tmp_path)._places

    read = PackedReader("here", [str(tmp_path / "all.parquet")]).content
    got = sorted(read(places[row]) for places in index.values() for row in range(len(places)))
    assert got == sorted(contents)


def test_delta_encoded_images_are_read_or_refused(tmp_path: Path) -> None:
    """With lengths and bytes apart a value lies in one piece; with shared beginnings it does not."""
    columns = {"image": structs(200), "label": [0] * 200}
    path = tmp_path / "all.parquet"

    write(path, columns, use_dictionary=False, column_encoding={"image.bytes": "DELTA_LENGTH_BYTE_ARRAY"})
    assert sum(build(tmp_path).sizes.values()) == 200
    write(path, columns, use_dictionary=False, column_encoding={"image.bytes": "DELTA_BYTE_ARRAY"})
    assert "an image does not lie in one piece: write the file again with plain" in refusal(tmp_path)


@pytest.mark.parametrize("text", [False, True])
def test_a_part_of_what_snappy_compressed_is_decompressed_alone(text: bool) -> None:
    """200 kB are four parts; a value of 10 bytes needs one or two of them."""
    content = np.random.default_rng(0).integers(256, size=200_000, dtype=np.uint8).tobytes()
    content = b"".join(b"%d, " % number for number in range(40_000)) if text else content
    raw = pyarrow().Codec("snappy").compress(content, asbytes=True)
    page = Page(content, 1000, len(raw), PAGE_METHODS["SNAPPY"], fragments(raw))

    for at in (0, 65_530, 65_536, 131_000, len(content) - 10):
        offset, stored, method, skip, whole = page.located(at, 10)
        part = decompressed(raw[offset - 1000 : offset - 1000 + stored], method, whole)

        assert part[skip : skip + 10] == content[at : at + 10]
        assert len(part) == whole <= 2 * 65_536


def test_parts_that_need_each_other_are_read_whole() -> None:
    """A literal of one part, then a copy of 4 bytes from its beginning."""
    raw = b"\x84\x80\x04" + b"\xf4\xff\xff" + bytes(65_536) + b"\x0f" + (65_536).to_bytes(4, "little")

    assert decompressed(raw, PAGE_METHODS["SNAPPY"], 65_540) == bytes(65_540)
    assert fragments(raw) == ()


@pytest.mark.parametrize("length", [0, 100, -1])
def test_a_file_that_was_cut_short_is_refused(files: Path, length: int) -> None:
    path = files / "data" / "train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:length])

    assert f"image-parquet: {path}: expected a Parquet file, got one that cannot be read (" in refusal(files)


def test_a_class_that_training_lacks_is_refused(files: Path) -> None:
    path = files / "data" / "validation-00000-of-00001.parquet"
    write(path, {"image": structs(2, 300), "label": [0, 2]})

    assert "expected classes from 0 to 1, as in training, got 2" in refusal(files)


def test_an_image_that_cannot_be_decoded_is_named(files: Path) -> None:
    path = files / "data" / "validation-00000-of-00001.parquet"
    pack_parquet(path, [*rows(4, 200), (0, b"no image")], group=3)
    dataset = build(files)

    with pytest.raises(
        RunError, match=r"validation-0.*'row 1 of row group 1, 00004\.png' \(it is no BMP, .*; replace it"
    ):
        dataset.take("test", torch.tensor([4]))


def test_a_changed_byte_is_noticed(files: Path) -> None:
    path = files / "data" / "validation-00000-of-00001.parquet"
    for each in (files / "data").iterdir():
        os.utime(each, (1e9, 1e9))
    build(files)
    content = bytearray(path.read_bytes())
    content[content.index(painted("PNG", 12, 10, seed=200)[30:60]) + 20] ^= 1
    path.write_bytes(content)
    os.utime(path, (1e9, 1e9))

    with pytest.raises(RunError, match=r"validation.*: 'row 0 of row group 0, 00000\.png' .*expected CRC-32"):
        build(files).take("test", torch.arange(7))


def test_without_pyarrow_the_error_names_what_to_install(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    assert refusal(files) == (
        "image-parquet: expected the module 'pyarrow', got no such module; pip install 'crt-data[parquet]'"
    )

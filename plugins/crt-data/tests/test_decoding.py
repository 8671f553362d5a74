"""Files of images become upright RGB on white; what cannot be read is one error with the file's name."""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crt_data import decoding
from crt_data.decoding import open_image
from crtcore.errors import RunError


def saved(folder: Path, image: Image.Image, name: str = "x.png", **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def pixels(path: Path) -> list[Any]:
    image = open_image(path)
    assert image.mode == "RGB"
    levels: list[Any] = np.array(image).tolist()
    return levels


def greys(path: Path) -> list[list[int]]:
    """The levels of an image without colour."""
    array = np.array(open_image(path))
    assert (array == array[..., :1]).all()
    levels: list[list[int]] = array[..., 0].tolist()
    return levels


def png(width: int, height: int, depth: int, colour: int, rows: bytes, **chunks: bytes) -> bytes:
    """A PNG file by the standard; `rows` have no filter bytes."""
    step = len(rows) // height
    lines = b"".join(b"\0" + rows[place : place + step] for place in range(0, len(rows), step))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *((name.encode(), each) for name, each in chunks.items())]
    parts += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(each)) + name + each + struct.pack(">I", zlib.crc32(name + each)) for name, each in parts
    )


def sixteen(levels: list[int], name: str, folder: Path, **options: Any) -> Path:
    """A file with one row of 16-bit grey."""
    return saved(folder, Image.fromarray(np.array([levels], np.uint16)), name, **options)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.pgm"])
def test_sixteen_bits_are_divided_by_257(tmp_path: Path, name: str) -> None:
    path = sixteen([0, 128, 129, 257, 32767, 32896, 65406, 65407, 65535], name, tmp_path)

    assert greys(path) == [[0, 0, 1, 1, 127, 128, 254, 255, 255]]  # 128 / 257 = 0.498, 65406 / 257 = 254.498


def test_a_ramp_of_sixteen_bits_has_the_mean_of_its_levels(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256)))

    assert np.mean(greys(path)) == pytest.approx(127.5, abs=1e-9)


def test_every_level_of_eight_bits_survives_being_stored_with_sixteen(tmp_path: Path) -> None:
    path = sixteen([257 * level for level in range(256)], "x.png", tmp_path)

    assert greys(path) == [list(range(256))]


def test_white_may_be_zero_with_sixteen_bits_too(tmp_path: Path) -> None:
    path = sixteen([0, 257, 65535], "x.tif", tmp_path, tiffinfo={262: 0})

    assert greys(path) == [[255, 254, 0]]


def test_sixteen_bits_of_colour_keep_the_upper_eight(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(1, 1, 16, 2, struct.pack(">HHH", 0x12FF, 0x8000, 0xFFFF)))

    assert pixels(tmp_path / "x.png") == [[[0x12, 0x80, 0xFF]]]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_grey_without_a_known_white_is_refused(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path, Image.new(mode, (3, 3), 1), "x.tif")

    with pytest.raises(RunError, match=r"cannot read .*x\.tif \(ValueError: expected 8 or 16 bits a pixel, got more"):
        open_image(path)


def test_twelve_bits_are_refused(tmp_path: Path) -> None:
    """Pillow reads them as if 65,535 were white, which is 4,095."""
    tags = ((256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 3))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    content = b"II*\0" + struct.pack("<I", 12) + b"\xff\xff\xff\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    (tmp_path / "x.tif").write_bytes(content)

    with pytest.raises(RunError, match=r"expected 8 or 16 bits a pixel, got \(12,\)"):
        open_image(tmp_path / "x.tif")


@pytest.mark.parametrize(
    ("mode", "clear", "half"),
    [("RGBA", (9, 8, 7, 0), (0, 0, 0, 128)), ("LA", (9, 0), (0, 128))],
    ids=["colour", "grey"],
)
@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_what_is_transparent_is_white(tmp_path: Path, name: str, mode: str, clear: Any, half: Any) -> None:
    image = Image.new(mode, (2, 1), clear)
    image.putpixel((1, 0), half)

    assert greys(saved(tmp_path, image, name)) == [[255, 127]]  # 255 * 127 / 255


def test_what_is_opaque_keeps_its_colour(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(256, size=(5, 7, 4), dtype=np.uint8)
    levels[..., 3] = 255

    assert pixels(saved(tmp_path, Image.fromarray(levels))) == levels[..., :3].tolist()


def test_a_transparent_colour_of_a_palette_is_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "L").convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])

    for name, clear in (("x.png", 1), ("y.png", b"\xff\x00\xff"), ("z.gif", 1)):
        assert pixels(saved(tmp_path, image, name, transparency=clear)) == [[[10, 20, 30], [255] * 3, [70, 80, 90]]]


@pytest.mark.parametrize(
    ("depth", "rows", "clear", "expected"),
    [
        (1, b"\x40", 1, [0, 255, 0, 0]),
        (2, b"\x1b", 1, [0, 255, 170, 255]),
        (4, b"\x01\x2f", 2, [0, 17, 255, 255]),
        (8, b"\x00\x01\x02\x03", 1, [0, 255, 2, 3]),
        (16, struct.pack(">4H", 0, 257, 258, 771), 257, [0, 255, 1, 3]),
    ],
)
def test_a_transparent_grey_is_white(tmp_path: Path, depth: int, rows: bytes, clear: int, expected: list[int]) -> None:
    (tmp_path / "x.png").write_bytes(png(4, 1, depth, 0, rows, tRNS=struct.pack(">H", clear)))

    assert greys(tmp_path / "x.png") == [expected]


def test_a_transparent_colour_is_white(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(2, 1, 8, 2, bytes([1, 2, 3, 1, 2, 4]), tRNS=struct.pack(">HHH", 1, 2, 3)))
    deep = png(1, 1, 16, 2, struct.pack(">HHH", 256, 512, 768), tRNS=struct.pack(">HHH", 256, 512, 768))
    (tmp_path / "y.png").write_bytes(deep)

    assert pixels(tmp_path / "x.png") == [[[255] * 3, [1, 2, 4]]]
    with pytest.raises(RunError, match=r"cannot read .*y\.png .* expected colours of 8 bits where one is transparent"):
        open_image(tmp_path / "y.png")


def test_ink_and_black_and_white_become_colour(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (1, 1), (255, 0, 0, 0))
    bits = Image.fromarray(np.array([[False, True]]))

    assert pixels(saved(tmp_path, ink, "x.tif")) == [[[0, 255, 255]]]
    (seen,) = pixels(saved(tmp_path, ink.resize((16, 16)), "x.jpg", quality=100))[0][:1]
    assert np.abs(np.array(seen) - [0, 255, 255]).max() <= 2
    assert greys(saved(tmp_path, bits)) == [[0, 255]]


UPRIGHT = [[0, 50], [100, 150], [200, 250]]
"""Three rows of two."""


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp"])
@pytest.mark.parametrize(
    ("tag", "stored"),
    [  # where the stored first row and first column are in the image, by Exif 2.3, 4.6.4
        (1, lambda upright: upright),  # top, left
        (2, np.fliplr),  # top, right
        (3, lambda upright: np.rot90(upright, 2)),  # bottom, right
        (4, np.flipud),  # bottom, left
        (5, np.transpose),  # left, top
        (6, lambda upright: np.rot90(upright, 1)),  # right, top: to be turned clockwise
        (7, lambda upright: np.rot90(upright, 2).T),  # right, bottom
        (8, lambda upright: np.rot90(upright, -1)),  # left, bottom
    ],
)
def test_an_image_is_turned_by_its_tag(
    tmp_path: Path, name: str, tag: int, stored: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    image = Image.fromarray(np.ascontiguousarray(stored(np.array(UPRIGHT, np.uint8))))
    options = {"lossless": True} if name.endswith("webp") else {}

    assert greys(saved(tmp_path, image, name, exif=exif, **options)) == UPRIGHT


def test_sixteen_bits_are_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    levels = np.rot90(np.array(UPRIGHT, np.uint16) * 257)

    assert greys(saved(tmp_path, Image.fromarray(np.ascontiguousarray(levels)), exif=exif)) == UPRIGHT


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.tif", "x.webp"])
def test_the_first_of_several_images_is_read(tmp_path: Path, name: str) -> None:
    first, *others = (Image.new("RGB", (2, 2), (level,) * 3) for level in (10, 200, 250))
    options = {"lossless": True} if name.endswith("webp") else {}

    assert greys(saved(tmp_path, first, name, save_all=True, append_images=others, **options)) == [[10, 10]] * 2


def test_the_content_decides_on_the_format(tmp_path: Path) -> None:
    saved(tmp_path, Image.new("RGB", (1, 1), (1, 2, 3)), "x.gif").rename(tmp_path / "x.jpg")

    assert pixels(tmp_path / "x.jpg") == [[[1, 2, 3]]]


def test_no_other_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, Image.new("RGB", (4, 4)), "x.eps").rename(tmp_path / "x.png")
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_: started.append(words))
    monkeypatch.setattr(subprocess, "check_call", lambda *words, **_: started.append(words))

    with pytest.raises(RunError, match=r"cannot read .*x\.png \(it is no BMP"):
        open_image(tmp_path / "x.png")

    assert started == []


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, Image.new("1", (100, 50)))
    monkeypatch.setattr(decoding, "PIXELS", 4999)

    with pytest.raises(RunError, match=r"cannot read .*x\.png .*expected at most 4,999 pixels, got 100 x 50"):
        open_image(path)

    monkeypatch.setattr(decoding, "PIXELS", 5000)
    assert open_image(path).size == (100, 50)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    bomb = png(60_000, 60_000, 1, 0, bytes(60_000))
    (tmp_path / "x.png").write_bytes(bomb)

    with pytest.raises(RunError, match=r"cannot read .*x\.png"):
        open_image(tmp_path / "x.png")


def test_a_flipped_bit_of_the_pixels_fails_the_checksum(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)), compress_level=0)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 60] ^= 1
    path.write_bytes(content)

    with pytest.raises(RunError, match=r"cannot read .*x\.png \(SyntaxError: broken PNG file"):
        open_image(path)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp", "x.tif", "x.ppm", "x.webp", "x.gif"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, name: str, share: float) -> None:
    levels = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(levels), name)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    with pytest.raises(RunError, match=rf"image-folder: cannot read .*{name} \(.+\); replace it by a valid image"):
        open_image(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"photos: cannot read .*gone\.png \(FileNotFoundError"):
        open_image(tmp_path / "gone.png", "photos")


STARTS = st.sampled_from(
    (b"", b"BM", b"GIF89a", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"P5 3 3 9\n", b"II*\0", b"RIFF", b"%!PS")
)


@settings(deadline=None, max_examples=300)
@given(STARTS, st.binary(max_size=200))
def test_any_bytes_are_an_image_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "some.png"
    path.write_bytes(start + rest)

    try:
        image = open_image(path)
    except RunError as error:
        assert str(error).startswith(f"image-folder: cannot read {path} (")  # noqa: PT017
    else:
        assert image.mode == "RGB"

"""Reads the file of an image as a viewer shows it: upright, in colour, on white, with 8 bits a channel."""

from __future__ import annotations

from io import BufferedIOBase
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from crtcore.errors import RunError, in_one_line

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are read, whatever a file's suffix is; Pillow would start another program for some of the rest."""
PIXELS = 89_478_485
"""The most pixels of an image: where Pillow warns of decompression bombs."""
_GREYS = {"L;2": 85, "L;4": 17}
"""Pillow stretches such levels to 255, but not the one that a PNG file declares transparent."""


def open_image(path: Path, reader: str = "image-folder") -> Image.Image:
    """Opens an image in colour; `reader` begins the error.

    * 16 bits of grey become 8 by division by 257; of 16 bits of colour Pillow keeps the upper 8.
    * Palettes, CMYK, black and white, and grey become RGB. Colour profiles and gamma are left as they are: values are
      those that the file holds.
    * Transparent parts show white, and not the colour that a file may hide there.
    * The orientation tag turns and mirrors the image.
    * Of several images or pages, the first one is read.

    Raises: RunError with the path if it cannot be read, is cut short, fails a checksum of PNG, has more than
    89,478,485 pixels, or has grey levels of more than 16 bits or fractions, whose white is unknown. Other formats have
    no checksums, and damage inside them may show in the pixels alone.
    """
    try:
        with path.open("rb") as file:
            return decode_image(file, str(path), reader)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise unreadable(str(path), in_one_line(error), reader) from error


def decode_image(file: BufferedIOBase, where: str, reader: str) -> Image.Image:
    """The image in an open file, as `open_image` reads it; `where` is its name in errors.

    Raises: RunError as `open_image` does.
    """
    try:
        return _decoded(file)
    except Exception as error:  # decoders raise anything
        unknown = isinstance(error, UnidentifiedImageError)  # its message is of an object in memory
        why = f"it is no {', '.join(FORMATS)}" if unknown else in_one_line(error)
        raise unreadable(where, why, reader) from error


def unreadable(where: str, why: str, reader: str) -> RunError:
    """The error of a file or member that is no valid image."""
    return RunError(f"{reader}: cannot read {where} ({why}); replace it by a valid image")


def _decoded(file: BufferedIOBase) -> Image.Image:
    with Image.open(file, formats=FORMATS) as image:
        if image.width * image.height > PIXELS:
            raise ValueError(f"expected at most {PIXELS:,} pixels, got {image.width} x {image.height}")
        checked = image.format == "PNG"
        if checked:
            image.verify()
    if checked:  # `verify` has read to the end
        file.seek(0)
    with Image.open(file, formats=FORMATS) as image:
        return _coloured(image)


def _coloured(image: Image.Image) -> Image.Image:
    """An image in RGB."""
    kind, tags = image.format, getattr(image, "tag_v2", {})
    packed = image.tile[0][3] if isinstance(image, PngImageFile) and image.tile else ""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    clear = image.info.get("transparency")
    if clear is not None and packed == "RGB;16B":
        raise ValueError("expected colours of 8 bits where one is transparent, got 16")
    if isinstance(clear, int) and packed in _GREYS:
        image.info["transparency"] = clear * _GREYS[packed]
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in ("PNG", "PPM")):
        if tags and tags.get(258) != (16,):
            raise ValueError(f"expected 8 or 16 bits a pixel, got {tags.get(258)}")
        levels = np.asarray(image).astype(np.int64)
        grey = (levels + 128) // 257
        if tags.get(262) == 0:  # white is zero, which Pillow heeds with 8 bits alone
            grey = 255 - grey
        image = Image.fromarray(np.where(levels == clear, 255, grey).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("expected 8 or 16 bits a pixel, got more or fractions")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")

"""Images in a folder as a dataset; files are opened when samples are taken."""

from __future__ import annotations

from pathlib import Path

from crt_data.images import Images, Source
from crt_data.listing import Listing, list_images
from crt_data.specs import ImageFolder


def folder_images(spec: ImageFolder) -> Images:
    """The images of a folder. Classes are sub-folders in alphabetical order.

    Raises: RunError if the folder cannot be used.
    """
    root = Path(spec.folder).absolute()
    listing: Listing = list_images(root)
    source = Source(
        reader=("files", "image-folder", str(root)),
        places={split: [(name,) for name in names] for split, names in listing.files.items()},
        labels=listing.labels,
        classes=len(listing.classes),
        checksum=listing.checksum,
        skipped={why: each._asdict() for why, each in listing.skipped.items()},
    )
    return Images(spec, source)

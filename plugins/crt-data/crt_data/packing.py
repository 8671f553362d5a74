"""Small archives of pictures, for laws, tests and benches."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from crt_data.pictures import painted

EACH = 40
"""Pictures of a class in each part of an example."""


def example_shards(folder: Path) -> None:
    """Writes two shards for training and one that is held out, with two classes."""
    for number, name in enumerate(("toys-train-000.tar", "toys-train-001.tar", "toys-val-000.tar")):
        pack_tar(folder / name, _samples(number))


def example_zip(path: Path) -> None:
    """Writes a zip with two classes."""
    members = {}
    for number in range(3):
        for index, (label, content) in enumerate(_pictures(number)):
            members[f"toys/{('ape', 'bee')[label]}/{number}-{index:04d}.png"] = content
    pack_zip(path, members)


def example_parquet(folder: Path, image: str, label: str) -> None:
    """Writes one file for training and one that is held out, with two classes."""
    for part, numbers in (("train", (0, 1)), ("validation", (2,))):
        rows = [row for number in numbers for row in _pictures(number)]
        pack_parquet(folder / f"{part}-00000-of-00001.parquet", rows, image=image, label=label)


def pack_tar(path: Path, samples: Iterable[Mapping[str, bytes]]) -> None:
    """Writes a shard: a member for each name of each sample."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for sample in samples:
            for name, content in sample.items():
                about = tarfile.TarInfo(name)
                about.size = len(content)
                tar.addfile(about, io.BytesIO(content))


def pack_zip(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    """Writes a zip of members by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def pack_parquet(
    path: Path, rows: Iterable[tuple[int, bytes]], *, image: str = "image", label: str = "label", group: int = 100
) -> None:
    """Writes classes and images as rows of a file, `group` to a row group."""
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    labels, contents = zip(*rows, strict=True)
    structs = [{"bytes": content, "path": f"{number:05d}.png"} for number, content in enumerate(contents)]
    columns = {image: structs, **({label: labels} if label else {})}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=group)


def _samples(number: int) -> Iterable[Mapping[str, bytes]]:
    for index, (label, content) in enumerate(_pictures(number)):
        yield {f"{number}/{index:04d}.png": content, f"{number}/{index:04d}.cls": b"%d\n" % label}


def _pictures(number: int) -> list[tuple[int, bytes]]:
    """The pictures of a part, each with its class."""
    return [
        (index % 2, painted("PNG", 12 + index % 3, 10 + index % 5, seed=number * 2 * EACH + index))
        for index in range(2 * EACH)
    ]

"""Images a second of data sets on disk, beside torchvision's ImageFolder with a DataLoader and webdataset's own loader.

The same JPEG files of 256 to 500 pixels, packed in each way, are decoded, cropped at random by the same function and
given out as float batches from -1 to 1, in one process with equal numbers of workers. The arms take turns; a round is
an epoch that starts its workers, as training does. Goal: at least the images a second of both peers.

Usage: python bench/data.py [--images N] [--size N] [--batch N] [--workers N] [--rounds N] [--threads N] [--json]
"""

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from side_by_side import keep, options, ratio, show, spread
from torch.utils.data import DataLoader

from crt_data.crops import CHOICES, random_crop
from crt_data.packing import pack_parquet, pack_tar, pack_zip
from crt_data.specs import ImageFolder, ImageParquet, ImageShards, ImageZip
from crt_laws.vision import make_torchvision_importable
from crt_run.training.ahead import take_ahead
from crt_run.training.order import batch_at
from crtcore.noise import Noise

PEERS = ("torchvision", "webdataset")
CLASSES = 10
SHARDS = 8


def main() -> None:
    arguments = options("Loading of images.", images=1600, size=256, batch=64, workers=2)
    make_torchvision_importable()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paint(folder, arguments.images)
        arms = arms_of(folder, arguments)
        taken: dict[str, list[float]] = {name: [] for name in arms}
        for turn in range(arguments.rounds + 1):
            for name, epoch in arms.items():
                rate = images_a_second(epoch)
                if turn:
                    taken[name].append(rate)
    report(taken, arguments)


def arms_of(folder: Path, arguments: Any) -> dict[str, Callable[[], Iterator[torch.Tensor]]]:
    """A function for each arm that starts an epoch of shuffled batches."""
    import torchvision.datasets
    import webdataset

    size, batch, workers = arguments.size, arguments.batch, arguments.workers
    change = partial(cropped, size=size)
    loading = {"batch_size": batch, "num_workers": workers, "drop_last": True}

    def of_torchvision() -> Iterator[torch.Tensor]:
        images = torchvision.datasets.ImageFolder(str(folder / "files" / "train"), transform=change)
        yield from (data for data, _ in DataLoader(images, shuffle=True, **loading))

    def of_webdataset() -> Iterator[torch.Tensor]:
        shards = sorted(map(str, (folder / "tars").glob("*train*.tar")))
        images = webdataset.WebDataset(shards, shardshuffle=len(shards)).shuffle(200).decode("pilrgb")
        images = images.to_tuple("jpg", "cls").map_tuple(change, int).batched(batch, partial=False)
        yield from (data for data, _ in webdataset.WebLoader(images, batch_size=None, num_workers=workers))

    common = {"size": size, "workers": workers}
    specs = {
        "image-folder": ImageFolder(folder=str(folder / "files"), **common),
        "image-shards": ImageShards(folder=str(folder / "tars"), **common),
        "image-zip": ImageZip(file=str(folder / "images.zip"), **common),
        "image-parquet": ImageParquet(folder=str(folder / "tables"), **common),
    }
    ours = {name: partial(epoch_of, spec, batch) for name, spec in specs.items()}
    return {"torchvision": of_torchvision, "webdataset": of_webdataset, **ours}


def epoch_of(spec: Any, batch: int) -> Iterator[torch.Tensor]:
    """The batches of an epoch, in the order of a training."""
    dataset: Any = spec.build()
    size = dataset.sizes["train"]
    order = partial(batch_at, Noise(0, "order of the bench"), size, batch)
    for step in range(size // batch):
        yield take_ahead(dataset, "train", order, step, size // batch).data


def images_a_second(epoch: Callable[[], Iterator[torch.Tensor]]) -> float:
    start, images = time.perf_counter(), 0
    for data in epoch():
        assert data.dtype == torch.float32
        assert -1 <= float(data[0].min()) <= float(data[0].max()) <= 1
        images += len(data)
    return images / (time.perf_counter() - start)


def cropped(image: Image.Image, size: int) -> torch.Tensor:
    """A random crop as a tensor, as peers' transforms give it."""
    words = torch.randint(2**32, (CHOICES,)).tolist()
    pixels = np.array(random_crop(image.convert("RGB"), size, words))
    return torch.from_numpy(pixels).permute(2, 0, 1).float().div_(127.5).sub_(1)


def paint(folder: Path, count: int) -> None:
    """Writes `count` images for training and few that are held out, in each of the four ways."""
    rng = np.random.default_rng(0)
    made = {part: [photograph(rng) for _ in range(number)] for part, number in (("train", count), ("val", 16))}
    members = {
        f"{part}/{index % CLASSES:03d}/{index:06d}.jpg": (index % CLASSES, content)
        for part, contents in made.items() for index, content in enumerate(contents)
    }  # fmt: skip
    for name, (_, content) in members.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    pack_zip(folder / "images.zip", {name: content for name, (_, content) in members.items()}, 0)
    for part in made:
        own = [(label, content, Path(name).stem) for name, (label, content) in members.items() if name.startswith(part)]
        shards = SHARDS if part == "train" else 1
        for shard in range(shards):
            samples = [
                {f"{key}.jpg": content, f"{key}.cls": b"%d" % label} for label, content, key in own[shard::shards]
            ]
            pack_tar(folder / "tars" / f"{part}-{shard:03d}.tar", samples)
        pack_parquet(folder / "tables" / f"{part}-00000.parquet", [each[:2] for each in own])


def photograph(rng: np.random.Generator) -> bytes:
    """A JPEG of 256 to 500 pixels a side: smooth shapes with some grain, about as large as a photograph's file."""
    width, height = rng.integers(256, 501, 2).tolist()
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-12, 13, smooth.shape, dtype=np.int16)
    file = io.BytesIO()
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def report(taken: dict[str, list[float]], arguments: Any) -> None:
    rows, numbers = [], {}
    for name, rates in taken.items():
        ratios = {peer: ratio(rates, taken[peer]) for peer in PEERS}
        rows.append([name, f"{spread(rates):.0f}", *(f"{ratios[peer]:.2f}" for peer in PEERS)])
        numbers[name] = {"images a second": spread(rates)._asdict()} | {
            f"of {peer}": ratios[peer]._asdict() for peer in PEERS
        }
    show(["arm", "images a second", *(f"of {peer}" for peer in PEERS)], rows)
    shape = {name: getattr(arguments, name) for name in ("images", "size", "batch", "workers", "rounds")}
    keep("data", PEERS, {"shape": shape, "arms": numbers}, arguments)


if __name__ == "__main__":
    main()

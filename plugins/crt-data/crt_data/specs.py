"""Specs of the datasets, free of torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import attrs

from crtcore.kinds import DatasetSpec
from crtcore.spec import COSMETIC, FILES, FieldError, at_least, between, resolve


@attrs.frozen(kw_only=True)
class Photos(DatasetSpec):
    """Colour crops of the photographs inside scikit-image, and its hundred faces: 256 levels, no classes.

    No photograph is in two splits; a person may be, as the faces have no names. A face is one crop, enlarged if it is
    smaller than that. A repeated crop, such as a black one, is left out.
    Source: van der Walt et al. (2014), scikit-image; faces from Huang et al. (2007), Labeled Faces in the Wild.
    """

    implementation: ClassVar[str] = "crt_data.photos:PhotoCrops"
    form: ClassVar[str] = "image"

    size: int = attrs.field(default=32, validator=between(8, 256))
    """Pixels along each side of a crop."""
    step: int = attrs.field(default=16, validator=at_least(1))
    """Pixels from one training crop to the next; held-out crops do not overlap."""


@attrs.frozen(kw_only=True)
class ImagesSpec(DatasetSpec):
    """Base of datasets of square crops of images."""

    form: ClassVar[str] = "image"

    size: int = attrs.field(default=256, validator=between(8, 4096))
    """Pixels along each side."""
    crops: int = attrs.field(default=1, validator=at_least(1))
    """Training samples of each image; crop i has index i times the number of images plus that of the image."""
    seed: int = 0
    """Seed of the crops; the run's seed does not change them."""
    workers: int = attrs.field(default=0, validator=between(0, 256), metadata=COSMETIC)
    """Processes that decode the next batches of a training; 0: none, batches are decoded when they are taken."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Three channels, square."""
        return 3, self.size, self.size


@attrs.frozen(kw_only=True)
class ImageFolder(ImagesSpec):
    """Images in a folder with a sub-folder for each class, as in ImageNet: colour, 256 levels.

    As with torchvision's ImageFolder, folders inside a class belong to it, links are followed, classes and files are
    sorted by name, and a class without images is refused. Hidden files and folders, those that systems leave beside a
    user's (`__MACOSX`, `@eaDir`, `Thumbs.db`), files without an image's suffix, and whatever is in no class are left
    out; a run reports and records how many. A file is read as a viewer shows it: 16 bits of grey become 8, transparent
    parts are white, orientation tags are heeded, and the first of several images is read; colour profiles are not
    applied. What cannot be read is an error with the file's name.

    If the folder has `train` and `val`, `val` is the test split and 1 % of `train`, by a hash of the name, is for
    validation; otherwise 5 % are for each. Held-out images are cropped at the centre, training images at random, and
    half of these are mirrored. Files are listed when the dataset is built, and opened when samples are taken.
    Source: torchvision, datasets/folder.py; LlamaGen, dataset/augmentation.py; guided-diffusion, image_datasets.py
    (centre crop).
    """

    implementation: ClassVar[str] = "crt_data.image_folder:folder_images"

    folder: str = attrs.field(metadata=FILES)
    """Path of the folder, relative to the working directory."""

    def example_in(self, folder: Path) -> ImageFolder:
        """Returns the spec with sixty small pictures of each of two classes, written to `folder`."""
        resolve("crt_data.pictures:paint_many")(folder, ("ape", "bee"), 60)
        return attrs.evolve(self, folder=str(folder))


@attrs.frozen(kw_only=True)
class ImageShards(ImagesSpec):
    """Images in tar shards of a folder, in webdataset's layout: members of one name and several suffixes are a sample.

    A sample has one image, and its class as `label` says. Shards are not unpacked: when a dataset is built first they
    are read through, for a table of offsets and checksums in the user's cache (`~/.cache/crt-data`), and from then on
    images are read by their offsets, each against its checksum. The table is made again if names, lengths or times
    of change of shards differ.

    Shards whose names, or folders, have the word `train` are for training, with 1 % by a hash of the name for
    validation; those with `val` or `validation`, or else `test`, are the test split. If no name has such a word, 5 %
    of the images are for each. Crops are those of `image-folder`.
    Source: webdataset, wids and tariterators.py.
    """

    implementation: ClassVar[str] = "crt_data.tar_shards:shard_images"

    folder: str = attrs.field(metadata=FILES)
    """Path of the folder, relative to the working directory; tars in folders inside belong to it."""
    label: str = "cls"
    """Suffix of the member with the class, a number from 0; `json.NAME` is a field of the member `json`; '' is none."""

    def example_in(self, folder: Path) -> ImageShards:
        """Returns the spec with three small shards in `folder`."""
        resolve("crt_data.packing:example_shards")(folder)
        return attrs.evolve(self, folder=str(folder))


@attrs.frozen(kw_only=True)
class ImageZip(ImagesSpec):
    """Images in a zip with a folder for each class, as ImageNet is handed out: stored or deflated.

    The classes lie in the archive itself, in a folder inside, in `train` and `val`, or, as in Kaggle's archive of
    ImageNet, in `ILSVRC/Data/CLS-LOC/train`; the images of its `val` have no folders, and their classes are those of
    `LOC_val_solution.csv` in the archive. The splits and crops are those of `image-folder`.

    The zip is not unpacked: its list and a checksum of all of it are kept in the user's cache (`~/.cache/crt-data`)
    while its name, length and time of change stay. Each image is read by its offset, against its CRC-32.
    Source: kaggle.com/c/imagenet-object-localization-challenge, data; APPNOTE.TXT 6.3.10, 4.3 (zip).
    """

    implementation: ClassVar[str] = "crt_data.zip_file:zip_images"

    file: str = attrs.field(metadata=FILES)
    """Path of the zip, relative to the working directory."""

    def example_in(self, folder: Path) -> ImageZip:
        """Returns the spec with a zip of small pictures in `folder`."""
        resolve("crt_data.packing:example_zip")(folder / "images.zip")
        return attrs.evolve(self, file=str(folder / "images.zip"))


@attrs.frozen(kw_only=True)
class ImageParquet(ImagesSpec):
    """Images in Parquet files of a folder, in the layout of Hugging Face: a column of bytes and path, one of classes.

    Files are not unpacked: when a dataset is built first they are read through, for a table of rows and checksums in
    the user's cache (`~/.cache/crt-data`), and from then on an image is read by its offset in a page: without
    compression or with snappy's, as `datasets` writes, what holds it is read alone, else its page. The splits are
    those of `image-shards`, by the words of names; crops are those of `image-folder`. It needs `crt-data[parquet]`.
    Source: huggingface.co/docs/datasets, image_dataset; github.com/huggingface/datasets, features/image.py.
    """

    implementation: ClassVar[str] = "crt_data.parquet_files:parquet_images"

    folder: str = attrs.field(metadata=FILES)
    """Path of the folder, relative to the working directory; files in folders inside belong to it."""
    image: str = "image"
    """The column of images: a struct with `bytes`."""
    label: str = "label"
    """The column of classes, numbers from 0; '' is none."""

    def example_in(self, folder: Path) -> ImageParquet:
        """Returns the spec with two small files in `folder`."""
        resolve("crt_data.packing:example_parquet")(folder, self.image, self.label)
        return attrs.evolve(self, folder=str(folder))


@attrs.frozen(kw_only=True)
class TokenFiles(DatasetSpec):
    """Tokens in a folder, in nanoGPT's format: `train.bin` and `val.bin`, 16 bits a token, low byte first.

    A sample is a window; windows do not overlap, and an incomplete last one is left out. The first half of the windows
    of `val.bin` is for validation, the rest for test. Files are memory-mapped.
    Source: karpathy/nanoGPT, data/openwebtext/prepare.py.
    """

    implementation: ClassVar[str] = "crt_data.token_files:TokenWindows"
    form: ClassVar[str] = "ids"

    folder: str = attrs.field(metadata=FILES)
    """Path of the folder, relative to the working directory."""
    length: int = attrs.field(default=1024, validator=at_least(2))
    """Tokens of a window."""
    vocabulary: int = attrs.field(default=50_257, validator=between(1, 2**16))
    """Tokens are below this; the default is GPT-2's."""

    def example_in(self, folder: Path) -> TokenFiles:
        """Returns the spec with random tokens written to `folder`."""
        write = resolve("crt_data.tokens:write_tokens")
        write(folder, self.vocabulary, train=300 * self.length, val=90 * self.length)
        return attrs.evolve(self, folder=str(folder))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Tokens of a window."""
        return (self.length,)


FIELD = r"\{([\w-]+(?:\.[\w-]+)*)\}"
"""A field of a line in a template; a dot goes into an object."""


def _names_a_field(_: Any, attribute: attrs.Attribute[str], value: str) -> None:
    if not re.search(FIELD, value):
        raise FieldError(attribute.name, f"expected a field in braces, such as {{prompt}}, got {value!r}")


@attrs.frozen(kw_only=True)
class Prompts(DatasetSpec):
    """Prompts and references in a file of JSON Lines, as ids of a model's tokenizer.

    A row is a prompt and its reference; no start id is added, as a prior has its own first position. A hash of the
    prompt, or of its `group`, determines the split: about 10 % for training, 10 % for validation, 80 % for test. A row
    is left out if it repeats an earlier one, if a part is empty, or if it has more than `length` ids; `left_out` of the
    dataset counts the last two.
    """

    implementation: ClassVar[str] = "crt_data.prompts:PromptRows"
    form: ClassVar[str] = "ids"
    readable: ClassVar[bool] = True

    file: str = attrs.field(metadata=FILES)
    """Path of a file with a JSON object a line."""
    tokenizer: str = attrs.field(metadata=FILES)
    """Folder of a model with a `tokenizer.json`."""
    template: str = attrs.field(default="{prompt}", validator=_names_a_field)
    """The text of a prompt; names in braces stand for the fields of a line, as {translation.de} for one inside."""
    reference: str = attrs.field(default="{reference}", validator=_names_a_field)
    """The text of a reference, in the same way."""
    group: str = ""
    """A text of fields, such as {document}, whose rows are of one split; empty: that of the prompt."""
    length: int = attrs.field(default=1024, validator=at_least(2))
    """The most ids of a row."""

    def example_in(self, folder: Path) -> Prompts:
        """Returns the spec with two hundred questions and a word tokenizer written to `folder`."""
        import json

        words = ["[UNK]", "What", "is", "after", "It", *map(str, range(402))]
        (folder / "tokenizer.json").write_text(json.dumps(resolve("crt_nn.text:of_words")(words)))
        lines = [{"prompt": f"What is after {n}", "reference": f"It is {n + 1}"} for n in range(200)]
        (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
        file = str(folder / "prompts.jsonl")
        return attrs.evolve(self, file=file, tokenizer=str(folder), template="{prompt}", reference="{reference}")

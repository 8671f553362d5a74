"""Specs of the datasets, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import attrs

from crtcore.kinds import (
    DatasetSpec,
)
from crtcore.spec import at_least, between, resolve

if TYPE_CHECKING:
    pass


@attrs.frozen(kw_only=True)
class Photos(DatasetSpec):
    """Colour crops of the photographs inside scikit-image, and the hundred faces there: 256 levels, no classes.

    No photograph is in two splits; a person might be, as the faces do not say whose they are. A face is whole, enlarged
    if it is smaller than a crop. A crop that was met before, such as a black one, is left out.
    Source: van der Walt et al. (2014), scikit-image; faces from Huang et al. (2007), Labeled Faces in the Wild.
    """

    implementation: ClassVar[str] = "crt_data.photos:PhotoCrops"
    form: ClassVar[str] = "image"

    size: int = attrs.field(default=32, validator=between(8, 256))
    """Pixels along each side of a crop."""
    step: int = attrs.field(default=16, validator=at_least(1))
    """Pixels from one training crop to the next; held-out crops do not overlap."""


@attrs.frozen(kw_only=True)
class ImageFolder(DatasetSpec):
    """Images in a folder of yours, with a sub-folder for each class, as ImageNet is laid out: colour, 256 levels.

    With `train` and `val` in it, `val` is for test and one in a hundred of `train`, by a hash of its name, for
    validation; without them five in a hundred are for each. Held-out images are cut in the middle, those to train on at
    random, every other one mirrored. Files are listed at once and opened when they are taken.
    Source: LlamaGen, dataset/augmentation.py; guided-diffusion, image_datasets.py (the middle).
    """

    implementation: ClassVar[str] = "crt_data.image_folder:FolderImages"
    form: ClassVar[str] = "image"

    folder: str
    """Where they are, from where the command is given."""
    size: int = attrs.field(default=256, validator=between(8, 4096))
    """Pixels along each side."""
    crops: int = attrs.field(default=1, validator=at_least(1))
    """Training samples made of one image: the i-th has index i times the number of images plus the image's own."""
    seed: int = 0
    """Other crops for another one; the run's own seed changes none."""

    def example_in(self, folder: Path) -> ImageFolder:
        """Sixty small pictures of each of two classes."""
        resolve("crt_data.pictures:paint_many")(folder, ("ape", "bee"), 60)
        return attrs.evolve(self, folder=str(folder))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Three channels, square."""
        return 3, self.size, self.size


@attrs.frozen(kw_only=True)
class TokenFiles(DatasetSpec):
    """Tokens in a folder of yours, as NanoGPT keeps them: `train.bin` and `val.bin`, 16 bits a token, low byte first.

    A sample is a window; windows lie one after another, and a last one that is too short is left out. The first half
    of the windows of `val.bin` is for validation, the rest for test. Files are mapped and read where samples are taken.
    Source: karpathy/nanoGPT, data/openwebtext/prepare.py.
    """

    implementation: ClassVar[str] = "crt_data.token_files:TokenWindows"
    form: ClassVar[str] = "ids"

    folder: str
    """Where they are, from where the command is given."""
    length: int = attrs.field(default=1024, validator=at_least(2))
    """Tokens of a window."""
    vocabulary: int = attrs.field(default=50_257, validator=between(1, 2**16))
    """Tokens run from 0 up to this; the default is GPT-2's."""

    def example_in(self, folder: Path) -> TokenFiles:
        """Random tokens."""
        write = resolve("crt_data.tokens:write_tokens")
        write(folder, self.vocabulary, train=300 * self.length, val=90 * self.length)
        return attrs.evolve(self, folder=str(folder))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """A window."""
        return (self.length,)

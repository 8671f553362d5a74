"""The handwritten digits inside scikit-learn, as a dataset."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Int
from sklearn.datasets import load_digits
from torch import Tensor

from crt_basics.datasets.specs import Digits
from crt_nn.splits import check
from crtcore.kinds import Batch
from crtcore.noise import Noise


class DigitImages:
    """8 by 8 images of ten digits with fixed splits: by image, so that the splits share writers."""

    classes = 10
    levels = 17
    vocabulary = None

    def __init__(self, spec: Digits) -> None:
        raw = load_digits()
        self.checksum = hashlib.sha256(raw.data.tobytes() + raw.target.tobytes()).hexdigest()
        images = torch.from_numpy(raw.images).float()[:, None] / 8 - 1  # b 1 8 8
        labels = torch.from_numpy(raw.target).long()
        order = Noise(0, "split of the digits").order(len(images))
        held_out = spec.validation + spec.test
        if held_out >= len(images):
            raise ValueError(f"expected validation + test under {len(images)}, got {held_out}")
        bounds = {
            "test": order[: spec.test],
            "validation": order[spec.test : held_out],
            "train": order[held_out:],
        }
        self._splits = {split: (images[chosen], labels[chosen]) for split, chosen in bounds.items()}
        self.sizes = {split: len(labels) for split, (_, labels) in self._splits.items()}

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The images of `split` at `indices`, with their digits as class ids.

        Raises: ValueError if there is no such split, IndexError if an index is not in it.
        """
        check(self.sizes, split, indices)
        images, labels = self._splits[split]
        return Batch(images[indices], labels[indices], None)

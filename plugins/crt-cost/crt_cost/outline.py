"""The outline of a dataset, as far as it is known before any data are read."""

from __future__ import annotations

import torch

from crt_run.training.outline import Outline, outline_of
from crtcore.errors import RunError
from crtcore.kinds import Dataset, DatasetSpec


def outlined(spec: DatasetSpec) -> Outline:
    """The outline of a dataset: from its files, or from `spec` alone if they are missing.

    Raises: RunError if neither gives the shape of a sample.
    """
    return opened(spec)[0]


def opened(spec: DatasetSpec) -> tuple[Outline, Dataset | None]:
    """The outline of a dataset, and the dataset itself; None if its files are missing.

    Raises: RunError if neither gives the shape of a sample.
    """
    try:
        dataset = spec.build()
        return outline_of(dataset), dataset
    except RunError as error:
        if spec.sample_shape is None:
            raise
        dtype = torch.int64 if spec.form in ("ids", "trace") else torch.float32
        unknown = f"counted as if there were no classes ({error})"
        return Outline(spec.sample_shape, dtype, None, spec.vocabulary, unknown), None

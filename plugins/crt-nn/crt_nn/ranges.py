"""What priors, tokenizers and bottlenecks refuse: ids out of range, rows of another form, features without a number.

Axes: b batch, n ids of a sample, w feature width. Id -1 means absent, only at the right end of a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch._subclasses import FakeTensor


def readable(tensor: Tensor, *, entry: bool | None = None) -> bool:
    """Whether a check reads values: never in a compiled region or a CUDA graph, nor of tensors that have none.

    On the CPU, always. An accelerator would first finish all that it was given, so there at an `entry` alone; None: a
    pass is one where it records no gradient, as a step of training shows NaN in its loss.
    """
    if torch.compiler.is_compiling() or isinstance(tensor, FakeTensor) or tensor.is_meta or not tensor.numel():
        return False
    if tensor.is_cpu:
        return True
    entry = not torch.is_grad_enabled() if entry is None else entry
    return entry and not (tensor.is_cuda and torch.cuda.is_current_stream_capturing())


def read(tensor: Shaped[Tensor, "..."]) -> Any:
    """Returns what a tensor holds, a number or lists of numbers, without an operation of torch.

    The law of sessions that no value decides what they do looks for operations of torch that read.
    """
    return tensor.cpu().numpy().tolist()


def check_ids(
    ids: Int[Tensor, "..."], below: int, *, name: str = "ids", least: int = 0, entry: bool | None = None
) -> bool:
    """Whether an id may be absent, if ids are int64 from `least` up to `below`.

    Raises: ValueError.
    """
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64:
        raise ValueError(f"expected {name} of type torch.int64, got {getattr(ids, 'dtype', type(ids).__name__)}")
    if not readable(ids, entry=entry):
        return False
    low, high = map(read, torch.aminmax(ids))
    if low < least or high >= below:
        wrong = low if low < least else high
        place = np.argwhere(np.asarray(read(ids)) == wrong)[0].tolist()
        raise ValueError(f"expected {name} from {least} to {below - 1}, got {wrong} at {place}")
    return bool(low < 0)


def check_rows(
    ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, vocabulary: int, classes: int, *,
    longest: int | None = None, entry: bool | None = None,
) -> None:  # fmt: skip
    """Nothing, if a prior over `vocabulary` ids and `classes` classes takes these rows of at most `longest` ids.

    Raises: ValueError if a type or shape differs, an id or a class is out of range, or an id follows an absent one.
    """
    some_absent = check_ids(ids, vocabulary, least=-1, entry=entry)
    if ids.dim() != 2:
        raise ValueError(f"expected rows of ids (b n), got the shape {tuple(ids.shape)}")
    if longest is not None and ids.shape[1] > longest:
        raise ValueError(f"expected at most {longest} ids a row, got {ids.shape[1]}")
    if some_absent and True in (late := read(((ids[:, 1:] >= 0) & (ids[:, :-1] < 0)).any(1))):
        row = late.index(True)
        raise ValueError(f"row {row}: expected absent ids (-1) at its right end alone, got {read(ids[row])}")
    if class_ids is None:
        return
    if not classes:
        raise ValueError("expected no class ids, as this prior was built without classes, got some")
    check_ids(class_ids, classes, name="class ids", least=-1, entry=entry)
    if class_ids.shape != ids.shape[:1]:
        raise ValueError(f"expected a class id for each of {len(ids)} rows, got the shape {tuple(class_ids.shape)}")


def check_features(features: Float[Tensor, "b n w"], width: int) -> None:
    """Nothing, if features are finite numbers of this width, small enough for their squares to be finite in float32.

    Raises: ValueError.
    """
    if features.dim() != 3:
        raise ValueError(f"expected features of samples (b n w), got the shape {tuple(features.shape)}")
    if features.shape[-1] != width:
        raise ValueError(f"expected features of width {width}, got {features.shape[-1]}")
    if not features.is_floating_point():
        raise ValueError(f"expected features of a floating type, got {features.dtype}")
    if not readable(features):
        return
    most = (torch.finfo(torch.promote_types(features.dtype, torch.float32)).max / width) ** 0.5
    ends = [float(end) for end in torch.aminmax(features.detach())]
    if wrong := [end for end in ends if not abs(end) <= most]:
        raise ValueError(f"expected finite features, none beyond {most:.3g}, got {wrong[0]}")

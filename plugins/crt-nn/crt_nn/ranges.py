"""What priors, tokenizers and bottlenecks refuse: ids out of range, rows of another form, features without a number.

Axes: b batch, n ids of a sample, w feature width. Id -1 means absent, only at the right end of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses import FakeTensor


def readable(tensor: Tensor, *, entry: bool | None = None) -> bool:
    """Whether a check reads values: never in a compiled region or a CUDA graph, nor of tensors that have none.

    On the CPU, always. An accelerator would first finish all that it was given, so there at an `entry` alone; None: a
    pass is one where it records no gradient, as a step of training shows NaN in its loss.
    """
    if torch.compiler.is_compiling() or isinstance(tensor, FakeTensor):
        return False
    if tensor.is_cpu or not tensor.numel() or tensor.is_meta:
        return tensor.is_cpu and tensor.numel() > 0
    entry = not torch.is_grad_enabled() if entry is None else entry
    return entry and not (tensor.is_cuda and torch.cuda.is_current_stream_capturing())


def check_ids(ids: Tensor, below: int, *, name: str = "ids", least: int = 0, entry: bool | None = None) -> bool:
    """Whether an id may be absent, if ids are int64 from `least` up to `below`.

    Raises: ValueError.
    """
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64:
        raise ValueError(f"expected {name} of type torch.int64, got {getattr(ids, 'dtype', type(ids).__name__)}")
    if not readable(ids, entry=entry):
        return False
    low, high = _ends(ids)
    if low < least or high >= below:
        wrong = low if low < least else high
        place = (ids == wrong).nonzero()[0].tolist()
        raise ValueError(f"expected {name} from {least} to {below - 1}, got {wrong} at {place}")
    return low < 0


def _ends(ids: Tensor) -> tuple[int, int]:
    """Returns the least and the greatest number; a list is faster for the few ids of a step.

    `tolist` is no operation of torch; the law that no value decides what a session does looks for those that read.
    """
    if ids.numel() > 256:
        ids = torch.stack(torch.aminmax(ids))
    few = ids.flatten().tolist()
    return min(few), max(few)


def check_rows(
    ids: Tensor, class_ids: Tensor | None, vocabulary: int, classes: int, *,
    longest: int | None = None, entry: bool | None = None,
) -> None:  # fmt: skip
    """Nothing, if `ids` are b n rows of at most `longest` for a prior over `vocabulary` ids, and `class_ids` b classes.

    Raises: ValueError if a type or shape differs, an id or a class is out of range, or an id follows an absent one.
    """
    some_absent = check_ids(ids, vocabulary, least=-1, entry=entry)
    if ids.dim() != 2:
        raise ValueError(f"expected rows of ids (b n), got the shape {tuple(ids.shape)}")
    if longest is not None and ids.shape[1] > longest:
        raise ValueError(f"expected at most {longest} ids a row, got {ids.shape[1]}")
    if some_absent and True in (late := ((ids[:, 1:] >= 0) & (ids[:, :-1] < 0)).any(1).tolist()):
        row = late.index(True)
        raise ValueError(f"row {row}: expected absent ids (-1) at its right end alone, got {ids[row].tolist()}")
    if class_ids is None:
        return
    if not classes:
        raise ValueError("expected no class ids, as this prior was built without classes, got some")
    check_ids(class_ids, classes, name="class ids", least=-1, entry=entry)
    if class_ids.shape != ids.shape[:1]:
        raise ValueError(f"expected a class id for each of {len(ids)} rows, got the shape {tuple(class_ids.shape)}")


def check_features(features: Tensor, width: int) -> None:
    """Nothing, if features b n w are finite and of this width, and their squares are finite in float32.

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

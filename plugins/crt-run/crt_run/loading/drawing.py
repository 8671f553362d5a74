"""Samples drawn with the decoder of a finished run, and the files that they are written to.

Axes: b samples, n ids of a sample. Id -1 means absent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import safetensors.torch
import torch
from jaxtyping import Int
from torch import Tensor

from crt_run.runs import files
from crt_run.training.outline import Outline
from crt_run.training.sampling import BATCH, decoded
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Decoder, Plan, Prior, Request, Tokenizer
from crtcore.noise import Noise
from crtcore.settings import Limits

MARGIN = 1
"""Pixels between images."""
SEEN = 64
"""Pixels of a side up to which small images are enlarged, by a whole number."""


class Drawing(Protocol):
    """What it takes to draw: a finished run."""

    plan: Plan
    folder: Path

    @property
    def outline(self) -> Outline:
        """The shape of a sample of its data."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The trained tokenizer."""

    @property
    def prior(self) -> Prior:
        """The prior."""

    @property
    def drafts(self) -> tuple[Prior, ...]:
        """Its drafts."""

    @property
    def decoder(self) -> Decoder:
        """The decoder."""


class Drawn(NamedTuple):
    """Samples."""

    ids: Int[Tensor, "b n"]
    class_ids: Int[Tensor, " b"] | None
    data: Tensor | None
    """What the tokenizer makes of the ids; None if the prior models the data's own ids."""
    texts: list[str] | None
    """Where the dataset has a text for ids."""
    target_calls: Int[Tensor, " b"]


def draw(
    run: Drawing, rows: Int[Tensor, " b"], *, seed: int | None, class_ids: Int[Tensor, " b"] | None,
    device: torch.device, stopping: Callable[[], bool] = lambda: False,
) -> Drawn:  # fmt: skip
    """Draws the samples of the numbers `rows`, with the class ids of `classes_of`.

    Raises: RunError if the run cannot draw rows without a prompt, Stopped between two batches.
    """
    plan = run.plan
    decoder, form = run.decoder, plan.parts["dataset"].form
    drafts = run.drafts if getattr(_first(plan.parts["decoder"]), "drafts", False) else ()
    tokenizer = run.tokenizer if plan.parts.get("tokenizer") is not None else None
    length = tokenizer.length if tokenizer is not None else run.outline.shape[0]
    prior, noise = run.prior, Noise(plan.seed if seed is None else seed, "draws")
    known = None if class_ids is None else class_ids.to(device)
    ids, calls = [], []
    with torch.inference_mode():
        for chosen in torch.split(torch.arange(len(rows)), BATCH):
            if stopping():
                raise Stopped
            prompt = torch.empty(len(chosen), 0, dtype=torch.int64, device=device)
            own, seeds = None if known is None else known[chosen], noise.seeds(rows[chosen]).to(device)
            request = Request(prompt, Limits(length=length), plan.sampling, own, seeds)
            made = decoder.generate(prior, request, draft=drafts[0] if drafts else None)
            ids.append(made.ids)
            calls.append(made.target_calls.cpu())
        every = torch.cat(ids)
        data = None if tokenizer is None else decoded(tokenizer, every, known, image=form == "image")
    readable = tokenizer is None and plan.parts["dataset"].readable
    texts = _texts(plan.parts["dataset"].build(), every.tolist()) if readable else None
    return Drawn(every.cpu(), class_ids, data, texts, torch.cat(calls))


def check_drawable(run: Drawing) -> None:
    """Raises: RunError if the run draws no rows from nothing, as it has no decoder or answers prompts."""
    _, form = run.decoder, run.plan.parts["dataset"].form  # without a decoder it raises
    if form == "trace":
        raise RunError(f"{run.folder}: expected a run that draws rows from nothing, got one that answers prompts")


def _first(parts: Any) -> Any:
    return parts[0] if isinstance(parts, tuple) else parts


def classes_of(outline: Outline, count: int, class_ids: Any) -> Int[Tensor, " b"] | None:
    """The class of each of `count` samples: `class_ids`, or 0, 1, 2 and so on again from 0; None: the data have none.

    Raises: RunError if a class is out of range, or they are not as many as samples.
    """
    if count < 1:
        raise RunError(f"expected at least 1 sample to draw, got {count}")
    if outline.classes is None:
        if class_ids is not None:
            raise RunError("expected no classes, as the data of this run have none")
        return None
    if class_ids is None:
        return torch.arange(count) % outline.classes
    made = torch.as_tensor(class_ids, dtype=torch.int64)
    if made.shape != (count,) or bool(((made < -1) | (made >= outline.classes)).any()):
        raise RunError(
            f"expected a class for each of {count} samples, from 0 to {outline.classes - 1} (-1: of none), "
            f"got {made.tolist()!r:.80}"
        )
    return made


def _texts(dataset: Any, ids: Sequence[Sequence[int]]) -> list[str]:
    return [dataset.text([each for each in row if each >= 0]) for row in ids]


def write(path: Path, drawn: Drawn, image: bool) -> None:
    """Writes samples in the format of the end of the name.

    `.png`: the images, side by side. `.jsonl`: a line for each sample, its ids, class and text. `.safetensors`: tensors
    `ids`, `class_ids` and `data`.
    Raises: RunError if the name has another end, the samples are no images, or the file cannot be written.
    """
    check_suffix(path, image)
    writers: dict[str, Callable[[Drawn], bytes]] = {".jsonl": _lines, ".safetensors": _tensors, ".png": _picture}
    files.write(path, writers[path.suffix](drawn))


def check_suffix(path: Path, image: bool) -> None:
    """Raises: RunError if samples cannot be written to a file of that name."""
    known = [".jsonl", ".safetensors", *([".png"] if image else [])]
    if path.suffix not in known:
        why = ", as these samples are no images" if path.suffix == ".png" else ""
        raise RunError(f"{path}: expected a name that ends in {', '.join(known)}{why}, got {path.suffix!r}")


def _lines(drawn: Drawn) -> bytes:
    lines = []
    for row, ids in enumerate(drawn.ids.tolist()):
        values: dict[str, Any] = {"ids": [each for each in ids if each >= 0]}
        if drawn.class_ids is not None:
            values["class"] = int(drawn.class_ids[row])
        if drawn.texts is not None:
            values["text"] = drawn.texts[row]
        lines.append(json.dumps(values, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def tensors_of(drawn: Drawn) -> dict[str, Tensor]:
    """The tensors of samples that a file has: `ids`, and `class_ids` and `data` if there are any."""
    named = {"ids": drawn.ids, "class_ids": drawn.class_ids, "data": drawn.data}
    return {name: each.contiguous() for name, each in named.items() if each is not None}


def _tensors(drawn: Drawn) -> bytes:
    return safetensors.torch.save(tensors_of(drawn))


def _picture(drawn: Drawn) -> bytes:
    """A grid of images as PNG, white between them; small ones are enlarged, each pixel to a square."""
    import io

    from PIL import Image

    assert drawn.data is not None
    levels = ((drawn.data.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)  # b c y x
    times = max(1, SEEN // max(levels.shape[-2:]))
    levels = levels.repeat_interleave(times, -2).repeat_interleave(times, -1)
    count, channels, high, wide = levels.shape
    across = math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    grid = torch.full((3, down * (high + MARGIN) + MARGIN, across * (wide + MARGIN) + MARGIN), 255, dtype=torch.uint8)
    for index, image in enumerate(levels):
        top = index // across * (high + MARGIN) + MARGIN
        left = index % across * (wide + MARGIN) + MARGIN
        grid[:, top : top + high, left : left + wide] = image[:3] if channels >= 3 else image[:1]
    made = io.BytesIO()
    Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy()).save(made, "PNG")
    return made.getvalue()

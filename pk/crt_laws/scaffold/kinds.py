"""What the templates of each kind say and need, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Template(NamedTuple):
    """A component to begin with."""

    summary: str
    """What it does, in one line."""
    requires: tuple[str, ...]
    """What its package depends on besides crtcore."""
    many: bool = False
    """True: spec files have an array of its kind, `[[kind]]`."""


_TORCH = "torch>=2.10"
TEMPLATES: Mapping[str, Template] = {
    "tokenizer": Template("each row of an image to one code", (_TORCH,)),
    "bottleneck": Template("the sign of each channel", ("crt-nn>=0.1", _TORCH)),
    "prior": Template("the same distribution at every position", ("crt-nn>=0.1", _TORCH)),
    "regularizer": Template("keeps latents small", (_TORCH,), many=True),
    "decoder": Template("one id for each call of the target", ("crt-run>=0.1", _TORCH)),
    "dataset": Template("rows of ids that count up", ("crt-nn>=0.1", _TORCH)),
    "metric": Template("mean absolute error of reconstructions", (_TORCH,), many=True),
    "experiment": Template("what held-out rows cost a trained prior", ("crt-run>=0.1", _TORCH)),
    "executor": Template("one piece after another in this process", ()),
}
"""Kind to the component that its package begins with; the folder of its files has the kind's name."""

"""Products, norms, gates, rotations and attention on a processor, for frozen weights in float32 or bfloat16.

A row of a result has the same bits whatever rows stand beside it, and attention the same whatever slots its keys are
in. So a session's logits after some ids are the same in every bit, be they one by one, in a chain, in a tree or in a
batch.

Axes: *b rows, i channels in, o channels out, t queries, s slots, h heads, g heads of keys and values, d channels of a
head.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from crt_nn.native.compiler import NotBuilt, cache_folder, compiled, digest, processor, version

FOLDER = Path(__file__).parent
COMPILER = "g++"
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fopenmp", "-shared", "-fPIC")
PANEL = 32
"""Outputs that lie together, as in products.h."""

_NUMBER = {"p": ctypes.c_void_p, "l": ctypes.c_long, "i": ctypes.c_int, "f": ctypes.c_float}
_FORMS = {
    "crt_product": "pppppllliii",
    "crt_norm": "pppllfi",
    "crt_gated": "pplli",
    "crt_rotated": "pplllli",
    "crt_attention": "ppppp" + "l" * 10 + "fii",
    "crt_block": "pp",
}


@cache
def library() -> ctypes.CDLL:
    """The kernels, compiled for this processor.

    Raises: NotBuilt if there is no compiler, or if it fails.
    """
    path = cache_folder("crt-nn") / f"{_name()}.so"
    compiled(COMPILER, FOLDER / "native.cpp", FLAGS, library=path)
    try:
        loaded = ctypes.CDLL(str(path))
        for name, form in _FORMS.items():
            function = getattr(loaded, name)
            function.argtypes, function.restype = [_NUMBER[letter] for letter in form], None
    except (OSError, AttributeError) as error:
        raise NotBuilt(f"expected a library in {path}, got {error}; delete it") from error
    return loaded


@cache
def obstacle() -> str | None:
    """Returns why there are no kernels, or None.

    Cost: 3 s at first use, for the compiler.
    """
    try:
        library()
    except NotBuilt as error:
        return " ".join(str(error).split())
    return None


def name() -> str:
    """A name of the kernels as they are compiled here; empty: there are none."""
    return _name() if obstacle() is None else ""


@cache
def _name() -> str:
    sources = [path for path in FOLDER.iterdir() if path.suffix in (".h", ".cpp")]
    return f"native-{digest(sources, version(COMPILER), *FLAGS, processor())}"


class Panels:
    """A matrix in the order that `product` reads; as bfloat16 where that is the same matrix, in half the bytes."""

    def __init__(self, matrix: Float[Tensor, "o i"]) -> None:
        halved = matrix.to(torch.bfloat16)
        small = matrix.dtype == torch.bfloat16 or torch.equal(halved.to(matrix.dtype), matrix)
        self.outward, self.inward = matrix.shape
        panels = -(-self.outward // PANEL)
        kept = torch.zeros(panels * PANEL, self.inward, dtype=torch.bfloat16 if small else matrix.dtype)
        kept[: self.outward] = matrix
        self.values = kept.view(panels, PANEL, self.inward).transpose(1, 2).contiguous()
        self.brain = small


def product(
    features: Float[Tensor, "*b i"],
    panels: Panels,
    bias: Float[Tensor, " o"] | None = None,
    onto: Float[Tensor, "*b o"] | None = None,
) -> Float[Tensor, "*b o"]:
    """Returns `features @ matrix.T + bias + onto`, summed in float32 and rounded once."""
    features = features.contiguous()
    result = features.new_empty(*features.shape[:-1], panels.outward)
    onto = None if onto is None else onto.contiguous()
    library().crt_product(
        features.data_ptr(),
        panels.values.data_ptr(),
        0 if bias is None else bias.data_ptr(),
        0 if onto is None else onto.data_ptr(),
        result.data_ptr(),
        features.numel() // panels.inward,
        panels.inward,
        panels.outward,
        features.dtype == torch.bfloat16,
        panels.brain,
        torch.get_num_threads(),
    )
    return result


def norm(features: Float[Tensor, "*b i"], gain: Float[Tensor, " i"], epsilon: float) -> Float[Tensor, "*b i"]:
    """Returns rows with unit mean square, times the gain of each channel."""
    features = features.contiguous()
    result = torch.empty_like(features)
    rows, brain = features.numel() // len(gain), features.dtype == torch.bfloat16
    library().crt_norm(features.data_ptr(), gain.data_ptr(), result.data_ptr(), rows, len(gain), epsilon, brain)
    return result


def gated(both: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c//2"]:
    """Returns the second half of each row, gated by the SiLU of the first."""
    both = both.contiguous()
    hidden = both.shape[-1] // 2
    result = both.new_empty(*both.shape[:-1], hidden)
    rows, brain = result.numel() // hidden, both.dtype == torch.bfloat16
    library().crt_gated(both.data_ptr(), result.data_ptr(), rows, hidden, brain)
    return result


def rotate_(joint: Float[Tensor, "b t m d"], by: Complex[Tensor, "b t 1 p"], heads: int) -> None:
    """Multiplies neighbouring channels of the first heads, as complex numbers, by that of their position, in place."""
    by = by.to(torch.complex64).contiguous()
    positions, every, channels = joint.shape[0] * joint.shape[1], *joint.shape[2:]
    brain = joint.dtype == torch.bfloat16
    library().crt_rotated(joint.data_ptr(), by.data_ptr(), positions, heads, every, channels, brain)


def attention(
    query: Float[Tensor, "b t h d"],
    key: Float[Tensor, "b s g d"],
    value: Float[Tensor, "b s g d"],
    visible: Bool[Tensor, "b t s"] | None,
) -> Float[Tensor, "b t h d"]:
    """Attention to what is visible; None: to each position's own slot, the last query's being the last, and before.

    Rows of heads lie together, and keys and values have the same strides.
    """
    batch, steps, heads, channels = query.shape
    slots, groups = key.shape[1:3]
    mixed = query.new_empty(query.shape)
    seen = None if visible is None else visible.contiguous()
    library().crt_attention(
        query.data_ptr(),
        key.data_ptr(),
        value.data_ptr(),
        0 if seen is None else seen.data_ptr(),
        mixed.data_ptr(),
        batch,
        steps,
        slots,
        heads,
        groups,
        channels,
        *query.stride()[:2],
        *key.stride()[:2],
        channels**-0.5,
        query.dtype == torch.bfloat16,
        torch.get_num_threads(),
    )
    return mixed

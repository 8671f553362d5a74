"""The exact law of code that draws by torch, NumPy or `random`, as it stands: every branch of its draws is followed."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from crt_verify.audit.branches import Branches, Draws, NotFollowed
from crt_verify.audit.drafts import DraftTree, Rows
from crt_verify.audit.law import Verify
from crt_verify.audit.replays.arrays import Unknown
from crt_verify.audit.replays.numpy_draws import numpy_draws
from crt_verify.audit.replays.python_draws import python_draws
from crt_verify.audit.replays.source import Source
from crt_verify.audit.replays.torch_draws import torch_draws
from crt_verify.audit.replays.watch import Watch


def replay(function: Callable[[], Any]) -> dict[Hashable, float]:
    """The probability of each value that a function returns; arrays, tensors and lists are tuples.

    The function runs once for each path of its draws, so it must start afresh: what it keeps from run to run is not
    its law. Uniforms are real numbers, and not multiples of 2^-24 or 2^-53.
    Raises: NotFollowed if it draws in a way that has no branches, which the message names; ValueError if there are
    more than a million paths.
    """
    watch = _watch()

    def once(draws: Draws) -> Hashable:
        with watch.over(), followed(draws):
            outcome: Hashable = plain(function())
        return outcome

    law: defaultdict[Hashable, float] = defaultdict(float)
    for outcome, chance in Branches(once):
        law[outcome] += chance
    return dict(law)


def replayed(verify: Callable[[DraftTree, Rows, Rows], Sequence[int]]) -> Verify:
    """A verifier that `audit` takes, of one that draws by torch, NumPy or `random`: `verify(tree, p, q)`.

    One that drafts by itself, `tree.levels` ids at most, leaves the tree's ids aside and reads rows by `p.after(ids)`.
    """
    watch: list[Watch] = []

    def follow(tree: DraftTree, p: Rows, q: Rows, draws: Draws) -> Sequence[int]:
        watch[:] = watch or [_watch()]
        with watch[0].over(), followed(draws):
            return [int(x) for x in plain(verify(tree, p, q))]

    return follow


@contextlib.contextmanager
def followed(draws: Draws) -> Iterator[None]:
    """Puts followed draws in the place of those of torch, NumPy and `random`."""
    source = Source(draws)
    with torch_draws(source), numpy_draws(source), python_draws(source):
        yield


def _watch() -> Watch:
    """The generators as they are now."""
    with torch_draws(Source(Draws([]))):
        torch.empty(0)  # the first operation imports what torch needs for this, and that draws by `random`
    return Watch()


def plain(value: Any) -> Any:
    """A value that can be compared and hashed.

    Raises: NotFollowed if it is a random number that has no value.
    """
    if isinstance(value, Unknown):
        raise NotFollowed(f"the function returns {value.noise.kind.value}, which has no branches")
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return tuple((key, plain(each)) for key, each in value.items())
    return tuple(plain(each) for each in value) if isinstance(value, list | tuple) else value

"""Stands for the module `random`: all its draws come from `Random.random` and `Random._randbelow`."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.replays.arrays import Unknown
from crt_verify.audit.replays.noise import Noise
from crt_verify.audit.replays.source import Source


@contextlib.contextmanager
def python_draws(source: Source) -> Iterator[None]:
    """Puts followed draws in the place of those of `random.Random` and of the module's functions."""

    def one(_: Any = None) -> Any:
        return Unknown(Noise.uniform(source, ()))

    def below(_: Any, bound: int) -> int:
        return source.draws.choice([1.0] * bound)

    def refuse(*_: Any) -> Any:
        raise NotFollowed("random.getrandbits is no draw that is followed")

    def nothing(*_: Any, **__: Any) -> None:
        """Does nothing: every branch is followed, whatever the seed."""

    places: list[tuple[Any, str, Any]] = [
        (random.Random, "random", one),
        (random.Random, "_randbelow", below),
        (random.Random, "getrandbits", refuse),
        (random, "random", one),
        (random, "getrandbits", refuse),
        (random, "seed", nothing),
    ]
    missing = object()
    before = [(owner, name, vars(owner).get(name, missing)) for owner, name, _ in places]
    try:
        for owner, name, value in places:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            if value is missing:
                delattr(owner, name)
            else:
                setattr(owner, name, value)

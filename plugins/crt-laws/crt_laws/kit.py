"""The conformance kit: what a law is, and how one is tried on a component."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import hypothesis
from hypothesis.strategies import SearchStrategy

EXAMPLES = 25


@attrs.frozen
class Law:
    """A promise of a kind, as a function that fails if it is broken; its docstring states it."""

    kind: str
    name: str
    statement: str
    _check: Callable[..., None]
    _drawn: Mapping[str, SearchStrategy[Any]]

    def attempt(self, subject: object, examples: int = EXAMPLES) -> int:
        """Tries the law on a built component; the number of examples tried.

        Raises: AssertionError if the law is broken, or if no example was tried.
        """
        tried = 0

        def body(**drawn: Any) -> None:
            nonlocal tried
            self._check(subject, **drawn)
            tried += 1

        if not self._drawn:
            body()
            return tried
        rules = hypothesis.settings(
            max_examples=examples, deadline=None, derandomize=True, database=None, print_blob=False,
            suppress_health_check=list(hypothesis.HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip
        rules(hypothesis.given(**self._drawn)(body))()
        assert tried, f"{self.name}: no example was tried"
        return tried


def law(kind: str, **drawn: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Law]:
    """Makes a law of a function of a built component and drawn inputs."""

    def make(check: Callable[..., None]) -> Law:
        statement = " ".join((check.__doc__ or "").split())
        assert statement, f"{check.__name__}: a law states itself in its docstring"
        return Law(kind, check.__name__.replace("_", "-"), statement, check, drawn)

    return make


@attrs.frozen
class Offender:
    """A component that breaks one law on purpose: what the law is for, shown."""

    law: Law
    plant: Callable[[Any], object]
    """A sound built component to one that breaks the law."""
    also: frozenset[str] = frozenset()
    """Names of the laws it cannot help breaking too."""


@attrs.frozen
class Bench:
    """How the components of a kind are tried: the laws, and how a spec is built for them."""

    kind: str
    subject: Callable[[Any], object]
    """A spec to what the laws of the kind take, built in float64 under a fixed seed."""
    laws: tuple[Law, ...]
    offenders: tuple[Offender, ...]


def laws_in(names: Mapping[str, object]) -> tuple[Law, ...]:
    """The laws among a module's names, in the order they are written."""
    return tuple(value for value in names.values() if isinstance(value, Law))

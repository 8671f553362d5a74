"""A view of a plan: what a stage declares that it depends on, and nothing else."""

from __future__ import annotations

from typing import Any

from crtcore.errors import RunError


class View:
    """The values of a plan at some dotted paths, such as `seed`, `prior.0`, `training.prior`, `experiment.trace`."""

    def __init__(self, plan: Any, reads: tuple[str, ...], reader: str) -> None:
        self._plan, self._reads, self._reader = plan, reads, reader

    def __getitem__(self, path: str) -> Any:
        """The value at a path: a spec, a setting, or a field of one.

        Raises: RunError if neither the path nor a table around it is declared, or the plan has no such value.
        """
        if not any(path == read or path.startswith(f"{read}.") for read in self._reads):
            raise RunError(
                f"{self._reader} reads {path}, which its cache key does not hold; declare it in the stage's `reads`"
            )
        return self._value(path)

    def values(self) -> dict[str, Any]:
        """Each declared path and what the plan's identity has there, as plain values; None where a part is absent."""
        known = {path: self._value(path) for path in self._reads}
        return {path: None if value in (None, ()) else self._plain(path) for path, value in known.items()}

    def _value(self, path: str) -> Any:
        first, *rest = path.split(".")
        try:
            value = self._plan.parts[first] if first in self._plan.parts else getattr(self._plan, first)
            for step in rest:
                value = value[int(step)] if isinstance(value, tuple) else _inside(value, step)
        except (AttributeError, LookupError, ValueError):
            raise RunError(f"{self._reader} reads {path}, which the plan does not have") from None
        return value

    def _plain(self, path: str) -> Any:
        value: Any = self._plan.identity
        for step in path.split("."):
            value = value[int(step)] if isinstance(value, list) else value[step]
        return value


def _inside(value: Any, step: str) -> Any:
    return value[step] if isinstance(value, dict) else getattr(value, step)

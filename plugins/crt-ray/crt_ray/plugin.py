"""The component that this package brings."""

from __future__ import annotations

from crt_ray.spec import Ray
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The executor."""
    return [Component("ray", spec=Ray, summary="tasks of a Ray cluster", examples=(Ray(),))]

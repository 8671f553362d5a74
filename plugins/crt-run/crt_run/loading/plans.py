"""The plan of a finished run, from the resolved spec file that it has kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError, SpecError
from crtcore.kinds import Plan
from crtcore.registry import discover


def plan_of(values: Mapping[str, Any], where: str) -> Plan:
    """The plan in a resolved spec file; `where` begins messages.

    Raises: RunError if what is installed now does not have the components that it names, or those have changed.
    """
    try:
        (point,) = study(Document(dict(values), {}), discover()).points
    except SpecError as error:
        raise RunError(f"{where}: the run does not fit what is installed now: {error}") from None
    return point.plan

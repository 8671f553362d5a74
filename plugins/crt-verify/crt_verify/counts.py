"""What numbers of children must be."""

from __future__ import annotations

from typing import Any

import attrs

from crtcore.spec import FieldError


def counts(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Checks that there is at least one number, and that each is at least 1.

    Raises: FieldError if not.
    """
    if not value or min(value) < 1:
        raise FieldError(attribute.name, f"expected numbers of at least 1, at least one of them, got {value!r}")

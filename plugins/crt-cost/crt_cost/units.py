"""Numbers with units, as tables show them."""

from __future__ import annotations

_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_LONG = ((86400, "d"), (3600, "h"), (60, "min"))


def scaled(value: float | int | None, unit: str = "") -> str:
    """Three digits and a metric prefix; a question mark for None."""
    if value is None:
        return "?"
    size, letter = next(((size, letter) for size, letter in _LARGE if value >= size), (1, ""))
    return f"{value / size:.3g} {letter}{unit}".strip()


def lasting(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    size, unit = next(((size, unit) for size, unit in _LONG if seconds >= size), (1, "s"))
    return f"{seconds / size:,.1f} {unit}" if size > 1 else f"{seconds:.2g} s"

"""Words for units and large numbers, as answers have them."""

from __future__ import annotations

_ALIASES = {
    "centimeter": "cm centimeters centimetre centimetres",
    "meter": "meters metre metres",
    "millimeter": "mm millimeters",
    "kilometer": "km kilometers",
    "inch": "in inches",
    "foot": "ft feet",
    "yard": "yd yards",
    "mile": "mi miles",
    "gram": "grams",
    "kilogram": "kg kilograms",
    "pound": "lb lbs pounds",
    "second": "sec secs seconds",
    "minute": "min mins minutes",
    "hour": "hr hrs hours",
    "dollar": "dollars",
    "cent": "cents",
    "degree": "degrees",
    "percent": "pct",
    "square": "sq",
    "mph": "",
}
UNITS = {name: unit for unit, names in _ALIASES.items() for name in (unit, *names.split())}
"""Words for units, with the word that they are compared by."""
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def unit(words: str) -> str:
    """Returns the text that units are compared by: `cm`, `square cm` and `centimeters^2` are those of `cm^2`."""
    power = "^2" if words.lower().startswith(("square ", "sq ")) else "^3" if words.lower().startswith("cubic ") else ""
    names = [word.partition("^") for word in words.lower().split()[bool(power) :]]
    return " ".join(UNITS.get(name, name) + sign + exponent for name, sign, exponent in names) + power

"""Whether two answers are one: by value where both are numbers, else by what they say."""

from __future__ import annotations

import re
from fractions import Fraction

_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_PACKED = re.compile(r"\\[dt]?frac(\d)(\d)")
_BOXED = re.compile(r"\\boxed\{(.*)\}")
_WRAPPED = re.compile(r"\\(?:text|mbox|mathrm)\{([^{}]*)\}")
_DROPPED = re.compile(r"\\left|\\right|\\[!,;: ]|\\\$|\$|\s+|\^\{?\\circ\}?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:/(\d+\.?\d*))?(\\?%)?")


def same(one: str, other: str) -> bool:
    """True if both have one value, or, where either is no number, the same signs but for spaces and typesetting."""
    plain = bare(one), bare(other)
    values = value(plain[0]), value(plain[1])
    return plain[0] == plain[1] if None in values else values[0] == values[1]


def bare(answer: str) -> str:
    """An answer without typesetting that changes nothing of what it says."""
    if boxed := _BOXED.search(answer):
        answer = boxed[1]
    answer = _WRAPPED.sub(r"\1", _DROPPED.sub("", answer)).rstrip(".")
    answer = _FRACTION.sub(r"\1/\2", _PACKED.sub(r"\1/\2", answer))
    return _THOUSANDS.sub("", answer)


def value(plain: str) -> Fraction | None:
    """The rational number that is written; None if it is none."""
    if not (found := _NUMBER.fullmatch(plain)):
        return None
    above, below, percent = found.groups()
    if below and not Fraction(below):
        return None
    return Fraction(above) / Fraction(below or 1) / (100 if percent else 1)

"""Compares answers: by value if both are numbers, else as text."""

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


def equal_answers(one: str, other: str) -> bool:
    """Returns whether two answers are equal: in value, or, unless both are numbers, in text without typesetting."""
    normal_form = normalised(one), normalised(other)
    values = value(normal_form[0]), value(normal_form[1])
    return normal_form[0] == normal_form[1] if None in values else values[0] == values[1]


def normalised(answer: str) -> str:
    """Removes spaces and typesetting from an answer."""
    if boxed := _BOXED.search(answer):
        answer = boxed[1]
    answer = _WRAPPED.sub(r"\1", _DROPPED.sub("", answer)).rstrip(".")
    answer = _FRACTION.sub(r"\1/\2", _PACKED.sub(r"\1/\2", answer))
    return _THOUSANDS.sub("", answer)


def value(normal_form: str) -> Fraction | None:
    """Reads a rational number; None if it is not one."""
    if not (match := _NUMBER.fullmatch(normal_form)):
        return None
    above, below, percent = match.groups()
    if below and not Fraction(below):
        return None
    return Fraction(above) / Fraction(below or 1) / (100 if percent else 1)

"""Compares answers to mathematical problems by value.

What counts as equal is what users of lm-evaluation-harness (tasks hendrycks_math, minerva_math) and of Math-Verify
expect; `answers.tsv` beside the tests has the pairs. Numbers are compared exactly. A unit that one answer leaves out is
ignored; the percent sign is a unit, or a hundredth. Members of lists and sets have no order; those of points and
intervals have.
"""

from __future__ import annotations

from collections.abc import Sequence

from crt_latent.metamath.members import Member, members
from crt_latent.metamath.parser import parse
from crt_latent.metamath.tokens import Token, Unread, tokens
from crt_latent.metamath.values import close


def equal_answers(one: str, other: str) -> bool:
    """Returns whether two answers are equal: in value if both have one, else in text without typesetting.

    Whatever the texts are, it returns in bounded time. What is longer, deeper or larger than the limits of `tokens`,
    `parser`, `values` and `members` has no value.
    """
    if one.split() == other.split():
        return True
    try:
        pieces = tokens(one), tokens(other)
    except Unread:
        return False
    try:
        left, right = (members(parse(each)) for each in pieces)
    except Unread:
        return _texts(pieces[0]) == _texts(pieces[1])
    return _same_members(left, right)


def _texts(pieces: Sequence[Token]) -> list[str]:
    return [token.text.lower() if token.kind == "word" else token.text for token in pieces]


def _same_members(left: Sequence[Member], right: Sequence[Member], *, ordered: bool = False) -> bool:
    if len(left) != len(right):
        return False
    if ordered or len(left) == 1:
        return all(map(_same, left, right))
    # Both ways, so that the result does not depend on which answer is left where a unit is missing.
    return _matches(left, right) or _matches(right, left)


def _matches(left: Sequence[Member], right: Sequence[Member]) -> bool:
    remaining = list(right)
    for member in left:
        index = next((index for index, each in enumerate(remaining) if _same(member, each)), None)
        if index is None:
            return False
        del remaining[index]
    return True


def _same(one: Member, other: Member) -> bool:
    if one.difference and other.difference and _sign(one) == _sign(other) and _proportional(one, other):
        return True
    if one.kind != other.kind or one.kind == "relation" or (one.name and other.name and one.name != other.name):
        return False
    if one.kind == "scalar":
        return not (one.text and other.text and one.text != other.text) and _same_value(one, other)
    return one.text == other.text and (
        len(one.parts) == len(other.parts)
        and all(_same_members(*pair) for pair in zip(one.parts, other.parts, strict=True))
    )


def _sign(member: Member) -> str:
    return member.text if member.kind == "relation" else "="


def _same_value(one: Member, other: Member) -> bool:
    pairs = [*zip(one.values, other.values, strict=True)]
    factors = (1,) if one.percent == other.percent else (1, 100)
    if other.percent:
        return any(all(close(x * factor, y) for x, y in pairs) for factor in factors)
    return any(all(close(x, y * factor) for x, y in pairs) for factor in factors)


def _proportional(one: Member, other: Member) -> bool:
    """Returns whether two differences have a constant ratio, positive for inequalities."""
    first, second = one.difference[0], other.difference[0]
    if not all(close(x * second, y * first) for x, y in zip(one.difference, other.difference, strict=True)):
        return False
    ratio = first / second
    return _sign(one) in ("=", r"\ne") or (not getattr(ratio, "imag", 0) and ratio.real > 0)

"""Values of trees: exact where they are rational, else at some points with 120 digits; never larger than a limit.

Two expressions with symbols are equal if their values are, at points that hashes of the symbols' names determine
(Schwartz, 1980, doi:10.1145/322217.322225). So the work is linear in the length of an answer, which sympy's is not.
"""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from functools import reduce
from operator import add, mul, neg, pos
from typing import Any, TypeAlias

from mpmath import MPContext

from crt_latent.metamath.cursor import Node
from crt_latent.metamath.tokens import Unread

POINTS = 4
MOST_BITS = 1 << 14
"""The most bits of a numerator or denominator, and of the exponent's range of other numbers."""
MOST_FACTORS = 1000
"""The most factors of a factorial."""
_BITS = 400
_context = MPContext()
_context.prec = _BITS
_TOLERANCE = _context.mpf(2) ** (50 - _BITS)

Value: TypeAlias = Any
"""A Fraction, or a real or complex number of mpmath."""


def value(node: Node, point: int = 0, sign: int = 1) -> Value:
    r"""Returns the value of an expression, with \pm as `sign`.

    Raises: Unread if it has none, or one beyond the limits.
    """
    try:
        return _value(node, point, sign)
    except (ArithmeticError, ValueError) as error:
        raise Unread from error


def close(one: Value, other: Value) -> bool:
    """Returns whether two values are equal: exactly if both are rational, else to 105 digits."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    one, other = _real(one), _real(other)
    return bool(abs(one - other) <= _TOLERANCE * max(1, abs(one), abs(other)))


def names(node: Node) -> set[str]:
    """Returns the symbols of an expression that have no value of their own."""
    own = {node.text} if node.kind in ("symbol", "function") and node.text not in _NAMED else set()
    return own.union(*map(names, node.parts))


def has(node: Node, *kinds: str) -> bool:
    """Returns whether an expression has a part of one of these kinds."""
    return node.kind in kinds or any(has(part, *kinds) for part in node.parts)


def _real(number: Value) -> Value:
    return _context.mpf(number.numerator) / number.denominator if isinstance(number, Fraction) else number


def _bounded(number: Value) -> Value:
    if isinstance(number, Fraction):
        if max(number.numerator.bit_length(), number.denominator.bit_length()) > MOST_BITS:
            raise Unread
    elif not _context.isfinite(number) or (number and abs(_context.mag(number)) > MOST_BITS):
        raise Unread
    return number


def _joined(operation: Any) -> Any:
    def joined(*parts: Value) -> Value:
        def pair(x: Value, y: Value) -> Value:
            exact = isinstance(x, Fraction) and isinstance(y, Fraction)
            return _bounded(operation(x, y) if exact else operation(_real(x), _real(y)))

        return reduce(pair, parts)

    return joined


def _value(node: Node, point: int, sign: int) -> Value:
    if node.kind in _LEAVES:
        return _LEAVES[node.kind](node, point)
    parts = [_value(part, point, sign) for part in node.parts]
    if node.kind == "function":
        return _bounded(_function(node, parts, point))
    if node.kind not in _OPERATIONS or (node.kind == "unit" and node.text != "degree"):
        raise Unread
    return _bounded(_OPERATIONS[node.kind](*parts) * (sign if node.kind in (r"\pm", r"\mp") else 1))


def _function(node: Node, parts: list[Value], point: int) -> Value:
    if node.text not in _FUNCTIONS:  # some function that is not linear
        own = _symbol(Node("symbol", text=f"{node.text}()"), point)
        return own / (_real(parts[0]) + own * own)
    if node.parts[0].kind == "unit":
        parts[0] = _context.pi * _real(parts[0]) / 180
    return _FUNCTIONS[node.text](*parts)


def _number(node: Node, _: int) -> Value:
    digits, _e, exponent = node.text.lower().partition("e")
    if abs(int(exponent or 0)) > MOST_BITS // 4:
        raise Unread
    return _bounded(Fraction(digits.rstrip(".")) * Fraction(10) ** int(exponent or 0))


def _repeating(node: Node, _: int) -> Value:
    start, period = node.text.split()
    whole, _point, fixed = start.partition(".")
    nines = 10 ** len(period) - 1
    return _bounded(Fraction(f"{whole or 0}.{fixed or 0}") + Fraction(int(period), nines * 10 ** len(fixed)))


def _symbol(node: Node, point: int) -> Value:
    if node.parts:
        raise Unread
    if node.text in _CONSTANTS:
        return _CONSTANTS[node.text]
    digest = hashlib.sha256(f"{point} {node.text}".encode()).digest()
    if node.text == r"\infty":
        point = 0
    size = 1 + _context.mpf(int.from_bytes(digest)) / 2**256
    # Points have all signs, so that x and |x| differ.
    return size if point == 0 or (point > 1 and digest[-1] % 2) else -size


def _power(base: Value, exponent: Value) -> Value:
    if not base and not (isinstance(exponent, Fraction) and exponent > 0):
        raise Unread
    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    if whole and isinstance(base, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(base) != 1 and bits * abs(exponent) > MOST_BITS:
            raise Unread
        return _bounded(base ** int(exponent % 2 if abs(base) == 1 else exponent))
    base, size = _real(base), abs(_real(exponent))
    if base and size * max(1, abs(_context.mag(base))) > MOST_BITS:
        raise Unread
    return _bounded(base ** (int(exponent) if whole else _real(exponent)))


def _root(radicand: Value, degree: Value) -> Value:
    if not isinstance(degree, Fraction) or degree.denominator != 1 or not 0 < degree <= MOST_FACTORS:
        raise Unread
    number = _real(radicand)
    if isinstance(number, _context.mpf) and number < 0 and degree % 2:
        return -_root(-radicand, degree)
    return _bounded(_context.sqrt(number) if degree == 2 else _power(number, 1 / degree))


def _count(number: Value) -> int:
    if not isinstance(number, Fraction) or number.denominator != 1 or not 0 <= number <= MOST_FACTORS:
        raise Unread
    return int(number)


def _of_mpmath(name: str) -> Any:
    """A function of mpmath that is exact to its digits only where its argument is small."""
    function = getattr(_context, name)

    def bounded(argument: Value) -> Value:
        if argument and _context.mag(number := _real(argument)) > 64:
            raise Unread
        return function(number if argument else _context.mpf(0))

    return bounded


def _logarithm(argument: Value, base: Value = Fraction(10)) -> Value:
    return _context.ln(_real(argument)) / _context.ln(_real(base))


def _rounded(name: str) -> Any:
    def rounded(argument: Value) -> Value:
        if isinstance(argument, Fraction):
            return Fraction(getattr(math, name)(argument))
        return getattr(_context, name)(argument)

    return rounded


_CONSTANTS: dict[str, Value] = {r"\pi": +_context.pi, "e": +_context.e, "i": _context.j}
_FUNCTIONS: dict[str, Any] = {
    **{rf"\{name}": _of_mpmath(name) for name in ("sin", "cos", "tan", "cot", "sec", "csc", "exp")},
    **{rf"\{name}": _of_mpmath(short) for name, short in (("arcsin", "asin"), ("arccos", "acos"), ("arctan", "atan"))},
    r"\ln": lambda argument: _context.ln(_real(argument)),
    r"\log": _logarithm,
    r"\lfloor": _rounded("floor"),
    r"\lceil": _rounded("ceil"),
}
_LEAVES: dict[str, Any] = {"number": _number, "repeating": _repeating, "symbol": _symbol}
_OPERATIONS: dict[str, Any] = {
    "sum": _joined(add),
    "product": _joined(mul),
    "mixed": lambda whole, above, below: whole + above / below,
    "-": neg,
    r"\pm": pos,
    r"\mp": neg,
    "inverse": lambda x: 1 / x,
    "percent": lambda x: x / 100,
    "unit": pos,
    "power": _power,
    "root": _root,
    "absolute": abs,
    "factorial": lambda x: Fraction(math.factorial(_count(x))),
    "binomial": lambda n, k: Fraction(math.comb(_count(n), _count(k))),
}
_NAMED = {*_CONSTANTS, *_FUNCTIONS, r"\infty"}

"""What an answer consists of: numbers, expressions, words, points, intervals and relations, with their values."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from crt_latent.metamath.cursor import Node
from crt_latent.metamath.tokens import Unread
from crt_latent.metamath.values import POINTS, Value, has, names, value

MOST_MEMBERS = 100
"""The most members of a list, a point or a matrix."""
_FLIPPED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
_INFINITY = Node("symbol", text=r"\infty")


class Member(NamedTuple):
    """One value of an answer."""

    kind: str
    """scalar, words, tuple or relation."""
    text: str = ""
    """The unit of a scalar, words, brackets of a tuple, or the sign of a relation."""
    values: tuple[Value, ...] = ()
    """Of a scalar, at each point."""
    difference: tuple[Value, ...] = ()
    """Of the sides of an equation or an inequality, at each point."""
    percent: bool = False
    parts: tuple[Members, ...] = ()
    """Of a tuple; each is an answer of its own."""
    name: str = ""
    """The symbol that has this value, if the answer names one."""


Members: TypeAlias = tuple[Member, ...]


def members(node: Node) -> Members:
    """Returns the members of an answer; the order of several has no meaning.

    Raises: Unread if one has no value, or there are more than `MOST_MEMBERS`.
    """
    if len(node.parts) > MOST_MEMBERS and node.kind in ("list", "set", "tuple"):
        raise Unread
    match node.kind:
        case "list" | "set":
            result = tuple(member for part in node.parts for member in members(part))
            if len(result) > MOST_MEMBERS:
                raise Unread
            return tuple(dict.fromkeys(result)) if node.kind == "set" else result
        case "words":
            return (Member("words", node.text),)
        case "tuple":
            return (Member("tuple", node.text, parts=tuple(map(members, node.parts))),)
        case "ratio":
            return _ratio(node)
        case "relation":
            return _relation(node, node.text.split())
    if has(node, "words", "list", "set", "tuple", "ratio", "relation"):
        raise Unread
    return tuple(_scalar(node, sign) for sign in ((1, -1) if has(node, r"\pm", r"\mp") else (1,)))


def _scalar(node: Node, sign: int) -> Member:
    name, percent = "", False
    while node.kind in ("unit", "percent"):
        percent = percent or node.kind == "percent"
        name = name or node.text
        (node,) = node.parts
    return Member("scalar", name, tuple(value(node, point, sign) for point in range(POINTS)), percent=percent)


def _ratio(node: Node) -> Members:
    first, *others = node.parts
    if any(part.kind == "number" and len(part.text) == 2 for part in others):
        return (Member("tuple", ":", parts=tuple(map(members, node.parts))),)  # a time of day, such as 12:30
    if len(others) == 1:
        return members(Node("product", (first, Node("inverse", tuple(others)))))
    return (Member("tuple", ":", parts=tuple(map(members, node.parts))),)


def _relation(node: Node, signs: list[str]) -> Members:
    sides = list(node.parts)
    if set(signs) <= _FLIPPED.keys() and signs[0] in (">", r"\ge"):
        sides, signs = sides[::-1], [_FLIPPED[sign] for sign in signs[::-1]]
    if set(signs) == {"="}:
        sides, signs = [sides[0], sides[-1]], ["="]
    if signs in (["="], [r"\in"]) and _is_name(sides[0]):
        named = [each._replace(name=each.name or sides[0].text) for each in members(sides[1])]
        if signs == ["="] and all(each.kind == "scalar" for each in named):
            pairs = zip(named, _differences(*sides), strict=True)
            return tuple(each._replace(difference=difference) for each, difference in pairs)
        return tuple(named)
    if set(signs) <= {"<", r"\le"} and (interval := _interval(sides, signs)):
        return interval
    if len(signs) > 1 or signs == [r"\in"]:
        raise Unread
    return tuple(Member("relation", signs[0], difference=each) for each in _differences(*sides))


def _differences(left: Node, right: Node) -> list[tuple[Value, ...]]:
    result = [each.values for each in members(Node("sum", (left, Node("-", (_without_unit(right),)))))]
    if not all(map(all, result)):
        raise Unread  # it holds everywhere or nowhere
    return result


def _without_unit(node: Node) -> Node:
    return node.parts[0] if node.kind == "unit" else node


def _interval(sides: list[Node], signs: list[str]) -> Members | None:
    """Returns the interval of the symbol that is compared with numbers, if the relation has that form."""
    if len(sides) == 2:
        low = not _is_name(sides[0])
        sides = [*sides, _INFINITY] if low else [Node("-", (_INFINITY,)), *sides]
        signs = [*signs, "<"] if low else ["<", *signs]
    if len(sides) != 3 or not _is_name(sides[1]) or names(sides[0]) | names(sides[2]):
        return None
    brackets = ("[" if signs[0] == r"\le" else "(") + ("]" if signs[1] == r"\le" else ")")
    return (members(Node("tuple", (sides[0], sides[2]), brackets))[0]._replace(name=sides[1].text),)


def _is_name(node: Node) -> bool:
    return node.kind in ("symbol", "function") and bool(names(node))

"""Trees, and a place in the tokens that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from crt_latent.metamath.tokens import SEPARATORS, Token, Unread
from crt_latent.metamath.units import unit


class Node(NamedTuple):
    """An expression: what it is, its parts, and a name, a number or brackets as text."""

    kind: str
    parts: tuple[Node, ...] = ()
    text: str = ""


class Cursor:
    """Tokens, and where the next one is."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens, self.at = [*tokens], 0
        self.spaced: list[bool] = []
        """For each open bracket, whether a space follows a comma in it."""

    @property
    def next(self) -> Token:
        """The next token, or one of kind `end` without text."""
        return self.tokens[self.at] if self.at < len(self.tokens) else Token("end", "")

    def take(self, *texts: str) -> str:
        """Consumes the next token and returns its text if it is one of `texts`, else returns nothing."""
        if self.next.text not in texts or self.next.kind == "end":
            return ""
        self.at += 1
        return self.tokens[self.at - 1].text

    def need(self, *texts: str) -> str:
        """Consumes the next token and returns its text.

        Raises: Unread if it is none of `texts`.
        """
        if not (text := self.take(*texts)):
            raise Unread
        return text

    def raw(self) -> str:
        """Returns the text of a token, or of all tokens in braces.

        Raises: Unread if a brace is not closed.
        """
        if not self.take("{"):
            self.at += 1
            return self.tokens[self.at - 1].text if self.at <= len(self.tokens) else ""
        start, depth = self.at, 1
        while depth:
            if self.at >= len(self.tokens):
                raise Unread
            depth += {"{": 1, "}": -1}.get(self.next.text, 0)
            self.at += 1
        return " ".join(token.text for token in self.tokens[start : self.at - 1])

    def split_digits(self) -> None:
        """Makes each digit of a number that comes next a number, as LaTeX does for the arguments of a command."""
        if self.next.kind == "number" and len(self.next.text) > 1:
            self.tokens[self.at : self.at + 1] = [Token("number", digit) for digit in self.next.text]

    def degree(self) -> bool:
        """Consumes the sign of degrees of an exponent, if there is one."""
        ahead = [token.text for token in self.tokens[self.at : self.at + 3]]
        length = 1 if ahead[:1] in ([r"\circ"], ["°"]) else 3 if ahead in (["{", r"\circ", "}"], ["{", "°", "}"]) else 0
        self.at += length
        return length > 0

    def words(self) -> str:
        """Consumes the words of a unit and returns what it is compared by."""
        result = list[str]()
        while self.next.kind == "word" and self.next.text.lower() not in SEPARATORS:
            result.append(self.next.text)
            self.at += 1
        if result and self.take("^"):
            result[-1] += f"^{self.raw()}"
        return unit(" ".join(result))

    def has_spaced_comma(self) -> bool:
        """Returns whether a space follows a comma before the next closing bracket."""
        depth = 0
        for token, after in pairwise(self.tokens[self.at :]):
            depth += (token.text in ("(", "[", r"\{")) - (token.text in (")", "]", r"\}"))
            if depth < 0:
                return False
            if not depth and token.text == "," and after.gap == " ":
                return True
        return False

"""The tokens of a mathematical answer in LaTeX or plain text, without typesetting."""

from __future__ import annotations

import re
from typing import NamedTuple

from crt_latent.metamath.units import UNITS

MOST_CHARACTERS = 2000
"""Longer answers have no tokens."""
SEPARATORS = ("and", "or")


class Unread(Exception):
    """The text is no answer that has a value here."""


class Token(NamedTuple):
    """A piece of an answer."""

    kind: str
    """number, letter, word, command or mark."""
    text: str
    gap: str = ""
    """What was before it: nothing, a space, or `!` for LaTeX's negative space."""


_TOKEN = re.compile(
    r"(?P<space>\s+|~|\\(?:[,;: ]|quad\b|qquad\b))|(?P<tight>\\!)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4}(?!\d))?)"
    r"|(?P<command>\\(?:[a-zA-Z]+|.))|(?P<letters>[a-zA-Z]+)|(?P<power>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|(?P<mark>.)",
    re.ASCII | re.DOTALL,
)


def commands(names: str) -> frozenset[str]:
    """Returns names with the backslash of a command."""
    return frozenset(rf"\{name}" for name in names.split())


_DROPPED = {"$"} | commands(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits mathbf mathit mathbb mathcal "
    "mathsf boldsymbol bm bf rm it boxed fbox ( ) [ ]"
)
_TEXT = commands("text textbf textit textrm textnormal mbox hbox mathrm operatorname")
_NAMES = commands("sqrt pi sin cos tan cot sec csc arcsin arccos arctan log ln exp infty cup")
"""Commands that plain text has without a backslash."""
_SPELLINGS = {
    **{rf"\{name}": r"\frac" for name in ("dfrac", "tfrac", "cfrac")},
    **{rf"\{name}": r"\binom" for name in ("dbinom", "tbinom")},
    **{r"\leq": r"\le", r"\leqslant": r"\le", r"\geq": r"\ge", r"\geqslant": r"\ge", r"\neq": r"\ne"},
    **{r"\lt": "<", r"\gt": ">", r"\cdot": "*", r"\times": "*", r"\ast": "*", r"\div": "/", r"\colon": ":"},
    **{r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\%": "%", r"\degree": "°"},
    **{r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\mid": "|", r"\emptyset": r"\varnothing", r"\lg": r"\log"},
    **{r"\dots": r"\ldots", r"\cdots": r"\ldots", r"\infin": r"\infty", r"\tfrac": r"\frac"},
    **{"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "π": r"\pi", "∞": r"\infty", "√": r"\sqrt", "∪": r"\cup"},
    **{"≤": r"\le", "≥": r"\ge", "≠": r"\ne", "∈": r"\in", "±": r"\pm", "∅": r"\varnothing", "…": r"\ldots"},
}
_FRACTIONS = {"½": "12", "⅓": "13", "⅔": "23", "¼": "14", "¾": "34", "⅕": "15", "⅙": "16", "⅛": "18"}
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def tokens(answer: str) -> list[Token]:
    r"""Returns the tokens of an answer; of a text with \boxed after other words, those of the last box.

    Raises: Unread if the answer is longer than `MOST_CHARACTERS`, or its braces do not match.
    """
    if len(answer) > MOST_CHARACTERS:
        raise Unread
    answer = _boxed(answer.strip()).strip().rstrip(".").rstrip()
    prose = not re.search(r"[^a-zA-Z\s.,;'?$-]", answer, re.ASCII)
    result, groups = list[Token](), list[str]()
    gap, text_follows = "", False
    for match in _TOKEN.finditer(answer):
        kind, text = str(match.lastgroup), _SPELLINGS.get(match[0], match[0])
        if kind == "space":
            gap = gap or " "
        elif kind == "tight":
            gap = "!"
        elif text in _TEXT:
            text_follows = True
        elif text == "{":
            groups.append("text" if text_follows else "math")
            result += [] if text_follows else [Token("mark", text, gap)]
            text_follows = False
        elif text == "}":
            if not groups:
                raise Unread
            result += [Token("mark", text, gap)] if groups.pop() == "math" else []
            gap = ""
        elif text not in _DROPPED:
            result += _read(kind, text, gap, "text" if "text" in groups else "prose" if prose else "")
            gap = ""
    if groups:
        raise Unread
    return result


def _read(kind: str, text: str, gap: str, place: str) -> list[Token]:
    """Returns the tokens of a name, a word or variables; of a sign; or of anything else as it is."""
    if kind == "letters" and rf"\{text}" in _NAMES:
        return [Token("command", rf"\{text}", gap)]
    if kind == "letters":
        variables = len(text) < 4 and not set(text.lower()) & set("eiou") and (text.islower() or text.isupper())
        is_word = text.lower() in (*SEPARATORS, *UNITS) or len(text) > 3 or (len(text) > 1 and place and not variables)
        whole = is_word or place == "text"
        return [Token("word", text, gap)] if whole else [Token("letter", each, gap) for each in text]
    if text in _FRACTIONS:
        return [Token("command", r"\frac", gap), *(Token("number", digit) for digit in _FRACTIONS[text])]
    if kind == "power":
        return [Token("mark", "^"), Token("number", text.translate(_POWERS))]
    return [Token("command" if text[0] == "\\" and len(text) > 1 else kind, text, gap)]


def _boxed(answer: str) -> str:
    start = max(answer.rfind(r"\boxed{"), answer.rfind(r"\fbox{"))
    if start < 0 or answer.lstrip("$ ").startswith((r"\boxed", r"\fbox")):
        return answer
    depth = 0
    for end in range(start := answer.index("{", start), len(answer)):
        depth += {"{": 1, "}": -1}.get(answer[end], 0)
        if not depth:
            return answer[start + 1 : end]
    return answer[start + 1 :]

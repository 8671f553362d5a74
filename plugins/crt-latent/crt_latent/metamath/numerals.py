"""Numbers as answers write them: with separators of thousands, repeating digits, a base, or a fraction behind them."""

from __future__ import annotations

from crt_latent.metamath.cursor import Cursor, Node
from crt_latent.metamath.tokens import Unread


def number(cursor: Cursor) -> Node:
    """Consumes the next token."""
    cursor.at += 1
    return Node("number", text=cursor.tokens[cursor.at - 1].text)


def numeral(cursor: Cursor) -> Node:
    """Consumes all tokens of a number."""
    if (length := _groups(cursor)) > 1:
        group = cursor.tokens[cursor.at : cursor.at + length]
        cursor.at += length
        whole = Node("number", text="".join(token.text for token in group if token.kind == "number"))
    else:
        whole = number(cursor)
    if "." in whole.text and cursor.take(r"\overline", r"\bar"):
        return Node("repeating", text=f"{whole.text} {_digits(cursor.raw())}")
    if cursor.take("_"):
        return Node("symbol", text=f"{whole.text}_{cursor.raw()}")
    return (_mixed(cursor, whole) if whole.text.isdigit() else None) or whole


def _mixed(cursor: Cursor, whole: Node) -> Node | None:
    """Consumes the fraction of digits behind a whole number, if there is one."""
    start, texts = cursor.at, list[str]()
    ahead = cursor.tokens[start : start + 3]
    if cursor.take(r"\frac"):
        for _ in range(2):
            cursor.split_digits()
            texts.append(cursor.raw())
    elif [token.text if token.text == "/" else token.kind for token in ahead] == ["number", "/", "number"]:
        texts = [ahead[0].text, ahead[2].text] if ahead[0].gap else []
        cursor.at += 3
    if texts and all(text.isdigit() for text in texts):
        return Node("mixed", (whole, *(Node("number", text=text) for text in texts)))
    cursor.at = start
    return None


def _digits(text: str) -> str:
    if not text.isdigit():
        raise Unread
    return text


def _groups(cursor: Cursor) -> int:
    """Returns how many tokens the number has that begins here, separators of thousands included.

    Groups have three digits, but the first one to three. A space, a LaTeX space or a comma separates them. A comma
    separates members instead if a space follows; in brackets also without, unless the brackets show otherwise: by
    a space behind another comma, or by a group that begins with 0.
    """
    first, end = cursor.next.text, cursor.at + 1
    if not first.isdigit() or len(first) > 3 or first[0] == "0":
        return 1
    joined, certain = list[str](), not cursor.spaced or cursor.spaced[-1]
    while end < len(cursor.tokens):
        ahead = cursor.tokens[end : end + 4]
        texts = [token.text for token in ahead]
        if texts[:3] == ["{", ",", "}"] and len(ahead) == 4:
            width, sure, group = 4, True, ahead[3]
        elif texts[0] == "," and len(ahead) > 1 and not ahead[0].gap and ahead[1].gap in ("", "!"):
            width, sure, group = 2, ahead[1].gap == "!", ahead[1]
        elif ahead[0].kind == "number" and ahead[0].gap:
            width, sure, group = 1, True, ahead[0]
        else:
            break
        if group.kind != "number":
            break
        digits, _, rest = group.text.partition(".")
        fits = len(digits) == 3 and (digits + (rest or "0")).isdigit()
        if width == 1 and (not fits or [token.text for token in ahead[1:2]] == ["/"]):
            break  # the fraction behind a whole number
        if not fits:
            return 1
        joined.append(digits)
        certain = certain or sure or digits[0] == "0"
        end += width
        if "." in group.text:
            break
    return end - cursor.at if joined and certain else 1

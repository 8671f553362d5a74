"""Where a row's text first has a stop string: one may begin in the prompt, and ends in a new id, as in transformers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from operator import eq
from typing import Any

from crt_hf.processed import Follow


def stop_at(tokenizer: Any, prompt: Sequence[int], ids: Sequence[int], strings: Sequence[str]) -> int | None:
    """The number of new ids after which the text first has a stop string; None: it has none.

    A string that the prompt has whole does not count. Text is that of special tokens too.
    """
    if not _has(tokenizer, prompt, ids, strings):
        return None
    return next(n for n in range(1, len(ids) + 1) if _has(tokenizer, prompt, ids[:n], strings))


def until_stop(follow: Follow, tokenizer: Any, prompts: Sequence[Sequence[int]], strings: Sequence[str]) -> Follow:
    """A `follow` that is called with the ids of a row up to the one that completes a stop string, and not later.

    A row goes on behind it where the model has no id that ends one.
    """
    followed: list[list[int]] = [[] for _ in prompts]
    ended = [False for _ in prompts]

    def until(row: int, ids: Sequence[int]) -> None:
        if ended[row]:
            return
        known = len(followed[row])
        followed[row] += ids
        end = stop_at(tokenizer, prompts[row], followed[row], strings)
        ended[row] = end is not None
        follow(row, followed[row][known:end])

    return until


def _has(tokenizer: Any, prompt: Sequence[int], ids: Sequence[int], strings: Sequence[str]) -> bool:
    """Whether a stop string ends behind the prompt's text."""
    longest = max(len(each.encode()) for each in strings)
    before = list(prompt[-longest:])  # an id has a byte at least, so no string begins further left
    text = tokenizer.decode([*before, *ids])
    # The prompt may end within a letter, whose bytes new ids complete: what stays of its text is the prompt's.
    known = len(list(takewhile(bool, map(eq, tokenizer.decode(before), text))))
    return any(text.find(each, max(0, known + 1 - len(each))) >= 0 for each in strings)

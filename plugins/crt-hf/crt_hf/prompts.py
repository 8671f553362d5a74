"""Prompts: texts, chats or lists of ids, as ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from crtcore.errors import RunError, in_one_line

Prompt: TypeAlias = "str | Sequence[int] | Sequence[Mapping[str, str]]"
"""A text, ids, or a chat: messages with `role` and `content`."""


def as_ids(prompt: Prompt, vocabulary: int, tokenizer: Callable[[], Any], name: str = "prompt") -> list[int]:
    """The ids of a prompt; a chat gets its model's template and the start of an answer.

    Raises: RunError if it has no ids, one out of range, or no form of the three.
    """
    if isinstance(prompt, str):
        ids = list(tokenizer()(prompt)["input_ids"])
    elif _is_chat(prompt):
        ids = _chat(prompt, tokenizer())  # type: ignore[arg-type]
    else:
        ids = prompt.tolist() if hasattr(prompt, "tolist") else list(prompt) if isinstance(prompt, Sequence) else [None]
        if not all(type(x) is int for x in ids):
            raise RunError(
                f"generate: {name}: expected a text, ids, or messages with role and content, got {prompt!r:.80}"
            )
    if not ids:
        raise RunError(f"generate: {name}: expected at least one id to go on from, got none")
    if outside := [x for x in ids if not 0 <= x < vocabulary]:
        raise RunError(f"generate: {name}: expected ids from 0 to {vocabulary - 1}, got {outside[0]}")
    return ids


def _is_chat(prompt: Any) -> bool:
    return isinstance(prompt, Sequence) and bool(prompt) and all(isinstance(each, Mapping) for each in prompt)


def _chat(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> list[int]:
    if odd := [each for each in messages if not {"role", "content"} <= each.keys()]:
        raise RunError(f"generate: expected messages with role and content, got {odd[0]!r:.80}")
    if not getattr(tokenizer, "chat_template", None):
        raise RunError("generate: expected a tokenizer with a chat template for messages, got none; give a text")
    try:
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    except Exception as error:  # a template raises what it likes
        raise RunError(
            f"generate: expected messages that the chat template takes, got {in_one_line(error):.300}"
        ) from error
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])

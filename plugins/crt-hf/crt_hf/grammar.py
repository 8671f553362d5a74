"""Texts of a JSON schema or a grammar: ids that cannot go on to one are ruled out, by xgrammar.

Axes: m paths, n ids of a path, v vocabulary.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_hf.schemas.apart import keep_apart
from crt_hf.schemas.ignored import Walk
from crtcore.errors import RunError, in_one_line


class Grammar:
    """A grammar and a tokenizer; each row that is decoded has a `Matching` of it."""

    def __init__(self, tokenizer: Any, vocabulary: int, stop: Sequence[int], asked: Mapping[str, Any]) -> None:
        """`asked` has `json_schema` (an object or its text) or `grammar` (in xgrammar's EBNF).

        Raises: RunError if xgrammar is not installed, or takes neither.
        """
        try:
            self.library: Any = importlib.import_module("xgrammar")
        except ImportError as error:
            raise RunError(
                f"generate: json_schema, grammar: expected xgrammar, got {in_one_line(error):.200}; "
                "pip install 'crt-hf[grammar]'"
            ) from error
        if not stop:
            raise RunError("generate: json_schema, grammar: expected an eos_token_id, which ends a text, got none")
        schema, grammar = asked.get("json_schema"), asked.get("grammar")
        if schema is not None and grammar is not None:
            raise RunError("generate: expected json_schema or grammar, got both")
        try:
            about = self.library.TokenizerInfo.from_huggingface(
                tokenizer, vocab_size=vocabulary, stop_token_ids=list(stop)
            )
            compiler = self.library.GrammarCompiler(about, max_threads=1)
            self.compiled = (
                compiler.compile_grammar(grammar) if schema is None else compiler.compile_json_schema(_text(schema))
            )
        except (RuntimeError, ValueError, TypeError) as error:  # tvm's errors are RuntimeErrors
            raise RunError(f"generate: json_schema, grammar: {in_one_line(error):.300}") from error
        special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder} - set(stop)
        self.special = sorted(x for x in special if x < vocabulary)
        """Ids that xgrammar would take for their spelling."""

    def matching(self, prompt: int) -> Matching:
        """What one row passes through, whose prompt has so many ids."""
        return Matching(self, prompt)


class Matching:
    """Rules out what the grammar does not allow after a path; the matcher moves from path to path."""

    def __init__(self, grammar: Grammar, prompt: int) -> None:
        self._grammar, self._prompt = grammar, prompt
        self._matcher = grammar.library.GrammarMatcher(grammar.compiled, max_rollback_tokens=-1)
        self._at: list[int] = []

    def __call__(self, ids: Int[Tensor, "m n"], logits: Float[Tensor, "m v"]) -> Float[Tensor, "m v"]:
        """Returns logits of -inf for what cannot follow; those after a path that is ruled out itself stay as they are.

        A row never gets there, as an id before has no probability.
        """
        library = self._grammar.library
        result = logits.clone().contiguous()  # other layouts are masked wrongly
        mask = library.allocate_token_bitmask(1, logits.shape[1])
        for row, path in enumerate(ids[:, self._prompt :].tolist()):
            if not self._move(path) or self._matcher.is_terminated():
                continue
            self._matcher.fill_next_token_bitmask(mask, 0)
            library.apply_token_bitmask_inplace(result[row : row + 1], mask.to(logits.device))
            result[row, self._grammar.special] = -torch.inf
        return result

    def _move(self, path: list[int]) -> bool:
        """Moves the matcher to a path, and returns whether the grammar allows it."""
        pairs = zip(self._at, path, strict=False)
        common = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(self._at), len(path)))
        if back := len(self._at) - common:
            self._matcher.rollback(back)
        del self._at[common:]
        for x in path[common:]:
            if x in self._grammar.special or self._matcher.is_terminated() or not self._matcher.accept_token(x):
                return False
            self._at.append(x)
        return True


def _text(schema: Any) -> str:
    """A schema as text, in which xgrammar takes no two schemas for one.

    Raises: RunError if a keyword of it is ignored by xgrammar; ValueError if it is no JSON.
    """
    document = json.loads(schema if isinstance(schema, str) else json.dumps(schema))
    walk = Walk(document)
    if walk.ignored:
        raise RunError("\n".join(f"generate: json_schema: {each}" for each in walk.ignored.values()))
    keep_apart(walk)
    return json.dumps(document)

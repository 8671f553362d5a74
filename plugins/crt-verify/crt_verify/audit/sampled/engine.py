"""A server as a box that draws, and the law of what it should draw, as the server itself states it."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from crt_verify.audit.sampled.cells import Ids, Row
from crt_verify.audit.sampled.server import TOP, Completion, Server
from crtcore.errors import RunError

AT_ONCE = 50
"""Completions that are asked for in a request."""


def completions(server: Server, prompt: str, tokens: int, count: int, **more: object) -> Iterator[Completion]:
    """As many completions as are asked for, in as many requests as the server needs."""
    left = count
    while left:
        some = server.complete(prompt, tokens=tokens, count=min(left, AT_ONCE), **more)
        yield from some
        left -= len(some)


@attrs.frozen
class Texts:
    """Whole texts of a server: what two servers are compared on. No log-probabilities are asked for."""

    server: Server
    prompt: str
    tokens: int

    def draw(self, count: int) -> list[tuple[str]]:
        """Texts, each as a row of one string."""
        return [(each.text,) for each in completions(self.server, self.prompt, self.tokens, count)]


class Engine:
    """Draws rows of tokens, and knows the law of the likeliest after each prefix from the server's log-probabilities.

    Where the server gives ids (vLLM with `return_token_ids`), the law comes from one request a prefix, and draws ask
    for no log-probabilities, with which some releases do not speculate. Elsewhere each draw asks for them, and a
    prefix has the row that the first draw through it states.
    """

    def __init__(self, server: Server, prompt: str, tokens: int) -> None:
        self._server, self._prompt, self._tokens = server, prompt, tokens
        self._rows: dict[Ids, Row] = {}
        (first,) = server.complete(prompt, tokens=1, logprobs=TOP, **IDS)
        if not first.rows:
            raise RunError(
                f"audit: {server.address}: expected log-probabilities, got none; "
                "name a server that does not speculate by --against"
            )
        self._prompt_ids = first.prompt_ids if first.ids and first.names == first.ids else None

    @property
    def by_ids(self) -> bool:
        """Whether the server gives ids."""
        return self._prompt_ids is not None

    def draw(self, count: int) -> list[Ids]:
        """Rows of tokens.

        Raises: RunError if a completion has another number of tokens.
        """
        more = {"ignore_eos": True} if self.by_ids else {"logprobs": TOP}
        some = completions(self._server, self._prompt, self._tokens, count, **more, **IDS)
        return [self._row_of(each) for each in some]

    def target(self, prefix: Ids) -> Row:
        """The likeliest tokens after a prefix; None where no draw passed.

        Raises: RunError if the server gives no log-probabilities.
        """
        if prefix not in self._rows and self._prompt_ids is not None:
            ids = [*self._prompt_ids, *(x for x in prefix if isinstance(x, int))]
            (each,) = self._server.complete(ids, tokens=1, logprobs=TOP, **IDS)
            if not each.rows:
                raise RunError(f"audit: {self._server.address}: expected log-probabilities after {ids}, got none")
            self._rows[prefix] = each.rows[0]
        return self._rows.get(prefix)

    def _row_of(self, completion: Completion) -> Ids:
        names = completion.ids if self.by_ids else completion.names
        if names is None or (rows := () if self.by_ids else completion.rows) is None:
            raise RunError(f"audit: {self._server.address}: expected the tokens of each completion, got only a text")
        if len(names) != self._tokens or (not self.by_ids and len(rows) != self._tokens):
            raise RunError(
                f"audit: {self._server.address}: expected {self._tokens} tokens, got {len(names)}: {list(names)}; "
                "choose a prompt whose text goes on, or name a server that does not speculate by --against"
            )
        for end, row in enumerate(rows):
            self._rows.setdefault(tuple(names[:end]), row)
        return tuple(names)


IDS = {"return_token_ids": True, "return_tokens_as_token_ids": True}
"""Fields by which vLLM names ids; other servers ignore them."""

"""A small server of /v1/completions that draws from a known law, for tests."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
import numpy as np

NAMES = (" a", " b", " c", " d")
"""The strings of four tokens."""


def row(ids: tuple[int, ...], bias: float = 0.0) -> Any:
    """The law of the next of four tokens, by the one before; a bias goes from the second token to the first."""
    rows = ((0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4), (0.25, 0.25, 0.25, 0.25), (0.7, 0.1, 0.1, 0.1))
    return np.array(rows[ids[-1] if ids else 0]) + np.array([bias, -bias, 0.0, 0.0])


@attrs.define
class Stub:
    """What a stub does, and what it was asked."""

    bias: float = 0.0
    """The total variation that the second token is off by."""
    gives: str = "ids"
    """`ids` as vLLM, `named` as its releases without `return_token_ids`, `lists` as OpenAI, `objects` as llama.cpp, or
    `texts` alone."""
    one_at_a_time: bool = False
    reply: Any = None
    """Bytes, or a value, that is answered instead."""
    status: int = 200
    requests: list[Any] = attrs.Factory(list)
    paths: list[str] = attrs.Factory(list)
    generator: Any = attrs.Factory(lambda: np.random.default_rng(0))
    address: str = ""

    def answer(self, body: Mapping[str, Any]) -> Any:
        """The reply to a request."""
        given = body["prompt"]
        behind = tuple(given[1:]) if isinstance(given, list) else ()
        count = 1 if self.one_at_a_time else body["n"]
        return {"choices": [self._choice(body, behind) for _ in range(count)]}

    def _choice(self, body: Mapping[str, Any], behind: tuple[int, ...]) -> dict[str, Any]:
        ids: tuple[int, ...] = ()
        for place in range(body["max_tokens"]):
            law = row(behind + ids, self.bias if place else 0.0)
            ids = (*ids, int(self.generator.choice(4, p=law)))
        choice: dict[str, Any] = {"text": "".join(NAMES[x] for x in ids), "finish_reason": "length"}
        if "logprobs" in body and self.gives != "texts":
            choice["logprobs"] = self._logprobs(ids, [row(behind + ids[:end]) for end in range(len(ids))])
        if body.get("return_token_ids") and self.gives == "ids":
            choice |= {"token_ids": list(ids), "prompt_token_ids": [9, *behind]}
        return choice

    def _logprobs(self, ids: tuple[int, ...], rows: list[Any]) -> Any:
        names = [f"token_id:{x}" for x in range(4)] if self.gives in ("ids", "named") else NAMES
        if self.gives == "objects":
            tops = [[{"id": x, "token": NAMES[x], "logprob": math.log(p)} for x, p in enumerate(law)] for law in rows]
            return {"content": [{**top[x], "top_logprobs": top[:3]} for x, top in zip(ids, tops, strict=True)]}
        return {
            "tokens": [names[x] for x in ids],
            "top_logprobs": [dict(zip(names, np.log(law).tolist(), strict=True)) for law in rows],
        }


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    """A stub behind an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append(body)
            stub.paths.append(self.path)
            content = stub.answer(body) if stub.reply is None else stub.reply
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(stub.status)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    stub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

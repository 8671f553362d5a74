"""Completions of a server with the OpenAI-compatible address /v1/completions, such as vLLM, SGLang or llama.cpp.

One request at a time, without proxies, and without following redirects: only the address that was named is asked.
"""

from __future__ import annotations

import http.client
import json
import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from crtcore.errors import RunError, cut, in_one_line

TOP = 5
"""Ids with their log-probabilities that are asked for at each place: the most that every server gives."""
WHOLE = {
    "temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0,
    "presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0,
}  # fmt: skip
"""Fields with which all of the distribution is drawn from; a server or a model's own settings may have others."""
LARGEST = 2**26
"""Bytes of a reply that are read at most."""
PART = 2**16


@attrs.frozen
class Completion:
    """One completion; what a server does not give is None."""

    text: str
    ids: tuple[int, ...] | None
    prompt_ids: tuple[int, ...] | None
    names: tuple[int | str, ...] | None
    """Tokens, by id where the server names it, else as strings."""
    rows: tuple[dict[int | str, float], ...] | None
    """The likeliest tokens at each place, with their probabilities."""


def _http(_: Any, __: Any, address: str) -> None:
    """Raises: RunError if it is no address of a server."""
    try:
        parts = urlsplit(address)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment or parts.username:
        raise RunError(f"audit: expected an address such as http://localhost:8000, got {address!r}")


@attrs.frozen(kw_only=True)
class Server:
    """A server, and what all requests have in common."""

    address: str = attrs.field(validator=_http)
    model: str
    fields: Mapping[str, Any] = attrs.Factory(dict)
    """Fields of each request; None leaves one out."""
    timeout: float = 60.0
    """Seconds that a reply may take."""

    def complete(self, prompt: str | list[int], *, tokens: int, count: int = 1, **more: Any) -> list[Completion]:
        """Completions of a prompt; a server that gives one at a time gives fewer than asked for.

        Raises: RunError if there is no reply in time, or it is none that can be read.
        """
        asked = {"model": self.model, "prompt": prompt, "max_tokens": tokens, "n": count, "stream": False}
        body = {**asked, **WHOLE, **more, **self.fields}
        reply = self._post({name: value for name, value in body.items() if value is not None})
        choices = reply.get("choices") if isinstance(reply, dict) else None
        if not isinstance(choices, list) or not 1 <= len(choices) <= count:
            raise self._error(f"expected 1 to {count} choices, got {_short(reply)}")
        prompt_ids = reply.get("prompt_token_ids")
        return [self._completion(choice, prompt_ids) for choice in choices]

    def _post(self, body: Mapping[str, Any]) -> Any:
        parts = urlsplit(self.address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
        path = parts.path.rstrip("/").removesuffix("/v1") + "/v1/completions"
        until = time.monotonic() + self.timeout
        try:
            headers = {"Content-Type": "application/json", "Connection": "close"}
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            content = bytearray()
            while part := response.read1(PART):
                content += part
                if time.monotonic() > until:
                    raise TimeoutError
                if len(content) > LARGEST:
                    raise self._error(f"expected a reply of at most {LARGEST} bytes, got more")
        except TimeoutError:
            raise self._error(f"expected a reply within {self.timeout:g} s, got none") from None
        except (OSError, http.client.HTTPException) as error:
            raise self._error(f"expected a reply, got {in_one_line(error)}; is the server running?") from None
        finally:
            connection.close()
        if response.status != 200:
            text = content[:1000].decode(errors="replace")
            raise self._error(f"expected status 200, got {response.status} {response.reason}: {_short(text)}")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            text = content[:1000].decode(errors="replace")
            raise self._error(f"expected a reply in JSON, got {_short(text)}") from None

    def _completion(self, choice: Any, prompt_ids: Any) -> Completion:
        try:
            names, rows = _logprobs(choice.get("logprobs"))
            prompt_ids = choice.get("prompt_token_ids", prompt_ids)
            text = choice["text"]
            if not isinstance(text, str):
                raise TypeError
            return Completion(text, _ids(choice.get("token_ids")), _ids(prompt_ids), names, rows)
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
            raise self._error(f"expected a completion with a text and logprobs, got {_short(choice)}") from None

    def _error(self, text: str) -> RunError:
        return RunError(f"audit: {self.address}: {text}")


def _short(value: Any) -> str:
    return cut(f"{value!r}")[:200]


def _ids(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(type(each) is int for each in value):
        raise TypeError
    return tuple(value)


def _logprobs(given: Any) -> tuple[tuple[int | str, ...] | None, tuple[dict[int | str, float], ...] | None]:
    """Tokens and rows, in either of the forms that servers give: lists side by side, or one list of objects."""
    if given is None:
        return None, None
    if isinstance(content := given.get("content"), list):
        names = tuple(_name(each) for each in content)
        tops = [[(_name(top), top["logprob"]) for top in each["top_logprobs"]] for each in content]
    else:
        names = tuple(_token(each) for each in given["tokens"])
        tops = [[(_token(name), value) for name, value in (top or {}).items()] for top in given["top_logprobs"] or []]
    if len(names) != len(tops):
        return names, None
    return names, tuple(_row(top) for top in tops)


def _row(top: list[tuple[int | str, float]]) -> dict[int | str, float]:
    """The likeliest tokens. A server may add the one that was drawn, which would choose the cells by the samples."""
    likeliest = sorted(top, key=lambda pair: -pair[1])[:TOP]
    return {name: math.exp(value) for name, value in likeliest if not _broken(name)}


def _broken(name: int | str) -> bool:
    """Whether a string is part of a character: several tokens have it."""
    return isinstance(name, str) and "\ufffd" in name


def _name(token: Mapping[str, Any]) -> int | str:
    return token["id"] if type(token.get("id")) is int else _token(token["token"])


def _token(name: Any) -> int | str:
    if not isinstance(name, str):
        raise TypeError
    number = name.removeprefix("token_id:")
    return int(number) if number != name and number.isdecimal() else name

"""What `crt audit` does with an address: the sampled depth, of an engine behind HTTP."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from crt_cli.console import say
from crtcore.errors import RunError

if TYPE_CHECKING:
    from crt_verify.audit.sampled import SampleReport

P = ParamSpec("P")
T = TypeVar("T")

TOKENS, SAMPLES = 2, 20_000
OPTIONS = (
    click.option("--model", metavar="NAME", help="Of an address: the model that is asked."),
    click.option("--prompt", metavar="TEXT", help="Of an address: the text that is continued."),
    click.option(
        "--tokens", type=click.IntRange(1, 8), help=f"Of an address: tokens of a completion.  [default: {TOKENS}]"
    ),
    click.option(
        "--samples", type=click.IntRange(100), help=f"Of an address: completions that are drawn.  [default: {SAMPLES}]"
    ),
    click.option(
        "--against", metavar="URL", help="Of an address: another one, which does not speculate, to compare it with."
    ),
    click.option(
        "--set", "fields", multiple=True, metavar="KEY=VALUE",
        help="With --against: a field of each request, in JSON, such as temperature=0.7; null leaves one out.",
    ),
    click.option(
        "--timeout", type=click.FloatRange(0, 3600, min_open=True), default=None,
        help="Of an address: seconds that a reply may take.  [default: 60]",
    ),
)  # fmt: skip
NAMES = ("model", "prompt", "tokens", "samples", "against", "fields", "timeout")


def server_options(command: Callable[P, T]) -> Callable[..., T]:
    """Adds the options of an address; the command is given those that were used as the mapping `server`."""

    @functools.wraps(command)
    def wrapped(*args: Any, **words: Any) -> T:
        given = {name: words.pop(name) for name in NAMES}
        used = {name: value for name, value in given.items() if value not in (None, ())}
        return command(*args, server=used, **words)  # type: ignore[arg-type]

    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def is_address(text: str) -> bool:
    """Whether a server is named."""
    return text.startswith(("http://", "https://"))


def audit_server(address: str, given: Mapping[str, Any], seed: int) -> tuple[SampleReport, dict[str, Any]]:
    """The report of an engine behind HTTP, and the settings it was made with.

    Raises: RunError if an option is missing, or the server does not answer as it should.
    """
    from crt_verify.audit.sampled import audit_samples, compare_samples
    from crt_verify.audit.sampled.engine import Engine, Texts
    from crt_verify.audit.sampled.server import Server

    if missing := [f"--{name}" for name in ("model", "prompt") if name not in given]:
        raise RunError(f"audit: an address needs {' and '.join(missing)}")
    if "fields" in given and "against" not in given:
        raise RunError("audit: --set needs --against: log-probabilities are those of the whole distribution")
    tokens, samples, prompt = given.get("tokens", TOKENS), given.get("samples", SAMPLES), given["prompt"]
    common = {
        "model": given["model"],
        "fields": _fields(given.get("fields", ())),
        "timeout": given.get("timeout", 60.0),
    }
    server = Server(address=address, **common)
    settings = {"server": address, **given, "tokens": tokens, "samples": samples, "seed": seed}
    try:
        if "against" in given:
            other = Server(address=given["against"], **common)
            say(f"drawing {samples} completions of {tokens} tokens from {address} and from {other.address} ...")
            boxes = (Texts(each, prompt, tokens).draw for each in (server, other))
            return compare_samples(*boxes, samples=samples, seed=seed), settings
        engine = Engine(server, prompt, tokens)
        how = "ids, without log-probabilities" if engine.by_ids else "tokens with log-probabilities"
        say(f"drawing {samples} completions of {tokens} tokens from {address}, as {how} ...")
        report = audit_samples(engine.draw, engine.target, length=tokens, samples=samples, seed=seed)
        return report, {**settings, "drawn as": how}
    except ValueError as error:
        raise RunError(f"audit: {error}") from None


def _fields(words: tuple[str, ...]) -> dict[str, Any]:
    fields = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            fields[name] = json.loads(value)
        except (ValueError, RecursionError):
            equals = ""
        if not (name and equals):
            raise RunError(f"audit: --set: expected KEY=VALUE with a value in JSON, got {word!r}")
    return fields

"""Engines behind HTTP: a stub that draws from a known law, exact and planted, and replies that are none."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.append(str(Path(__file__).parent))
from stub import Stub, serving

from crt_verify.audit_command import audit

ASKED = ("--model", "m", "--prompt", "Once", "--samples", "2000")


def crt(*words: str) -> Result:
    return CliRunner().invoke(audit, list(words), catch_exceptions=False)


@pytest.mark.parametrize("gives", ["ids", "named", "lists", "objects"])
def test_an_exact_engine_shows_no_difference(gives: str) -> None:
    """2,000 samples at a rate of false alarms of 0.001; the stub's seed is fixed."""
    with serving(Stub(gives=gives)) as stub:
        result = crt(stub.address, *ASKED, "--json")

    report = json.loads(result.stdout)
    assert result.exit_code == 0, result.stderr
    assert report["exact"] is None
    assert report["depth"] == "sampled"
    assert report["samples"] == sum(cell[2] for cell in report["cells"]) == 2000
    # objects: three of four tokens are named, so that each prefix has a cell of others, but the first and least likely
    assert len(report["cells"]) == (13 if gives == "objects" else 16)


@pytest.mark.parametrize("gives", ["ids", "named", "lists", "objects"])
def test_a_planted_bias_is_reported(gives: str) -> None:
    """2,000 samples of a second token that is off by 0.09: a non-centrality of 2000 * 4 * 0.09 ** 2 = 65 or more."""
    with serving(Stub(bias=0.09, gives=gives)) as stub:
        result = crt(stub.address, *ASKED, "--json")

    assert result.exit_code == 1, result.stderr
    assert json.loads(result.stdout)["exact"] is False


def test_an_engine_that_gives_ids_draws_without_log_probabilities() -> None:
    with serving(Stub()) as stub:
        result = crt(stub.address, *ASKED)

    law = [body for body in stub.requests if "logprobs" in body]
    draws = [body for body in stub.requests if "logprobs" not in body]
    assert sorted(map(str, (body["prompt"] for body in law))) == ["Once", "[9, 0]", "[9, 1]", "[9, 2]", "[9, 3]", "[9]"]
    assert {body["max_tokens"] for body in law} == {1}
    assert len(draws) == 2000 / 50
    assert {(body["prompt"], body["max_tokens"], body["n"]) for body in draws} == {("Once", 2, 50)}
    assert all(body["temperature"] == body["top_p"] == 1 and body["top_k"] == -1 for body in stub.requests)
    assert all(body["repetition_penalty"] == body["repeat_penalty"] == 1 for body in stub.requests)
    assert set(stub.paths) == {"/v1/completions"}
    assert "as ids, without log-probabilities" in result.stderr
    assert result.stdout.startswith("no difference seen: 2,000 samples in 16 cells, p ")


def test_a_server_that_completes_once_a_request_is_asked_again() -> None:
    with serving(Stub(one_at_a_time=True, gives="lists")) as stub:
        result = crt(f"{stub.address}/v1/", "--model", "m", "--prompt", "Once", "--samples", "100", "--tokens", "1")

    assert result.exit_code == 0, result.stderr
    assert len(stub.requests) == 1 + 100
    assert set(stub.paths) == {"/v1/completions"}


@pytest.mark.parametrize(("bias", "status"), [(0.0, 0), (0.09, 1)])
def test_two_engines_are_compared_by_their_texts(bias: float, status: int) -> None:
    """2,000 samples each at a rate of false alarms of 0.001; seeds are fixed."""
    with serving(Stub(bias=bias, gives="texts")) as one, serving(Stub(gives="texts")) as other:
        other.generator = type(other.generator)(type(other.generator.bit_generator)(1))
        words = ("--against", other.address, "--set", "temperature=0.7", "--set", "min_p=null", "--json")
        result = crt(one.address, *ASKED, *words)

    assert result.exit_code == status, result.stderr
    report = json.loads(result.stdout)
    assert report["against"] is True
    assert report["exact"] is (False if status else None)
    assert len(report["cells"]) == 16
    for body in (*one.requests, *other.requests):
        assert body["temperature"] == 0.7
        assert "min_p" not in body
        assert "logprobs" not in body


def test_a_page_of_an_engine_is_written(tmp_path: Path) -> None:
    with serving(Stub(bias=0.09)) as stub:
        crt(stub.address, *ASKED, "--html", str(tmp_path / "page.html"))

    text = (tmp_path / "page.html").read_text()
    assert "not exact: 2,000 samples" in text
    assert "<svg" in text
    assert stub.address in text


PLAIN: dict[str, Any] = {"text": " a", "logprobs": {"tokens": [" a"], "top_logprobs": [{" a": -0.1}]}}


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        (b"<html>", 200, "expected a reply in JSON, got '<html>'"),
        (b"[" * 100_000, 200, "expected a reply in JSON"),
        (b"\xff\xfe", 200, "expected a reply in JSON"),
        (b"out of memory", 500, "expected status 200, got 500 Internal Server Error: 'out of memory'"),
        (b"", 302, "expected status 200, got 302 Found"),
        ([], 200, "expected 1 to 1 choices, got []"),
        ({"choices": []}, 200, "expected 1 to 1 choices"),
        ({"choices": [PLAIN, PLAIN]}, 200, "expected 1 to 1 choices"),
        ({"choices": [3]}, 200, "expected a completion with a text and logprobs, got 3"),
        ({"choices": [{"text": None}]}, 200, "expected a completion with a text and logprobs"),
        ({"choices": [{"text": " a"}]}, 200, "expected log-probabilities, got none; name a server"),
        ({"choices": [{**PLAIN, "logprobs": {"tokens": [" a"]}}]}, 200, "expected a completion with a text"),
        ({"choices": [{**PLAIN, "logprobs": {"tokens": [" a"], "top_logprobs": None}}]}, 200, "log-probabilities"),
        ({"choices": [{**PLAIN, "logprobs": {"tokens": [3], "top_logprobs": [{}]}}]}, 200, "expected a completion"),
        (
            {"choices": [{**PLAIN, "logprobs": {"tokens": [" a"], "top_logprobs": [{" a": "x"}]}}]},
            200,
            "expected a completion",
        ),
        (
            {"choices": [{**PLAIN, "logprobs": {"tokens": [" a"], "top_logprobs": [{" a": 900}]}}]},
            200,
            "expected a completion",
        ),
        ({"choices": [{**PLAIN, "token_ids": ["a"]}]}, 200, "expected a completion"),
        ({"choices": [PLAIN]}, 200, "expected 2 tokens, got 1: [' a']; choose a prompt whose text goes on"),
    ],
)
def test_a_bad_reply_is_one_line(reply: Any, status: int, reason: str) -> None:
    with serving(Stub(reply=reply, status=status)) as stub:
        result = crt(stub.address, "--model", "m", "--prompt", "Once", "--samples", "100")

    assert result.exit_code == 2
    assert reason in result.stderr.splitlines()[-1]
    assert stub.address in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.output


def test_a_refused_connection_is_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening
        result = crt(f"http://127.0.0.1:{free.getsockname()[1]}", "--model", "m", "--prompt", "x", "--json")

    assert result.exit_code == 2
    assert "ConnectionRefusedError" in json.loads(result.stdout)["error"]
    assert "is the server running?" in result.stderr


@pytest.mark.parametrize("dripping", [False, True])
def test_a_server_that_does_not_answer_in_time_is_one_line(dripping: bool) -> None:
    def drip() -> None:
        with contextlib.suppress(OSError), silent.accept()[0] as peer:  # until the other side hangs up
            peer.recv(2**16)
            peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            while True:
                peer.sendall(b" ")
                time.sleep(0.02)

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        peer = threading.Thread(target=drip, daemon=True)
        if dripping:
            peer.start()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = crt(address, "--model", "m", "--prompt", "x", "--timeout", "0.5")
        if dripping:
            peer.join(10)

    assert result.exit_code == 2
    assert "expected a reply within 0.5 s, got none" in result.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["http://127.0.0.1:9"], "an address needs --model and --prompt"),
        (["http://127.0.0.1:9", "--model", "m"], "an address needs --prompt"),
        (["http://", *ASKED], "expected an address such as http://localhost:8000, got 'http://'"),
        (["http://a:port", *ASKED], "expected an address such as"),
        (["http://a?b=c", *ASKED], "expected an address such as"),
        (["http://u:secret@a", *ASKED], "expected an address such as"),
        (
            ["http://a", *ASKED, "--against", "ftp://b"],
            "expected an address such as http://localhost:8000, got 'ftp://b'",
        ),
        (["http://a", *ASKED, "--set", "temperature=2"], "--set needs --against"),
        (
            ["http://a", *ASKED, "--against", "http://b", "--set", "seed"],
            "expected KEY=VALUE with a value in JSON, got",
        ),
        (["http://a", *ASKED, "--against", "http://b", "--set", "k=x"], "expected KEY=VALUE with a value in JSON, got"),
        (["sd", "--model", "m"], "--model: only with an address"),
        (["sd", "--set", "a=1"], "--set: only with an address"),
        (["sd", "--html", "/no/such/folder/page.html"], "--html: expected a file in a folder that is there"),
    ],
)
def test_what_cannot_be_asked_is_one_line(words: list[str], reason: str) -> None:
    result = crt(*words)

    assert result.exit_code == 2
    assert reason in result.stderr
    assert "Traceback" not in result.output

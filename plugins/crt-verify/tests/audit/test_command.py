"""`crt audit`: a decoder by name, a function of one's own, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from crt_verify.audit_command import audit

RIGHT = """
def verify(tree, p, q, rng):
    (child,) = tree.children(0)
    x = tree.token(child)
    if rng.accept(p[0][x] / q[0][x]):
        return [x]
    return [rng.choice([max(a - b, 0) for a, b in zip(p[0], q[0])])]


def wrong(tree, p, q, rng):
    (child,) = tree.children(0)
    x = tree.token(child)
    return [x] if rng.accept(p[0][x] / q[0][x]) else [rng.choice(p[0])]

def short(tree, p, q):
    return [0]


def ends(tree, p, q, rng):
    raise SystemExit(0)


def raises(tree, p, q, rng):
    raise RuntimeError("out of order")

nothing = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the working directory."""
    monkeypatch.chdir(tmp_path)
    name = f"rule_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(RIGHT)
    (tmp_path / f"{name}_leaves.py").write_text("raise SystemExit(0)\n")
    return name


def test_a_decoder_is_audited_by_name() -> None:
    result = CliRunner().invoke(audit, ["sd", "--trials", "4"])

    assert result.exit_code == 0
    assert "exact: 4 cases" in result.stdout


def test_a_function_of_ones_own_is_audited(module: str) -> None:
    result = CliRunner().invoke(audit, [f"{module}:verify", "--trees", "chain:1", "--trials", "8", "--json"])

    assert result.exit_code == 0
    assert json.loads(result.stdout)["exact"] is True
    assert str(Path.cwd()) not in sys.path


def test_a_verifier_that_is_not_exact_ends_with_1(module: str) -> None:
    result = CliRunner().invoke(audit, [f"{module}:wrong", "--trees", "chain:1", "--trials", "8", "--json"])

    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert report["case"]["distance"] > 0.01
    assert len(report["case"]["rows"]) in (4, 9)  # two ids of two or three


@pytest.mark.parametrize(("name", "cause"), [("raises", "RuntimeError: out of order"), ("ends", "SystemExit: 0")])
def test_a_verifier_that_raises_is_not_exact(module: str, name: str, cause: str) -> None:
    result = CliRunner().invoke(audit, [f"{module}:{name}", "--trials", "2"])

    assert result.exit_code == 1
    assert f"cause: the verifier raises {cause}" in result.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nobody"], "nobody"),
        (["ancestral"], "expected a decoder by draft trees, as 'sd' is, or MODULE:FUNCTION, got 'ancestral'"),
        (["no_module:verify"], "expected a function no_module:verify, got"),
        (["{module}:absent"], "got"),
        (["{module}:"], "expected a function"),
        ([":verify"], "expected a function :verify, got"),
        (["{module}_leaves:verify"], "got SystemExit"),
        (["{module}:nothing"], "got 3"),
        (["{module}:short"], "{module}:short to take (tree, p, q, rng), got (tree, p, q)"),
        (["sd", "--html", "absent/page.html"], "--html: expected a file in a folder that is there"),
        (["sd", "--model", "m"], "--model: only with an address"),
        (["http://127.0.0.1:9/v1"], "an address needs --model and --prompt"),
        (["http://127.0.0.1:9/v1", "--model", "m", "--prompt", "a", "--set", "b"], "--set needs --against"),
        (["sd", "--trees", "bush:3"], "--trees: expected such as chain:2, paths:2x2 or branching:3,1, got 'bush:3'"),
        (["sd", "--trees", "chain:x"], "got 'chain:x'"),
        (["sd", "--trees", "chain:0"], "got 'chain:0'"),
    ],
)
def test_what_cannot_be_audited_is_one_line(module: str, words: list[str], reason: str) -> None:
    result = CliRunner().invoke(audit, [word.format(module=module) for word in words])

    assert result.exit_code == 2
    assert reason.format(module=module) in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_error_is_an_answer_too_with_json(module: str) -> None:
    result = CliRunner().invoke(audit, [f"{module}:short", "--json"])

    assert result.exit_code == 2
    assert "to take (tree, p, q, rng), got (tree, p, q)" in json.loads(result.stdout)["error"]

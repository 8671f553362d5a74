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

nothing = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the working directory."""
    monkeypatch.chdir(tmp_path)
    name = f"rule_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(RIGHT)
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


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nobody"], "nobody"),
        (["ancestral"], "expected a decoder by draft trees, as 'sd' is, or MODULE:FUNCTION, got 'ancestral'"),
        (["no_module:verify"], "expected a function no_module:verify, got"),
        (["{module}:absent"], "got"),
        (["{module}:nothing"], "got 3"),
        (["sd", "--trees", "bush:3"], "--trees: expected such as chain:2, paths:2x2 or branching:3,1, got 'bush:3'"),
        (["sd", "--trees", "chain:x"], "got 'chain:x'"),
        (["sd", "--trees", "chain:0"], "got 'chain:0'"),
    ],
)
def test_what_cannot_be_audited_is_one_line(module: str, words: list[str], reason: str) -> None:
    result = CliRunner().invoke(audit, [word.format(module=module) for word in words])

    assert result.exit_code == 1
    assert reason in result.stderr
    assert "Traceback" not in result.output

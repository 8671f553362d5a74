from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import click
import filelock
import pytest
from click.testing import CliRunner

from crt_run.cli.runs import all_runs
from crt_run.present.export import as_csv, markdown
from crt_run.runs.execute import execute
from crt_run.runs.listing import _condition, _settings, differing, list_runs, remove, unused_stages
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Plan

Planned = Callable[..., Plan]


@pytest.fixture
def three(toy_plan: Planned, runs: Path) -> list[Plan]:
    """Two runs of a name that differ in the prior, so that they share the tokenizer, and one of another name."""
    plans = [toy_plan(), toy_plan("prior.order=0"), toy_plan("seed=1", "name=other")]
    for plan in plans:
        execute(plan, runs)
    return plans


def crt_runs(*words: str | Path, text: str | None = None) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `crt runs`."""
    ended = CliRunner().invoke(all_runs, [str(word) for word in words], input=text, standalone_mode=False)
    status = ended.exception.code if isinstance(ended.exception, SystemExit) else 0
    if ended.exception and not isinstance(ended.exception, SystemExit | click.ClickException):
        raise ended.exception
    return int(status or 0), ended.stdout, ended.stderr


def test_runs_are_listed_and_chosen(three: list[Plan], runs: Path) -> None:
    def chosen(*patterns: str, where: tuple[str, ...] = ()) -> list[str]:
        listed, broken = list_runs(runs, patterns, where)
        assert broken == []
        return [run.hash for run in listed]

    hashes = [plan.hash for plan in three]
    assert chosen() == hashes  # in the order in which they were started
    assert chosen("toy") == hashes[:2]
    assert chosen("oth*", f"toy/{hashes[1]}") == hashes[1:]
    assert chosen(where=("prior.order=0",)) == [hashes[1]]
    assert chosen(where=("prior.use=table", "seed=1")) == [hashes[2]]
    assert chosen(where=("prior.bogus=1",)) == []
    with pytest.raises(RunError, match="--where seed: expected PATH=VALUE"):
        list_runs(runs, (), ("seed",))


@pytest.mark.parametrize(
    ("value", "written", "others"),
    [
        ("/data/x", ["/data/x", '"/data/x"'], ["/data/y"]),
        ("two words", ["two words", '"two words"'], ["two"]),
        ("8", ['"8"', "8"], ["9"]),
        (0.001, ["0.001", "1e-3"], ["0.01"]),
        (True, ["true"], ["1"]),
        ([4, 4], ["[4, 4]", "[4,4]"], ["[4]"]),
    ],
)
def test_a_condition_is_a_value_as_toml_has_it_or_a_text(value: object, written: list[str], others: list[str]) -> None:
    (stored,) = dict(_settings({"there": value})).values()

    assert all(stored in _condition(f"there={text}")[1] for text in written)
    assert not any(stored in _condition(f"there={text}")[1] for text in others)


def test_a_table_has_80_columns_and_other_formats_have_all_numbers(
    three: list[Plan], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    status, table, _ = crt_runs("list", "--runs", runs)
    _, text, _ = crt_runs("list", "--runs", runs, "--format", "csv")
    _, document, _ = crt_runs("list", "--runs", runs, "--json")

    assert status == 0
    assert max(map(len, table.splitlines())) <= 80
    assert all(f"{plan.name}/{plan.hash}" in table for plan in three)
    rows = list(csv.DictReader(io.StringIO(text)))
    values = json.loads(document)["runs"]
    assert [row["status"] for row in rows] == ["finished"] * 3
    for row, run in zip(rows, values, strict=True):
        assert float(row["id_code_length_bits"]) == run["numbers"]["id_code_length_bits"]["value"]


def test_compared_runs_show_what_differs_and_their_numbers(three: list[Plan], runs: Path) -> None:
    first, second = (f"toy/{plan.hash}" for plan in three[:2])

    _, text, _ = crt_runs("compare", first, second, "--runs", runs, "--format", "csv")
    _, table, _ = crt_runs("compare", first, second, "--runs", runs, "--format", "markdown")

    heading, setting, *numbers = list(csv.reader(io.StringIO(text)))
    assert heading == ["", first, second]
    assert setting == ["prior.order", "1", "0"]
    assert numbers[0][0] == "two_part_code_length_bits (bits)"
    assert "| prior.order | 1 | 0 |" in table.splitlines()
    listed, _ = list_runs(runs)
    assert differing(listed[1:]) == {"name": ["toy", "other"], "seed": ["0", "1"], "prior.order": ["0", "1"]}


def test_removing_asks_first_and_keeps_what_others_use(three: list[Plan], runs: Path) -> None:
    name = f"toy/{three[0].hash}"

    status, _, errors = crt_runs("remove", name, "--runs", runs, text="n\n")
    assert (status, "nothing was removed" in errors) == (1, True)
    assert len(list_runs(runs)[0]) == 3

    status, text, _ = crt_runs("remove", name, "--runs", runs, "--stages", "--yes")
    assert (status, text) == (0, "removed 1 run(s) and 1 stage(s)\n")  # the prior alone: both use the tokenizer
    assert [run.hash for run in list_runs(runs)[0]] == [plan.hash for plan in three[1:]]
    assert unused_stages(runs) == []
    assert not (runs / "toy" / f"{three[0].hash}.lock").exists()


def test_stages_of_a_stopped_run_stay_and_go_with_it(toy_plan: Planned, runs: Path) -> None:
    """A second run shares the tokenizer of the first, and is stopped in its own prior."""
    done, stopped = toy_plan(), toy_plan("prior.order=0")
    execute(done, runs)
    with pytest.raises(Stopped):
        execute(stopped, runs, stopping=lambda: len(priors(runs)) == 2)
    with pytest.raises(Stopped):  # again, before it comes to a stage
        execute(stopped, runs, stopping=lambda: True)

    crt_runs("remove", f"toy/{done.hash}", "--runs", runs, "--stages", "--yes")
    assert [path.parent.parent.name for path in sorted(runs.glob("stages/*/*/code.json"))] == ["prior", "tokenizer"]
    assert unused_stages(runs) == []

    _, text, _ = crt_runs("remove", f"toy/{stopped.hash}", "--runs", runs, "--stages", "--yes")
    assert text == "removed 1 run(s) and 2 stage(s)\n"


def priors(runs: Path) -> list[Path]:
    """The folders of priors."""
    return [path for path in runs.glob("stages/prior/*") if path.is_dir()]


def test_what_is_no_run_is_never_removed(three: list[Plan], runs: Path, tmp_path: Path) -> None:
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "run.json").write_text("{}")
    renamed = (runs / "toy" / three[0].hash).rename(runs / "toy" / "renamed")
    link = runs / "toy" / "link"
    link.symlink_to(runs / "toy" / three[1].hash)

    for folder in (other, renamed, link, runs, runs / "toy", tmp_path):
        with pytest.raises(RunError):
            remove(folder)
    for word in (other, renamed, runs, "..", "toy/..", "stages", "/"):
        status, *_ = crt_runs("remove", word, "--runs", runs, "--yes")
        assert status == 1

    assert (other / "run.json").is_file()
    assert (renamed / "result.json").is_file()
    assert (link / "result.json").is_file()


def test_a_run_that_a_process_works_in_is_not_removed(three: list[Plan], runs: Path) -> None:
    folder = runs / "toy" / three[0].hash

    with filelock.FileLock(folder.with_suffix(".lock")), pytest.raises(RunError, match="a process works in it"):
        remove(folder)

    assert (folder / "result.json").is_file()


def test_a_damaged_run_is_named_and_the_others_are_listed(three: list[Plan], runs: Path) -> None:
    (runs / "toy" / three[0].hash / "run.json").write_text("{")

    listed, broken = list_runs(runs)

    assert [run.hash for run in listed] == [plan.hash for plan in three[1:]]
    assert len(broken) == 1
    assert three[0].hash in broken[0]


def test_text_ends_no_cell_and_no_line() -> None:
    rows = [("a", "b"), ("x|y", 'say "hi",\nnow')]

    assert markdown(rows) == '| a | b |\n| --- | --- |\n| x\\|y | say "hi", now |'
    assert list(csv.reader(io.StringIO(as_csv(rows)))) == [["a", "b"], ["x|y", 'say "hi",\nnow']]

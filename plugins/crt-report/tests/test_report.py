"""Reports: one self-contained page, figures, and documents for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from crt_basics.decoders.ancestral import AncestralDecoder
from crt_cli.commands import main
from crt_report import page
from crt_run.present import tables
from crt_run.runs.ended import hashes
from crt_run.runs.execute import execute
from crt_run.runs.files import dumped
from crt_run.runs.records import ABOUT, FORMAT, RESULT, read_json, seal
from crt_run.runs.run import address
from crt_run.sweeps.summary import gather
from crt_run.sweeps.sweep import Finished, run
from crtcore.compose.study import Study
from crtcore.errors import RunError
from crtcore.registry import Registry

Describe = Callable[..., Study]
PNG = b"\x89PNG\r\n\x1a\n"


def crt(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def single(toy: Describe, runs: Path) -> Path:
    """The folder of a finished run."""
    plan = toy("metric=[{use = 'code-length'}, {use = 'frechet'}]").points[0].plan
    execute(plan, runs)
    return address(plan, runs)


@pytest.fixture
def swept(toy: Describe, runs: Path) -> Path:
    """The folder of a sweep of two arms, one of whose points failed."""
    study = toy(
        "sweep.arms={baseline = {}, other = {'prior.order' = 0}}",
        "sweep.arms.lost={'training.prior.optimizer.learning_rate' = 1e300}",
        "sweep.claim=[{number = 'codes_used', arm = 'other'}]",
        "sweep.seed=[0, 1]",
    )
    return gather(study, runs, run(study, runs, lambda index, event: None))


def change(folder: Path, result: dict[str, Any]) -> None:
    """Gives a run another result, as if it had ended with it."""
    content = dumped(result)
    (folder / RESULT).write_bytes(content)
    seal(folder / ABOUT, {**read_json(folder / ABOUT), "files": hashes(folder, {RESULT: content})})


def own(text: str) -> None:
    """Nothing on the page is fetched from elsewhere."""
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", text)
    assert not re.findall(r"@import|url\(|<script|<link", text)


def test_a_run_s_page_is_self_contained_and_shows_every_number(single: Path) -> None:
    made = page.render(single).path

    text = made.read_text()
    own(text)
    result = json.loads((single / "result.json").read_bytes())
    for name, number in result["numbers"].items():
        assert f"<td>{tables.label(name)}</td><td>{tables.short(number['value'])}</td>" in text
    assert "learning_rate" in text  # of the spec


@pytest.mark.parametrize("name", ["samples.png", "curves.png"])
def test_a_run_s_figures_are_images(single: Path, name: str) -> None:
    page.render(single)

    drawn = (single / name).read_bytes()
    assert drawn.startswith(PNG)
    assert len(drawn) > 2000


def test_a_sweep_s_page_shows_claims_and_failed_points(swept: Path) -> None:
    text = page.render(swept).path.read_text()

    own(text)
    assert "codes used of other lower than that of baseline: does not hold" in text
    assert text.count("no result: number &#39;") == 2


def test_a_sweep_s_figures_are_images(swept: Path) -> None:
    page.render(swept)

    drawn = sorted(path.name for path in swept.glob("*.png"))
    assert drawn == ["curves.png", "samples-baseline.png", "samples-other.png", "trade-off.png"]
    assert all(path.read_bytes().startswith(PNG) for path in swept.glob("*.png"))


def test_arms_with_other_numbers_are_distinguished(toy: Describe, runs: Path) -> None:
    study = toy("sweep.arms={baseline = {}, bare = {metric = []}}")
    folder = gather(study, runs, run(study, runs, lambda index, event: None))

    text = page.render(folder).path.read_text()

    assert "not measured" in text


def test_names_are_escaped(single: Path) -> None:
    result = json.loads((single / "result.json").read_bytes())
    evil = "<script>alert(1)</script>"
    result["numbers"] = {evil: {"value": 1.0, "unit": evil, "n": 1}}
    (single / "spec.toml").write_text(f'name = "{evil}"')
    change(single, {**result, "name": evil})

    text = page.render(single).path.read_text()

    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_report_of_a_run_is_printed_again(single: Path) -> None:
    result = crt("report", single)

    assert result.exit_code == 0
    assert f"report: {single / 'report.html'}" in result.stdout
    assert "id code length" in result.stdout


def test_a_report_of_a_sweep_is_printed_again(swept: Path) -> None:
    result = crt("report", swept)

    assert result.exit_code == 0
    assert "claim: codes used of other lower than that of baseline: does not hold" in result.stdout


def test_a_sweep_as_json_has_all_of_each_number(swept: Path) -> None:
    result = crt("report", swept, "--json")

    output: Any = json.loads(result.stdout)
    assert list(output["arms"]) == ["baseline", "other"]
    for numbers in output["arms"].values():
        for number in numbers.values():
            assert number.keys() == {"value", "low", "high", "n", "unit", "difference"}
            assert number["n"] == 2
    assert output["arms"]["other"]["id_code_length_bits"]["difference"].keys() == {
        "value", "low", "high", "n", "unit", "same_sign"
    }  # fmt: skip
    assert output["report"] == str(swept / "report.html")


def test_a_run_as_json_is_its_result(single: Path) -> None:
    output: Any = json.loads(crt("report", single, "--json").stdout)

    assert output == {
        **json.loads((single / "result.json").read_bytes()),
        "folder": str(single),
        "report": str(single / "report.html"),
    }


# Points


@pytest.fixture
def scanned(scan: Describe, runs: Path) -> Path:
    """The folder of a run that leaves points and no other number."""
    plan = scan().points[0].plan
    execute(plan, runs)
    return address(plan, runs)


@pytest.fixture
def spread(scan: Describe, runs: Path) -> Path:
    """The folder of a sweep of two arms whose runs leave points."""
    study = scan("sweep.arms={baseline = {}, other = {'experiment.faster' = 5.0}}", "sweep.seed=[0, 2]")
    return gather(study, runs, run(study, runs, lambda index, event: None))


def cells(text: str, first: str) -> list[str]:
    """The cells of each row of a page's table that begins so."""
    rows = [re.sub(r"\s+", " ", row) for row in re.findall(rf"<tr><td>{first}</td>.*?</tr>", text, re.DOTALL)]
    return ["|".join(re.findall("<td>(.*?) ?</td>", row)) for row in rows]


def test_a_run_s_page_shows_every_point(scanned: Path) -> None:
    text = page.render(scanned).path.read_text()

    own(text)
    assert cells(text, "a") == [
        "a|2|0.5|20.00 <br><small>19.75 to 20.25</small>|1.00",
        "a|4|0.5|40.00 <br><small>39.75 to 40.25</small>|2.00",
    ]
    assert "speed, accepted across budget" in text
    assert (scanned / "points-1.png").read_bytes().startswith(PNG)


def test_a_sweep_s_page_shows_every_point_with_its_arm_and_seeds(spread: Path) -> None:
    text = page.render(spread).path.read_text()

    # mean 26 of 25 and 27, half of the interval: t of one degree of freedom 12.7062 times 1
    assert [row for row in cells(text, "other") if row.startswith("other|a")] == [
        "other|a|2|0.5|26.00 <br><small>13.29 to 38.71</small>|1.00|2",
        "other|a|4|0.5|46.00 <br><small>33.29 to 58.71</small>|2.00|2",
    ]
    assert (spread / "points-1.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("folder", ["scanned", "spread"])
def test_points_of_an_experiment_that_is_not_installed_are_a_table(
    folder: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path: Path = request.getfixturevalue(folder)
    monkeypatch.setattr(page, "discover", lambda: Registry.of([]))

    text = page.render(path).path.read_text()

    assert "Not drawn: no experiment is called &#39;scan&#39;" in text
    assert "<td>temperature</td>" not in text
    assert "<th>temperature</th>" in text
    assert not list(path.glob("points-*.png"))


def test_a_figure_of_what_was_not_measured_is_named(scanned: Path) -> None:
    result = json.loads((scanned / "result.json").read_bytes())
    for point in result["points"]:
        del point["labels"]["temperature"]
    change(scanned, result)

    text = page.render(scanned).path.read_text()

    assert "Not drawn: speed, accepted across budget, as the points have other labels or numbers" in text


@pytest.mark.parametrize(
    ("folder", "row"),
    [
        ("scanned", ["b", "4", "0.5", "41.00 ± 0.25", "2.00"]),
        ("spread", ["baseline", "b", "4", "0.5", "42.00 ± 12.71", "2.00", "2"]),
    ],
)
def test_points_are_printed_as_a_table(folder: str, row: list[str], request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(folder)

    result = crt("report", path)

    assert result.exit_code == 0
    assert row in [[cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines()]


@pytest.mark.parametrize(("text", "file"), [("", "result.json"), ("sweep.seed=[0, 1]", "sweep.json")])
def test_points_of_runs_and_sweeps_are_reported_as_json(
    scan: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch, text: str, file: str
) -> None:
    study = scan(*filter(None, [text]))
    monkeypatch.setattr("crtcore.compose.plan.load", lambda spec, registry, overrides: study)
    monkeypatch.setattr("sys.argv", ["/anywhere/crt", "run", "scan.toml", "--json"])

    output = json.loads(crt("run", "scan.toml", "--runs", runs, "--json").stdout)

    assert output["command"] == "crt run scan.toml --json"
    assert len(output["points"]) == 4
    assert output["points"] == json.loads((Path(output["folder"]) / file).read_bytes())["points"]


# What is no report


@pytest.mark.parametrize("name", ["nowhere", "empty", "file", "half", "bad"])
def test_a_folder_that_is_neither_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text")
    seal(tmp_path / "half" / "run.json", {})
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "result.json").write_text("{")

    result = crt("report", tmp_path / name)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"{tmp_path / name}")
    assert "expected" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("folder", ["single", "swept"])
def test_a_folder_of_an_older_format_is_one_clear_error(folder: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(folder)
    file = path / ("run.json" if folder == "single" else "sweep.json")
    values = json.loads(file.read_bytes())
    del values["format"]
    file.write_bytes(dumped(values))

    result = crt("report", path)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"{file}: expected format {FORMAT}, got none, which this version of crtcore does not read; "
        f"move {path.parent} with all its runs away, or choose another folder with --runs, "
        "and run the spec file again\n"
    )
    assert not (path / "report.html").exists()


@pytest.mark.parametrize("name", ["run.json", "spec.toml"])
def test_a_run_that_lost_a_file_is_one_clear_error(single: Path, name: str) -> None:
    (single / name).unlink()

    result = crt("report", single)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"{single / name}: expected ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["samples/COMMITTED", "samples/tensors.safetensors", "records.jsonl", "run.json"])
def test_a_run_with_a_damaged_file_is_named_and_the_others_are_drawn(swept: Path, name: str) -> None:
    runs = [run["folder"] for run in json.loads((swept / "sweep.json").read_bytes())["runs"] if run["result"]]
    file = swept.parent.parent / runs[0] / name
    file.write_bytes(file.read_bytes()[:-1])

    result = crt("report", swept, "--json")

    output = json.loads(result.stdout)
    assert result.exit_code == 1
    assert output["error"].startswith(f"baseline, seed 0: {file}: ")
    assert list(output["arms"]) == ["baseline", "other"]
    text = (swept / "report.html").read_text()
    assert f"Left out of samples and learning curves: baseline, seed 0: {file}" in text
    assert (swept / "samples-baseline.png").exists()  # of the other seed


@pytest.mark.parametrize("name", ["sweep.json", "spec.toml"])
def test_a_sweep_of_another_study_is_refused(toy: Describe, runs: Path, name: str) -> None:
    one, other = (
        gather(study, runs, run(study, runs, lambda index, event: None))
        for study in (toy("sweep.seed=[0, 1]"), toy("sweep.seed=[0, 2]"))
    )
    (one / name).write_bytes((other / name).read_bytes())

    result = crt("report", one)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"{one / 'spec.toml'}: the file was damaged or replaced, expected SHA-256 '")


def test_a_sweep_in_the_folder_of_a_run_is_refused(single: Path, toy: Describe, runs: Path) -> None:
    study = toy("sweep.seed=[0, 1]")
    swept = gather(study, runs, run(study, runs, lambda index, event: None))
    (single / "sweep.json").write_bytes((swept / "sweep.json").read_bytes())

    result = crt("report", single)

    assert result.exit_code == 1
    assert result.stdout == ""


def test_a_sweep_without_any_result_is_one_clear_error(toy: Describe, runs: Path) -> None:
    study = toy("sweep.seed=[0, 1]")
    folder = gather(study, runs, Finished({}, {0: "broke", 1: "broke"}))

    with pytest.raises(RunError, match="expected a sweep with a result, got none"):
        page.render(folder)


@pytest.mark.parametrize(
    ("value", "text"),
    [(172.34, "172.3"), (12345.6, "12346"), (0.5, "0.500"), (0.000123, "0.000123"), (0.0, "0.000"), (-2.5, "-2.50")],
)
def test_a_number_is_shown_with_what_it_has(value: float, text: str) -> None:
    assert tables.short(value) == text


@pytest.mark.parametrize(
    ("backends", "expected"),
    [
        ({"prior": ["a"], "decoder": ["b"]}, {"prior": ["a"], "decoder": ["b"]}),
        ({"prior": ["a"], "decoder": ["b"], "draft": ["a"]}, {"prior, draft": ["a"], "decoder": ["b"]}),
        ({"prior": ["a"], "draft": ["a", "b"]}, {"prior": ["a"], "draft": ["a", "b"]}),
        ({name: ["a"] for name in "vwxyz"}, {"v and 4 more": ["a"]}),
    ],
    ids=["none", "two", "another value", "many"],
)
def test_backends_that_are_the_same_share_one_line(
    backends: dict[str, list[str]], expected: dict[str, list[str]]
) -> None:
    assert tables.together(backends) == expected


def test_what_a_decoder_ran_on_is_printed_and_on_the_page(
    toy: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AncestralDecoder, "backend", "kernels (by hand)", raising=False)
    plan = toy().points[0].plan
    execute(plan, runs)

    result = crt("report", address(plan, runs))

    assert "ran on: decoder: kernels (by hand)\n" in result.stdout
    row = '<tr><td>decoder</td><td style="text-align: left"><code>kernels (by hand)</code></td></tr>'
    assert row in (address(plan, runs) / "report.html").read_text()


def test_a_sweep_with_a_failed_point_is_one_document_and_status_1(
    toy: Describe, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = toy(
        "sweep.arms={baseline = {}, lost = {'training.prior.optimizer.learning_rate' = 1e300}}", "sweep.seed=[0, 1]"
    )
    monkeypatch.setattr("crtcore.compose.plan.load", lambda spec, registry, overrides: study)

    result = crt("run", "toy.toml", "--runs", runs, "--json")

    output = json.loads(result.stdout)
    assert result.exit_code == 1
    assert output["error"].startswith("lost, seed 0: number 'two_part_code_length_bits': expected a finite value")
    assert list(output["arms"]) == ["baseline"]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["result.json", "sweep.json"])
def test_a_file_of_that_name_from_elsewhere_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")

    result = crt("report", tmp_path)

    assert result.exit_code == 1
    if name == "result.json":
        assert result.stderr.startswith(f"{tmp_path / 'run.json'}: expected a file of a run, got none; ")
    else:
        assert result.stderr.startswith(f"{tmp_path / name}: expected a JSON file of a run, got '{{}}'; ")


def test_a_place_that_cannot_be_looked_at_is_one_clear_error(tmp_path: Path) -> None:
    result = crt("report", tmp_path / ("x" * 300))

    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.stderr.startswith("cannot read ")

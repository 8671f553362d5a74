"""Kept results of GPU benches are a GPU's, of the kernels and scripts as they are; one that lacks is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from crt_verify.kernels.build import source_hash

sys.path.append(str(Path(__file__).resolve().parents[4] / "bench" / "gpu"))
from kept import script_hash

BENCH = Path(__file__).resolve().parents[4] / "bench"
AGAIN = "`python3 bench/gpu/day.py` on a machine with a GPU makes it again"


def benches(bench: Path) -> list[str]:
    """The names of all that keep a result."""
    return sorted(path.stem for path in bench.glob("gpu/*.py") if "from kept import keep\n" in path.read_text())


def wrong(bench: Path, name: str) -> str | None:
    """What is wrong with a result, or None.

    Raises: Skipped, which a run of the tests lists, if there is none.
    """
    path = bench / "results" / f"gpu-{name}.json"
    if not path.exists():
        pytest.skip(f"no GPU result of {name} is kept: bench/gpu/day.py has not run it on a GPU")
    result: dict[str, Any] = json.loads(path.read_text())
    if result["rehearsed"]:
        return f"{name} was only rehearsed, on {result['device']}"
    stale = [part for part, value in made_by(bench, name).items() if result[part] != value]
    return f"{name} is stale: made with another {' and another '.join(stale)}; {AGAIN}" if stale else None


def made_by(bench: Path, name: str) -> dict[str, str]:
    """What would make a result now."""
    return {"source": source_hash(), "script": script_hash(bench / "gpu" / f"{name}.py")}


@pytest.mark.parametrize("name", benches(BENCH))
def test_a_kept_result_is_of_these_sources(name: str) -> None:
    assert wrong(BENCH, name) is None


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A bench, and its result of the sources as they are."""
    for folder in ("results", "gpu"):
        (tmp_path / folder).mkdir()
    (tmp_path / "gpu" / "new.py").write_text("from kept import keep\n")
    (tmp_path / "gpu" / "helper.py").write_text("pass\n")
    keep(tmp_path)
    return tmp_path


def keep(bench: Path, **other: Any) -> None:
    about = {"device": "a GPU", "rehearsed": False, **made_by(bench, "new")}
    (bench / "results" / "gpu-new.json").write_text(json.dumps(about | other))


def test_a_result_of_these_sources_is_right(bench: Path) -> None:
    assert (benches(bench), wrong(bench, "new")) == (["new"], None)


@pytest.mark.parametrize("part", ["source", "script"])
def test_a_result_of_other_sources_is_stale(part: str, bench: Path) -> None:
    keep(bench, **{part: "another"})

    problem = wrong(bench, "new")

    assert problem == f"new is stale: made with another {part}; {AGAIN}"


def test_a_rehearsal_is_no_result(bench: Path) -> None:
    keep(bench, rehearsed=True, device="a CPU")

    problem = wrong(bench, "new")

    assert problem == "new was only rehearsed, on a CPU"


def test_a_result_that_lacks_is_named(bench: Path) -> None:
    (bench / "results" / "gpu-new.json").unlink()

    with pytest.raises(pytest.skip.Exception, match=r"no GPU result of new is kept: .* has not run it on a GPU"):
        wrong(bench, "new")

"""Every number of the kept results has a meaning, so that each report explains what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crt_run.present.meanings import explained
from crtcore.registry import discover

RESULTS = Path(__file__).parent.parent / "bench" / "results"
SWEEPS = [path.stem for path in sorted(RESULTS.glob("*.json")) if "arms" in json.loads(path.read_bytes())]


def test_there_are_kept_sweeps() -> None:
    assert {"quickstart", "rsd", "latent-saturated", "meta-vs-last-vib", "crt-scaling", "crt-drafts"} <= set(SWEEPS)


@pytest.mark.parametrize("name", SWEEPS)
def test_each_number_of_a_kept_sweep_has_a_meaning(name: str) -> None:
    registry, sweep = discover(), json.loads((RESULTS / f"{name}.json").read_bytes())
    names = set(numbers(sweep))
    tables = {"experiment": '[experiment]\nuse = "{}"', "metric": '[[metric]]\nuse = "{}"'}
    specs = [tables[each.kind].format(each.name) for _, each in registry if each.kind in tables]

    known = {number for spec in specs for number in explained(names, spec, registry)}

    assert names - known == set()


def test_a_star_stands_for_any_text_and_a_whole_name_comes_first() -> None:
    names = ["generation_frechet_flops_ratio", "generation_frechet", "best_generation_frechet", "other"]

    meanings = explained(names, '[experiment]\nuse = "scaling"', discover())

    assert list(meanings) == names[:3]
    assert len(set(meanings.values())) == 3


def numbers(sweep: dict[str, Any]) -> Iterator[str]:
    """The names of all numbers of arms and points."""
    for arm in sweep["arms"].values():
        yield from arm
    for point in sweep.get("points", ()):
        yield from point["numbers"]

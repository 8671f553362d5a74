"""Numbers across a setting: which setting it is, where groups stand, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from crt_report.across import Standing, across, placed
from crtcore.compose.study import labels

WEIGHTS: dict[str, Any] = {
    "baseline": {"regularizer.0.weight": 0, "training.tokenizer.steps": 20},
    "light": {"regularizer.0.weight": 0.5},
    "heavy": {"regularizer": [{"use": "causal", "weight": 4.0}], "regularizer.0.weight": 4.0},
    "fewer-codes": {"regularizer": [], "bottleneck.codes": 8},
}


def sweep(runs: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """A sweep of one number with a value of its own in each group."""
    output = [
        {"arm": arm, "settings": settings, "group": ", ".join((arm, *labels(settings)))} for arm, settings in runs
    ]
    groups = dict.fromkeys(run["group"] for run in output)
    arms = {
        group: {"loss": {"value": float(place), "low": place - 1.0, "high": place + 1.0, "unit": "nats", "n": 3}}
        for place, group in enumerate(groups)
    }
    return {"runs": output, "arms": arms}


def test_arms_stand_by_the_number_they_set_and_others_at_all_of_them() -> None:
    runs = sweep([(arm, {}) for arm in WEIGHTS] * 2)  # two seeds

    setting, standings = placed(runs, {"sweep": {"arms": WEIGHTS}})

    assert setting == "regularizer.0.weight"
    assert standings == [
        Standing("baseline", "", 0),
        Standing("light", "", 0.5),
        Standing("heavy", "", 4.0),
        Standing("fewer-codes", "fewer-codes", None),
    ]


def test_the_longest_axis_of_a_grid_is_taken_and_the_others_tell_lines_apart() -> None:
    runs = [("baseline", {"b.codes": codes, "p.width": width}) for codes in (8, 32, 128) for width in (4, 16)]

    setting, standings = placed(sweep(runs), {"sweep": {"b.codes": [8, 32, 128], "p.width": [4, 16]}})

    assert setting == "b.codes"
    assert [(each.line, each.value) for each in standings] == [
        (f"p.width={width}", codes) for codes in (8.0, 32.0, 128.0) for width in (4, 16)
    ]


def test_only_numbers_are_placed_along_the_axis() -> None:
    runs = [("baseline", {"a": each, "b": number}) for number, each in enumerate(("1", "2=3", "4, 5", True))]

    setting, standings = placed(sweep(runs), {})

    assert setting == "b"
    assert [(each.line, each.value) for each in standings] == [
        ('a="1"', 0), ('a="2=3"', 1), ('a="4, 5"', 2), ("a=true", 3)
    ]  # fmt: skip


def test_runs_that_differ_in_a_number_of_a_component_share_a_line() -> None:
    runs = [("baseline", {"bottleneck": {"use": "vq", "codes": codes}}) for codes in (8, 32, 128)]

    setting, standings = placed(sweep(runs), {})

    assert setting == "bottleneck.codes"
    assert [(each.line, each.value) for each in standings] == [("bottleneck.use=vq", at) for at in (8, 32, 128)]


def test_arms_that_share_a_value_stand_on_lines_of_their_own() -> None:
    rates = {f"latent-{rate}": {"tokenizer.rate": rate, "tokenizer.chunk": rate} for rate in (2, 4, 16)}
    small = {f"small-{rate}": {"tokenizer.rate": rate, "tokenizer.chunk": rate, "prior.std": 0.02} for rate in (2, 4)}
    arms = {"text": {"trace": "cot"}, **rates, **small}

    setting, standings = placed(sweep([(arm, {}) for arm in arms]), {"prior": {"std": 0.125}, "sweep": {"arms": arms}})

    assert setting == "tokenizer.rate"
    assert standings == [
        Standing("text", "text, prior.std=0.125", None),
        *(Standing(f"latent-{rate}", "prior.std=0.125", rate) for rate in (2, 4, 16)),
        *(Standing(f"small-{rate}", "prior.std=0.02", rate) for rate in (2, 4)),
    ]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"sweep": {"arms": {"baseline": {}, "other": {"prior.use": "table"}}}},
        {"sweep": {"arms": {"baseline": {"prior.order": 0}, "other": {"prior.order": 1}}}},
    ],
    ids=["no sweep", "texts", "two values"],
)
def test_nothing_is_drawn_across_fewer_than_three_numbers(document: dict[str, Any], tmp_path: Path) -> None:
    runs = sweep([("baseline", {}), ("other", {})])

    drawn = across(runs, tomli_w.dumps(document), tmp_path / "across.png")

    assert drawn == ("", None)


def test_the_picture_is_written(tmp_path: Path) -> None:
    runs = sweep([(arm, {}) for arm in WEIGHTS])
    document = {"sweep": {"arms": {arm: dict(table) for arm, table in WEIGHTS.items()}}}

    setting, path = across(runs, tomli_w.dumps(document), tmp_path / "across.png")

    assert setting == "regularizer.0.weight"
    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")

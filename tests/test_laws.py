"""The laws of every kind and all components of this repository."""

from __future__ import annotations

import json

import pytest

from crt_laws import trial
from crt_laws.vision import make_torchvision_importable
from crtcore.kinds import KINDS
from crtcore.registry import discover


@pytest.mark.slow
def test_no_law_holds_without_a_check_and_each_applies_to_some_component(capsys: pytest.CaptureFixture[str]) -> None:
    make_torchvision_importable()  # transformers imports it

    trial.trial(discover(), None, as_json=True, examples=2)

    rows = json.loads(capsys.readouterr().out)["laws"]
    for row in rows:
        assert row["outcome"] != "fails", row
        assert row["outcome"] != "holds" or row["checks"] >= row["tried"] > 0, row
        assert row["outcome"] != "not applicable" or (row["checks"] == 0 and row["reason"]), row
    held = {(row["kind"], row["law"]) for row in rows if row["outcome"] == "holds"}
    assert held == {(row["kind"], row["law"]) for row in rows}
    assert {row["kind"] for row in rows} == set(KINDS)

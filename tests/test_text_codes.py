"""Parts of other plugins that the experiment `text-codes` refuses."""

from __future__ import annotations

from typing import Any

import pytest

from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import SpecError

SPEC: dict[str, Any] = {
    "name": "small",
    "experiment": {"use": "text-codes"},
    "dataset": {"use": "as-steps", "dataset": {"use": "python-source"}},
    "tokenizer": {"use": "text-chunks"},
    "bottleneck": {"use": "fsq", "levels": [3, 3]},
    "prior": {"use": "table", "order": 1},
    "training": {stage: {"steps": 4} for stage in ("tokenizer", "prior")},
}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"tokenizer": {"use": "conv"}}, r"tokenizer\.use: expected a tokenizer of chunks, such as 'text-chunks', got"),
        ({"bottleneck": {"use": "gaussian", "width": 8}}, r"bottleneck\.use: expected a discrete bottleneck"),
    ],
)
def test_parts_that_do_not_fit_are_named(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        study(Document(SPEC | tables, {}), discover())


def test_parts_that_fit_are_planned() -> None:
    (point,) = study(Document(SPEC, {}), discover()).points

    assert [stage.name for stage in point.plan.stages] == ["tokenizer", "prior"]

"""Components by name on the command line: NAME, or NAME(KEY=VALUE, ...), as labels of points have them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from crtcore.compose.document import Document
from crtcore.compose.plan import override, study
from crtcore.errors import Key, Problem, SpecError
from crtcore.kinds import ExecutorSpec, Plan
from crtcore.registry import discover

_FORM = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_COMMA = re.compile(r",(?=\s*[A-Za-z_][\w.-]*\s*=)")
"""A comma that another key follows: others are inside a value."""


def overrides_of(text: str, option: str, kind: str) -> tuple[str, ...]:
    """The fields that a text stands for, as `executor.use=local`.

    Raises: SpecError if it has another form.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise SpecError([Problem(option, (), f"expected NAME or NAME(KEY=VALUE, ...), got {text!r:.80}")])
    fields = (each.strip() for each in _COMMA.split(form[2] or "") if each.strip())
    return (f"{kind}.use={form[1]}", *(f"{kind}.{each}" for each in fields))


def table_of(text: str, option: str, kind: str) -> dict[str, Any]:
    """The table of a spec file that a text stands for.

    Raises: SpecError if it has another form.
    """
    document = Document({}, {})
    override(document, overrides_of(text, option, kind))
    table: dict[str, Any] = document.values[kind]
    return table


def executor_of(text: str, plan: Plan) -> ExecutorSpec:
    """The executor that `--on` names.

    Raises: SpecError if there is none of that name, or its fields are wrong.
    """
    values = {**plan.document, "executor": table_of(text, "--on", "executor")}
    origins: dict[Key, str] = {("executor",): "--on", **{("executor", key): "--on" for key in values["executor"]}}
    executor = study(Document(values, origins), discover()).executor
    assert executor is not None  # as the document names one
    return executor


def metrics_of(texts: Sequence[str], plan: Plan) -> list[dict[str, Any]]:
    """The tables of the metrics that `--metric` names, with all their fields.

    Raises: SpecError if there is none of a name, or its fields are wrong.
    """
    values = {**plan.document, "metric": [table_of(text, "--metric", "metric") for text in texts]}
    origins: dict[Key, str] = {("metric", place): "--metric" for place in range(len(texts))}
    (point,) = study(Document(values, origins), discover()).points
    tables: list[dict[str, Any]] = point.plan.document["metric"]
    return tables

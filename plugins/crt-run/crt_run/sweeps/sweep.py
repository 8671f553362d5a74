"""Runs every point of a study with its executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crt_run.executors.running import built, done
from crt_run.executors.spec import Local
from crt_run.runs.ended import fitting
from crt_run.runs.execute import finished, outdated, work
from crt_run.runs.rehearse import rehearse
from crtcore.compose.study import Study
from crtcore.errors import RunError
from crtcore.kinds import Executor, Json

NOT_OURS = "the executor mixed up or changed answers; choose another [executor] and give the same command again"


class Finished(NamedTuple):
    """Results and problems of a study's points."""

    results: dict[int, dict[str, Any]]
    """Index of a point to its result."""
    problems: dict[int, str]
    """Index of a point to why it has no result."""


def run(
    study: Study, runs: Path, report: Callable[[int, Json], None], *, fresh: bool = False,
    build: Callable[[], Executor] | None = None,
) -> Finished:  # fmt: skip
    """Runs the points that are not finished, after a rehearsal of all; a failed point does not stop the others.

    A fresh run does again what other code made; else a note says that it was reused.
    An interrupt stops the workers after they have saved. `build` makes the executor; None: that of the study.
    """
    results: dict[int, dict[str, Any]] = {}
    problems: dict[int, str] = {}
    for index, point in enumerate(study.points):
        try:
            if (result := finished(point.plan, runs)) is None:
                continue
            if changed := outdated(point.plan, runs):
                if fresh:
                    continue
                text = f"the result was made by other code ({changed}); --fresh runs it again"
                report(index, {"event": "note", "text": text})
            results[index] = result
        except RunError as error:
            problems[index] = str(error)
        report(index, {**_finished(index, results, problems), "again": True})
    left = [index for index in range(len(study.points)) if index not in results and index not in problems]
    documents = (dict(study.points[index].plan.document) for index in left)
    pieces = [{"document": document, "runs": str(runs), "fresh": fresh} for document in documents]
    if not left:
        return Finished(results, problems)
    executor = built(build or (study.executor or Local()).build)  # what it lacks is said at once
    rehearse(study, [study.points[index] for index in left])
    working = done(executor, work, pieces, lambda place, event: report(left[place], event))
    try:
        for ended in working:
            index = left[ended.place]
            answer = ended.answer or {"problem": ended.problem}
            if "result" in answer:
                plan = study.points[index].plan
                try:
                    results[index] = fitting(answer["result"], plan.hash, plan.seed, "executor", NOT_OURS)
                except RunError as error:
                    problems[index] = str(error)
            else:
                problems[index] = answer.get("problem") or "stopped; the same command resumes it"
            report(index, _finished(index, results, problems))
    finally:
        working.close()
    return Finished(dict(sorted(results.items())), problems)


def _finished(index: int, results: Mapping[int, Json], problems: Mapping[int, str]) -> dict[str, Any]:
    """The event of a point that ended, with its result if it has one."""
    result = {"result": results[index]} if index in results else {}
    return {"event": "finished", "problem": problems.get(index), **result}


def failed(study: Study, ended: Finished) -> RunError | None:
    """An error that names every point without a result; None if all points have one."""
    if not ended.problems:
        return None
    lines = [
        f"{study.points[index].label}: {problem}" if study.swept else problem
        for index, problem in sorted(ended.problems.items())
    ]
    return RunError("\n".join(lines))

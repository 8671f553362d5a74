"""Samples in shards against held-out data: metrics take shares of them in several places, and are merged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from crt_run.executors.spec import Local
from crt_run.loading.loaded import LoadedRun
from crt_run.loading.plans import plan_of
from crt_run.runs.code import code_of
from crt_run.runs.numbers import number, written_all
from crt_run.runs.records import read_json, seal
from crt_run.runs.run import alone
from crt_run.shards.draws import Draws, loaded
from crt_run.shards.filling import fill, piece_of_work
from crt_run.shards.scoring import Scoring, as_problems
from crt_run.shards.store import Span, Store, tensors
from crtcore.errors import RunError
from crtcore.kinds import ExecutorSpec, Json, Measurement, Report, digest

SCORES = "scores"
"""The folder of scores in a folder of samples; each has a file there, named after its settings."""
PIECE = 2048
"""Samples of a piece of work, or more in a larger shard: a partial may have a covariance of features."""


class Scores(NamedTuple):
    """Numbers of a folder of samples."""

    numbers: dict[str, Measurement]
    alike: int | None
    """Samples of the class of the held-out sample beside them; None: there are no classes."""
    file: Path
    """The JSON file that has them."""


def score_shards(
    run: LoadedRun, folder: str | Path, *, metrics: Sequence[Json] | None = None, split: str = "test",
    executor: ExecutorSpec | None = None, report: Report = lambda event: None,
) -> Scores:  # fmt: skip
    """Scores the samples of `sample_shards` against as many held-out samples of a run, or reads what was scored.

    `metrics` are tables as in spec files, those of the run if it is None. What is finished is kept, and the same call
    goes on from there. `executor` is as in `sample_shards`; each of its processes fits the metrics once.
    Raises: RunError if samples are missing or damaged, the split has fewer, or a metric refuses them.
    """
    draws = Draws.read(Path(folder).absolute())
    tables = run.plan.document.get("metric") if metrics is None else metrics
    if not tables:
        raise RunError(f"{run.folder}: expected a run with metrics, got none; name one, such as frechet")
    plan = plan_of({**run.plan.document, "metric": list(tables)}, str(run.folder))
    settings = {
        "shards": digest({"shards": draws.manifest["shards"]}),
        "run": run.plan.name,
        "hash": str(run.result["hash"]),
        "weights": run.weights,
        "metrics": plan.document["metric"],
        "split": split,
        "code": code_of(plan),
    }
    store = Store(draws.folder / SCORES / digest(settings), settings)
    file = store.folder.with_suffix(".json")
    with alone(store.folder):
        if not _whole(file):
            scoring = Scoring(run, draws.samples, plan.document["metric"], split)
            values = _scored(draws, store, scoring, executor or Local(), report)
            seal(file, {"name": run.plan.name, "seed": draws.manifest["settings"]["seed"], **values})
            shutil.rmtree(store.folder, ignore_errors=True)
    values = read_json(file, "numbers", "settings")
    return Scores({name: number(each) for name, each in values["numbers"].items()}, values["alike"], file)


def _whole(file: Path) -> bool:
    """True if a file of scores is there and was not damaged; one that was is made again."""
    try:
        return file.exists() and bool(read_json(file, "numbers", "settings"))
    except RunError:
        return False


def _scored(draws: Draws, store: Store, scoring: Scoring, executor: ExecutorSpec, report: Report) -> dict[str, Any]:
    """The numbers of all samples, from the partials of ranges."""
    expected, run = list(pieces(draws.spans)), str(scoring.run.folder.absolute())

    def piece(span: Span) -> Json:
        where = {"run": run, "samples": str(draws.folder), "folder": str(store.folder)}
        return {**where, "settings": store.about, **span._asdict()}

    with store.opened():
        fill(store, expected, work, piece, executor, report)
        records = store.commit(expected)["shards"]
    numbers: dict[str, Measurement] = {}
    with torch.inference_mode(), as_problems():  # metrics fitted there have tensors that nothing else may write to
        for record in records:
            partials = tensors(store.folder, record)
            for place, metric in enumerate(scoring.metrics):
                own = f"{place}/"
                metric.merge({key.removeprefix(own): each for key, each in partials.items() if key.startswith(own)})
        for metric in scoring.metrics:
            numbers |= metric.compute()
    alike = None if records[0]["alike"] is None else sum(record["alike"] for record in records)
    return {"samples": draws.samples, "alike": alike, "settings": store.about, "numbers": written_all(numbers)}


def pieces(shards: Sequence[Span]) -> Iterator[Span]:
    """Ranges of whole shards, each of `PIECE` samples or more, but the last."""
    first = count = 0
    for span in shards:
        count += span.size
        if count >= PIECE or span == shards[-1]:
            yield Span(first, count)
            first, count = first + count, 0


def work(piece: Json, report: Report) -> Json:
    """The work of an executor: the partials of one range of samples."""

    def make(stopping: Callable[[], bool]) -> int:
        settings, span = piece["settings"], Span(piece["first"], piece["size"])
        draws = Draws.read(Path(piece["samples"]))
        if digest({"shards": draws.manifest["shards"]}) != settings["shards"]:
            raise RunError(f"{draws.folder}: the samples have changed since scoring began; give the command again")
        scoring = _scoring(
            piece["run"], settings["weights"], draws.samples, json.dumps(settings["metrics"]), settings["split"]
        )
        metrics, alike = scoring.scored(draws, span, stopping)
        partials = {
            f"{place}/{name}": each.detach().cpu().clone().contiguous()
            for place, metric in enumerate(metrics)
            for name, each in metric.partial().items()
        }
        Store(Path(piece["folder"]), settings).write(span, partials, alike=alike)
        return span.first

    return piece_of_work(make)


@lru_cache(maxsize=1)
def _scoring(folder: str, weights: str, samples: int, metrics: str, split: str) -> Scoring:
    """The fitted metrics of a piece of work, kept for the next one of the same worker."""
    return Scoring(loaded(folder, weights), samples, json.loads(metrics), split)

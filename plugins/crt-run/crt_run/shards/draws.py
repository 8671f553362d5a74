"""Many samples of a finished run, drawn into a folder of shards.

Sample i depends on the seed and on i alone, so shards may be drawn anywhere, in any order, and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import torch

from crt_run.executors.spec import Local
from crt_run.loading.drawing import check_drawable, classes_of, draw, tensors_of
from crt_run.loading.loaded import LoadedRun, load_run
from crt_run.runs.code import code_of
from crt_run.runs.records import read_json
from crt_run.shards.filling import fill, piece_of_work
from crt_run.shards.store import MANIFEST, Span, Store, spans, tensors
from crtcore.errors import RunError
from crtcore.kinds import ExecutorSpec, Json, Report

SHARD = 512
"""Samples of a shard, the most that a kill loses: two batches."""


class Draws(NamedTuple):
    """A folder of samples, all of which are there."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Draws:
        """The samples that `sample_shards` drew.

        Raises: RunError if some are missing, or the manifest is damaged.
        """
        if not (folder / MANIFEST).is_file():
            raise RunError(
                f"{folder}: expected a folder that `crt sample --out FOLDER` has finished, got one without "
                f"{MANIFEST}; draw the samples first, or give that command again"
            )
        try:
            return cls(folder, read_json(folder / MANIFEST, "settings", "shards", "samples"))
        except RunError as error:
            damaged = str(error).partition("; ")[0]
            raise RunError(f"{damaged}; give the command that drew the samples again, which writes it anew") from error

    @property
    def samples(self) -> int:
        """How many there are."""
        return int(self.manifest["samples"])

    @property
    def spans(self) -> list[Span]:
        """The range of each shard."""
        return [Span(each["first"], each["size"]) for each in self.manifest["shards"]]

    def shard(self, index: int) -> dict[str, torch.Tensor]:
        """The tensors `ids`, `class_ids` and `data` of a shard; without the last two if there are none.

        Raises: RunError if the file was damaged.
        """
        return tensors(self.folder, self.manifest["shards"][index])


def sample_shards(
    run: LoadedRun, folder: str | Path, count: int, *, seed: int | None = None, class_ids: Any = None,
    shard: int = SHARD, executor: ExecutorSpec | None = None, report: Report = lambda event: None,
) -> Draws:  # fmt: skip
    """Draws `count` samples of a run into a folder, or the ones that are missing there; `LoadedRun.sample` by shards.

    `executor` is `local` if it is None: processes here, so a script needs `if __name__ == "__main__":`. Workers read
    the folder of the run and write to `folder`; those on other machines need both there.
    Raises: RunError if the folder was begun with other settings, or samples are missing in the end.
    """
    check_drawable(run)
    classes = classes_of(run.outline, count, class_ids)
    if shard < 1:
        raise RunError(f"expected at least 1 sample in a shard, got {shard}")
    seed = run.plan.seed if seed is None else seed
    place = Path(folder).absolute()
    store = Store(place, about(run, count=count, shard=shard, seed=seed, class_ids=class_ids))
    expected = spans(count, shard)

    def piece(span: Span) -> Json:
        own = None if classes is None else classes[span.first : span.first + span.size].tolist()
        where = {"run": str(run.folder.absolute()), "folder": str(place), "settings": store.about}
        return {**where, **span._asdict(), "class_ids": own}

    with store.opened():
        fill(store, expected, work, piece, executor or Local(), report)
        records = store.finished().values()
        totals = {name: sum(each[name] for each in records) for name in ("ids", "target_calls")}
        manifest = store.commit(expected, samples=count, folder=str(run.folder.absolute()), **totals)
    return Draws(place, manifest)


def about(run: LoadedRun, *, count: int, shard: int, seed: int, class_ids: Any) -> dict[str, Any]:
    """What a folder of samples is of: all that its samples depend on."""
    listed = None if class_ids is None else torch.as_tensor(class_ids).tolist()
    alike = listed is not None and len(set(listed)) == 1
    return {
        "run": run.plan.name,
        "hash": str(run.result["hash"]),
        "weights": run.weights,
        "code": code_of(run.plan),
        "samples": count,
        "shard": shard,
        "seed": seed,
        "class_ids": listed[0] if listed and alike else listed,
        "sampling": attrs.asdict(run.plan.sampling),
        "decoder": run.plan.document["decoder"],
    }


def work(piece: Json, report: Report) -> Json:
    """The work of an executor: draws one shard."""

    def make(stopping: Callable[[], bool]) -> int:
        settings, span = piece["settings"], Span(piece["first"], piece["size"])
        run = loaded(piece["run"], settings["weights"])
        rows = torch.arange(span.first, span.first + span.size)
        classes = None if piece["class_ids"] is None else torch.tensor(piece["class_ids"])
        drawn = draw(run, rows, seed=settings["seed"], class_ids=classes, device=run.device, stopping=stopping)
        emitted, calls = int((drawn.ids >= 0).sum()), int(drawn.target_calls.sum())
        facts = {"ids": emitted, "target_calls": calls, "device": str(run.device)}
        Store(Path(piece["folder"]), settings).write(span, tensors_of(drawn), **facts)
        return span.first

    return piece_of_work(make)


@lru_cache(maxsize=1)
def loaded(folder: str, weights: str) -> LoadedRun:
    """The run of a piece of work, kept for the next one of the same worker.

    Raises: RunError if it has other weights.
    """
    run = load_run(folder)
    if run.weights != weights:
        raise RunError(f"{folder}: the weights of the run have changed since this was begun; name another folder")
    return run

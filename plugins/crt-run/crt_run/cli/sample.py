"""`crt sample`, which draws samples with the decoder of a finished run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crt_cli.console import answer, as_json, needs, say
from crt_run.cli.interrupts import interruptible
from crt_run.cli.options import on, runs_folder
from crt_run.cli.over_ranks import on_one_process

if TYPE_CHECKING:
    from crt_run.loading.loaded import LoadedRun
    from crtcore.kinds import Json, Report

KEPT = "; finished shards are kept, and the same command draws the others"
OFTEN = 5.0
"""Seconds between two lines of progress."""


@click.command()
@click.argument("run")
@click.option("--count", type=click.IntRange(1, 10**8), default=16, show_default=True, help="Samples to draw.")
@click.option("--seed", type=click.IntRange(min=0), help="Another seed than that of the run.")
@click.option("--class", "classes", type=int, multiple=True, help="Class of all samples, or one for each.")
@click.option(
    "--out", type=click.Path(path_type=Path),
    help="File to write: .png, .jsonl (ids and texts) or .safetensors; samples.png for images, else samples.jsonl. "
    "A name without an end is a folder of shards, which the same command resumes.",
)  # fmt: skip
@click.option("--shard", type=click.IntRange(min=1), help="Samples of a shard in a folder; 512 unless given.")
@on
@runs_folder
@as_json
@on_one_process
def sample(
    run: str, *, count: int, seed: int | None, classes: tuple[int, ...], out: Path | None, runs: Path,
    as_json: bool, **sharding: Any,
) -> None:  # fmt: skip
    """Draw samples with the decoder of a finished run, RUN: its folder, NAME or NAME/HASH."""
    folder = out is not None and (out.is_dir() or not out.suffix)
    if not folder and any(each is not None for each in sharding.values()):
        raise click.UsageError("expected --out FOLDER, a name without an end, with --on and --shard")
    needs("run", "torch", "scipy", "safetensors", "filelock")
    from crt_run.loading.loaded import load_run

    loaded = load_run(run, runs)
    class_ids = list(classes) * count if len(classes) == 1 else list(classes) or None
    if folder and out is not None:
        drawn = _shards(loaded, out, count, seed=seed, class_ids=class_ids, **sharding)
    else:
        drawn = _file(loaded, out, count, seed=seed, class_ids=class_ids)
    texts, seed = drawn.pop("texts"), loaded.plan.seed if seed is None else seed
    decoder = loaded.plan.document["decoder"]
    used = (decoder[0] if isinstance(decoder, list) else decoder)["use"]
    emitted, calls = drawn["ids"], drawn["target_calls"]
    if as_json:
        answer({"run": str(loaded.folder), "samples": count, "seed": seed, "decoder": used, **drawn})
        return
    where = drawn.get("file") or f"{drawn['folder']} ({drawn['shards']} shards)"
    click.echo(f"{where}: {count} samples of {loaded.plan.name}, seed {seed}")
    click.echo(f"decoder {used}: {emitted} ids, {calls / emitted if emitted else 0:.3f} target calls for each")
    for text in texts:
        click.echo(f"text: {text!r:.200}")


def _file(loaded: LoadedRun, out: Path | None, count: int, **drawing: Any) -> dict[str, Any]:
    """Draws into one file."""
    from crt_run.loading.drawing import check_suffix, write

    image = loaded.plan.parts["dataset"].form == "image"
    path = out or Path("samples.png" if image else "samples.jsonl")
    check_suffix(path, image)  # before anything is drawn
    drawn = loaded.sample(count, **drawing)
    write(path, drawn, image)
    emitted, calls = int((drawn.ids >= 0).sum()), int(drawn.target_calls.sum())
    return {"file": str(path), "ids": emitted, "target_calls": calls, "texts": (drawn.texts or [])[:3]}


def _shards(
    loaded: LoadedRun, out: Path, count: int, *, shard: int | None, on: str | None, **drawing: Any
) -> dict[str, Any]:
    """Draws into a folder of shards, or goes on there."""
    from crt_run.cli.parts import executor_of
    from crt_run.shards import sample_shards
    from crt_run.shards.draws import SHARD

    executor = executor_of(on or "local", loaded.plan)
    with interruptible(KEPT):
        draws = sample_shards(
            loaded, out, count, shard=shard or SHARD, executor=executor, report=shown("samples drawn"), **drawing
        )
    totals = {name: draws.manifest[name] for name in ("ids", "target_calls")}
    return {"folder": str(out), "shards": len(draws.spans), **totals, "texts": ()}


def shown(what: str) -> Report:
    """Prints notes, and now and then how many of all samples are there."""
    last: list[float] = []

    def show(event: Json) -> None:
        if event["event"] == "note":
            say(event["text"])
        elif not last or event["there"] == event["samples"] or time.monotonic() - last[-1] >= OFTEN:
            last[:] = [time.monotonic()]
            say(f"{event['there']:,} of {event['samples']:,} {what}")

    return show

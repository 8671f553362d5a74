"""`crt score`, which scores a folder of samples that `crt sample` drew."""

from __future__ import annotations

from pathlib import Path

import click

from crt_cli.console import answer, as_json, needs, say
from crt_cli.layout import show
from crt_run.cli.interrupts import interruptible
from crt_run.cli.options import on, runs_folder
from crt_run.cli.over_ranks import on_one_process

KEPT = "; what is finished is kept, and the same command goes on from there"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--against", metavar="RUN", help="Run whose held-out data, tokenizer and prior count; the one that drew.")
@click.option(
    "--metric", "metrics", multiple=True, metavar="METRIC",
    help="A metric, such as frechet or 'frechet(dimensions=8)'; those of the run unless given.",
)  # fmt: skip
@click.option("--split", default="test", show_default=True, help="Split of the data that samples are compared with.")
@on
@runs_folder
@as_json
@on_one_process
def score(
    folder: Path, *, against: str | None, metrics: tuple[str, ...], split: str, on: str | None, runs: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Score samples in FOLDER, which `crt sample --out FOLDER` drew, against as many held-out ones."""
    needs("run", "torch", "scipy", "safetensors", "filelock")
    import tomli_w

    from crt_run.cli.parts import executor_of, metrics_of
    from crt_run.cli.sample import shown
    from crt_run.loading.loaded import load_run
    from crt_run.present.meanings import explained
    from crt_run.present.tables import single
    from crt_run.runs.records import read_json
    from crt_run.shards import Draws, score_shards
    from crtcore.registry import discover

    draws = Draws.read(folder)
    run = load_run(against or draws.manifest["folder"], runs)
    tables = metrics_of(metrics, run.plan) if metrics else None
    executor = executor_of(on or "local", run.plan)
    with interruptible(KEPT):
        scores = score_shards(
            run, folder, metrics=tables, split=split, executor=executor, report=shown("samples scored")
        )
    values = read_json(scores.file, "numbers")
    if scores.alike is not None and scores.alike < draws.samples:
        say(
            f"{draws.samples - scores.alike:,} of {draws.samples:,} samples have another class than the held-out "
            "sample beside them"
        )
    if as_json:
        answer({**values, "file": str(scores.file)})
        return
    document = run.plan.document if tables is None else {**run.plan.document, "metric": tables}
    show(single(values, explained(values["numbers"], tomli_w.dumps(dict(document)), discover())))
    click.echo(f"{draws.samples:,} samples of {folder} against the split {split!r} of {run.plan.name}: {scores.file}")

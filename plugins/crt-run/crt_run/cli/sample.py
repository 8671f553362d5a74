"""`crt sample`, which draws samples with the decoder of a finished run."""

from __future__ import annotations

from pathlib import Path

import click

from crt_cli.console import answer, as_json, needs, reports_errors
from crt_run.cli.options import runs_folder


@click.command()
@click.argument("run")
@click.option("--count", type=click.IntRange(min=1), default=16, show_default=True, help="Samples to draw.")
@click.option("--seed", type=click.IntRange(min=0), help="Another seed than that of the run.")
@click.option("--class", "classes", type=int, multiple=True, help="Class of all samples, or one for each.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="File to write: .png, .jsonl (ids and texts) or .safetensors; samples.png for images, else samples.jsonl.",
)  # fmt: skip
@runs_folder
@as_json
@reports_errors
def sample(
    run: str, *, count: int, seed: int | None, classes: tuple[int, ...], out: Path | None, runs: Path, as_json: bool
) -> None:
    """Draw samples with the decoder of a finished run, RUN: its folder, NAME or NAME/HASH."""
    needs("run", "torch", "scipy", "safetensors", "filelock")
    from crt_run.loading.drawing import check_suffix, write
    from crt_run.loading.loaded import load_run

    loaded = load_run(run, runs)
    image = loaded.plan.parts["dataset"].form == "image"
    path = out or Path("samples.png" if image else "samples.jsonl")
    check_suffix(path, image)  # before anything is drawn
    class_ids = list(classes) * count if len(classes) == 1 else list(classes) or None
    drawn = loaded.sample(count, seed=seed, class_ids=class_ids)
    write(path, drawn, image)
    seed = loaded.plan.seed if seed is None else seed
    decoder = loaded.plan.document["decoder"]
    used = (decoder[0] if isinstance(decoder, list) else decoder)["use"]
    emitted, calls = int((drawn.ids >= 0).sum()), int(drawn.target_calls.sum())
    if as_json:
        answer(
            {"run": str(loaded.folder), "file": str(path), "samples": count, "seed": seed, "decoder": used,
             "ids": emitted, "target_calls": calls}
        )  # fmt: skip
        return
    click.echo(f"{path}: {count} samples of {loaded.plan.name}, seed {seed}")
    click.echo(f"decoder {used}: {emitted} ids, {calls / emitted if emitted else 0:.3f} target calls for each")
    for text in (drawn.texts or [])[:3]:
        click.echo(f"text: {text!r:.200}")

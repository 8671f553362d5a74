"""`crt distill`: a small draft from the target's own text."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crt_cli.console import answer, as_json, say
from crt_hf.prompt_file import read_prompts
from crt_run.cli.over_ranks import on_one_process

if TYPE_CHECKING:
    from crt_hf.distilling.training import Progress

KEPT = "; what is written is kept, and the same command goes on from there"
PLAIN_EVERY = 10.0
"""Seconds between lines where there is no terminal."""


@click.command()
@click.argument("target", metavar="TARGET")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder of the draft.")
@click.option(
    "--prompts", type=click.Path(path_type=Path), metavar="FILE",
    help='JSON lines, each with "prompt" (text), "messages" (a chat) or "ids"; default: the first id alone.',
)  # fmt: skip
@click.option("--minutes", type=float, default=40.0, show_default=True, help="For texts and training together.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of texts and training.")
@click.option(
    "--size", type=click.Choice(["tiny", "small", "head"]), default="small", show_default=True,
    help="Of the draft; a head reads hidden states of TARGET.",
)  # fmt: skip
@as_json
@on_one_process
def distill(target: str, out: Path, prompts: Path | None, as_json: bool, **options: Any) -> None:
    """Train a small draft on the text of the model in the folder TARGET.

    `crt generate --target TARGET --draft DIR --decoder sd` uses it. The ids keep the distribution of TARGET. A stopped
    command goes on where it was.
    """
    from crt_hf.library import transformers
    from crt_run.cli.interrupts import interruptible
    from crt_run.runs.memory import keep_freed

    keep_freed()
    given = None if prompts is None else [prompt for prompt, _ in read_prompts(prompts)]
    transformers()
    from crt_hf.distilling.distill import distill as run

    with interruptible(KEPT), _bar(plain=as_json) as progress:
        report = run(target, out, given, progress=progress, **options)
    if as_json:
        answer(report)
        return
    click.echo(lines(report))
    decoder = "likeliest-tree" if options["size"] == "head" else "sd"
    say(f"{out}: the draft; use it by --draft {out} --decoder {decoder}")


def lines(report: dict[str, Any]) -> str:
    """A report as text."""
    after, before = report["acceptance"], report["acceptance_untrained"]
    held, draft = report["held_out"], report["draft"]
    interval = f" ({after['low']:.3f} to {after['high']:.3f})" if "low" in after else ""
    calls = ", ".join(f"{value:.2f} ({length})" for length, value in report["ids_a_call"].items())
    return "\n".join((
        f"acceptance   {after['value']:.3f}{interval}, untrained {before['value']:.3f}; on {held['ids']:,} ids "
        f"of {held['texts']} held-out texts, after {held['prompts']} prompts",
        f"ids a call   {calls}: expected at temperature 1, by length of the drafted chain",
        f"draft        {draft['layers']} layers, {draft['width']} wide, {draft['vocabulary']:,} ids, "
        f"{draft['parameters']:,} parameters",
        f"trained on   {report['texts']['ids']:,} ids, written in {report['texts']['seconds']:.0f} s, in "
        f"{report['training']['steps']:,} steps",
    ))  # fmt: skip


@contextlib.contextmanager
def _bar(*, plain: bool) -> Iterator[Progress]:
    """A bar for each phase on a terminal, lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    if plain or not console.is_terminal:
        yield _Lines()
        return
    columns = TextColumn("{task.description:9}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[line]}")
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def show(phase: str, over: float, line: str) -> None:
            for other in tasks.keys() - {phase}:
                bar.update(tasks[other], completed=1.0)
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=1.0, line=line)
            bar.update(tasks[phase], completed=min(over, 1.0), line=line)

        yield show


class _Lines:
    """Says where a phase is: when it begins, and from time to time."""

    def __init__(self) -> None:
        self._phase, self._last = "", 0.0

    def __call__(self, phase: str, over: float, line: str) -> None:
        if phase != self._phase or time.monotonic() - self._last > PLAIN_EVERY:
            self._phase, self._last = phase, time.monotonic()
            say(f"{phase} {min(over, 1.0):.0%}: {line}")

"""From a target to a draft in a folder: texts, training, scores. Each part goes on where it was killed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from crt_ar.llama.files import write_llama
from crt_ar.llama.network import LlamaTransformer
from crt_hf import draft_ids, families
from crt_hf.as_read import AsRead
from crt_hf.distilling import head_student, lessons, scores, student, training
from crt_hf.distilling.budget import TEXTS, Clock, Watch
from crt_hf.distilling.identity import check_identity, identity
from crt_hf.distilling.texts import HELD_OUT, TEMPERATURES, write_part
from crt_hf.heads.files import write_head
from crt_hf.heads.readers import drafting, network_of
from crt_hf.heads.watched import Watched
from crt_hf.model import Model, Reader
from crt_hf.prompts import Prompt, as_ids
from crt_hf.translated import Intersection, Translated
from crt_nn.json_files import json_object
from crt_run.runs import checkpoint, files
from crt_run.runs.numbers import written
from crtcore.errors import RunError
from crtcore.kinds import Prior

WORK, REPORT = "work", "report.json"
SCORED = 32
"""Held-out texts that a draft is scored on at most."""
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "tokenizer.model", "spiece.model", "chat_template.jinja",
)  # fmt: skip
"""Files of a tokenizer."""


def silent(phase: str, over: float, line: str) -> None:
    """Shows no progress."""


def distill(
    target: str | Path, out: str | Path, prompts: Sequence[Prompt] | None = None, *, minutes: float = 40.0,
    seed: int = 0, size: student.Size = "small", progress: training.Progress = silent, clock: Clock = time.monotonic,
) -> dict[str, Any]:  # fmt: skip
    """Trains a small draft on texts that the target in a folder writes, writes it to `out`, and returns its report.

    Half of the time goes to texts. They go on from the prompts, or from the first id if there are none, and are kept in
    `out/work` with the last checkpoint, from which the same call goes on; with more `minutes`, training goes on.
    Raises: RunError with what does not fit; CheckpointError if a file in `out/work` is damaged.
    """
    if not 0 < minutes < 1e6:
        raise RunError(f"distill: minutes: expected a number above 0, got {minutes}")
    if not 0 <= seed < 2**31:
        raise RunError(f"distill: seed: expected an integer from 0 to {2**31 - 1}, got {seed}")
    model, out = Model(target), Path(out).absolute()
    assert model.folder is not None
    rows = _prompts(model, prompts)
    work = out / WORK
    check_identity(work, identity(model.folder, rows, seed, size))
    if (report := _finished(out, minutes)) is not None:
        return report
    for folder in (work, work / "texts", work / "training"):
        folder.mkdir(exist_ok=True)
        checkpoint.tidy(folder)
    reader = model.reader("target")
    if size == "head":
        network = network_of(reader)
        reader = reader._replace(prior=Watched(network, head_student.layers_of(network)))
    parts, spent = _texts(reader, model, rows, work, seed=seed, limit=60 * minutes, progress=progress, clock=clock)
    if size == "head":
        made = _head(reader, parts, seed)
    else:
        made = _model(reader, parts, seed, student.FORMS[size], model.folder)
    last = training.train(
        made.trainer, made.lessons, work / "training", seconds=60 * minutes - spent, progress=progress, clock=clock
    )
    progress("scores", 0.0, "scoring on held-out texts")
    texts = lessons.held_out(parts[:: len(TEMPERATURES)], SCORED)
    before, after = scores.scores(reader.prior, [made.untrained, made.draft], texts, reader.device)
    report = {
        "minutes": minutes,
        "acceptance": written(after.acceptance),
        "acceptance_untrained": written(before.acceptance),
        "ids_a_call": {str(length): value for length, value in after.ids_a_call.items()},
        "held_out": {
            "texts": len(texts),
            "ids": sum(len(ids) - start for ids, start in texts),
            "prompts": "others" if len(rows) >= HELD_OUT else "the same",
        },
        "draft": {**made.form, "parameters": sum(x.numel() for x in made.trainer.weights.values())},
        "texts": {"ids": _written_ids(parts), "seconds": spent},
        "training": {"steps": made.trainer.step, "loss": last},
        "ran": f"target {reader.ran}",
    }  # fmt: skip
    _write(out, made.write, report)
    return report


class _Made(NamedTuple):
    """A draft that is to be trained, and what of it depends on its kind."""

    trainer: training.Trainer[Any, Any]
    lessons: Any
    untrained: Prior
    draft: Prior
    form: dict[str, Any]
    """What the report says of it."""
    write: Callable[[Path], None]
    """Writes it to a folder."""


def _model(reader: Reader, parts: Sequence[dict[str, Tensor]], seed: int, form: student.Form, folder: Path) -> _Made:
    """A small model."""
    vocabulary = reader.prior.vocabulary
    frequent = lessons.frequent(parts, vocabulary, form.vocabulary)
    own = draft_ids.DraftIds(vocabulary, tuple(frequent.tolist()))
    untrained, draft = (
        student.fresh(form, frequent, reader.prior.embedding.weight, seed).to(reader.device) for _ in range(2)
    )

    def write(to: Path) -> None:
        write_llama(to, draft.to("cpu"))
        files.write(to / draft_ids.NAME, files.dumped(own._asdict()))
        for name in TOKENIZER:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, to / name)

    return _Made(
        training.ModelTrainer(draft, form.rate, seed), lessons.lessons(parts, frequent, vocabulary),
        _drafting(untrained, own), _drafting(draft, own), {**form._asdict(), "vocabulary": len(frequent)}, write,
    )  # fmt: skip


def _head(reader: Reader, parts: Sequence[dict[str, Tensor]], seed: int) -> _Made:
    """A head."""
    watched: Watched = reader.prior
    network = watched.network
    frequent = lessons.frequent(parts, watched.vocabulary, head_student.OWN)
    own: list[int] = frequent.tolist()
    untrained, draft = (head_student.fresh_head(network, frequent, seed).to(reader.device) for _ in range(2))
    shape = draft.config.shape
    form = {
        "layers": 1, "width": shape.width, "heads": shape.heads, "hidden": shape.hidden, "vocabulary": len(own),
        "rate": head_student.RATE, "reads": list(draft.config.layers or ()),
    }  # fmt: skip
    return _Made(
        training.HeadTrainer(draft, seed), lessons.rows(parts, frequent, watched.vocabulary),
        drafting(untrained, watched, own), drafting(draft, watched, own), form,
        lambda to: write_head(to, draft, own),
    )  # fmt: skip


def _prompts(model: Model, prompts: Sequence[Prompt] | None) -> list[list[int]]:
    """The ids of prompts, or the first id alone."""
    vocabulary = model.config.vocab_size
    if prompts is not None:
        return [as_ids(each, vocabulary, lambda: model.tokenizer, f"prompt {i}") for i, each in enumerate(prompts)]
    if (first := families.first_id(model.config)) is None:
        raise RunError("distill: expected prompts, as the target has neither bos_token_id nor eos_token_id")
    return [[first]]


def _finished(out: Path, minutes: float) -> dict[str, Any] | None:
    """The report, if the draft has had its time."""
    if not (out / REPORT).exists():
        return None
    report = json_object(out / REPORT, "distill")
    return report if report.get("minutes", 0) >= minutes else None


def _texts(
    reader: Reader, model: Model, prompts: Sequence[Sequence[int]], work: Path, *, seed: int, limit: float,
    progress: training.Progress, clock: Clock,
) -> tuple[list[dict[str, Tensor]], float]:  # fmt: skip
    """All texts, and the seconds that they took; they are written until their share of the time is over.

    Once training has begun, no more are written. At least one part is, and a text of it is held out.
    """
    folder, share = work / "texts", TEXTS * limit
    parts: list[dict[str, Tensor]] = []
    spent = 0.0
    while checkpoint.committed(path := folder / f"part-{len(parts):06}"):
        saved = checkpoint.load(path)
        parts.append(saved.tensors)
        spent += saved.state["seconds"]
    stop = [x for x in families.ids(model.defaults.get("eos_token_id")) if 0 <= x < reader.prior.vocabulary]
    while not _held_out(parts[:: len(TEMPERATURES)]) or (spent < share and not training.begun(work / "training")):
        progress("texts", spent / share, f"{_written_ids(parts)} ids of {len(parts)} parts")
        watch, path = Watch(0.0, clock), folder / f"part-{len(parts):06}"
        part = write_part(reader.prior, prompts, len(parts), stop=stop, seed=seed, device=reader.device)
        seconds = watch.used
        checkpoint.save(path, part, {"seconds": seconds})
        parts.append(checkpoint.load(path).tensors)
        spent += seconds
    return parts, spent


def _held_out(parts: Sequence[dict[str, Tensor]]) -> bool:
    return any(bool(part["held_out"].any()) for part in parts)


def _written_ids(parts: Sequence[dict[str, Tensor]]) -> int:
    return sum(int((part["ids"] >= 0).sum() - part["prompt"].sum()) for part in parts)


def _drafting(draft: LlamaTransformer, own: draft_ids.DraftIds) -> Translated:
    """A draft over the target's ids."""
    return Translated(AsRead(draft), Intersection(*own.common, vocabulary=own.vocabulary, unknown=0))


def _write(out: Path, write: Callable[[Path], None], report: dict[str, Any]) -> None:
    """Writes the folder that `generate` reads as a draft; its report comes last."""
    aside = files.aside_of(out / WORK / "draft")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    with files.writing(out):
        (out / REPORT).unlink(missing_ok=True)
        write(aside)
        for path in aside.iterdir():
            path.replace(out / path.name)
        aside.rmdir()
        files.write(out / REPORT, files.dumped(report))

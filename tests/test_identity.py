"""What a run depends on beyond its spec file: the contents of files, the data, and the code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from crt_cli.commands import main
from crt_run.runs import code, contents
from crt_run.runs.contents import digest_of, of_plan
from crt_run.runs.execute import execute
from crt_run.runs.run import address
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import load, study
from crtcore.errors import RunError
from crtcore.kinds import Plan

SMOKE = Path(__file__).parents[1] / "specs" / "smoke.toml"
BRIEF = (
    "training.tokenizer.steps=2", "training.prior.steps=2", "training.draft.steps=2", "metric=[]",
    "experiment.evaluations=1", "dataset={use='digits'}",
)  # fmt: skip


def plan(*overrides: str) -> Plan:
    return load(SMOKE, discover(), (*BRIEF, *overrides)).points[0].plan


def paint(folder: Path, shade: int) -> None:
    """Sixty flat pictures of each of two classes."""
    from PIL import Image

    for name in ("ape", "bee"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(60):
            Image.new("RGB", (8, 8), (shade, index, 9)).save(folder / name / f"{index}.bmp")


def of_images(folder: Path) -> Plan:
    return plan(
        f"dataset={{use='image-folder', folder='{folder}', size=8}}", "tokenizer.channels=4", "experiment.samples=2"
    )


def test_replaced_images_are_another_run_and_another_tokenizer(tmp_path: Path) -> None:
    """Same names and lengths: only what is in the files differs."""
    images, runs = tmp_path / "images", tmp_path / "runs"
    paint(images, 10)
    before = execute(of_images(images), runs)
    again = execute(of_images(images), runs)
    paint(images, 200)
    after = execute(of_images(images), runs)

    assert again == before
    assert after["numbers"]["reconstruction_mse"] != before["numbers"]["reconstruction_mse"]
    assert len(list((runs / "stages" / "tokenizer").glob("*/final"))) == 2
    assert len(list((runs / "smoke").glob("*/result.json"))) == 2


def test_moved_images_are_the_same_run(tmp_path: Path) -> None:
    paint(tmp_path / "here", 10)
    (tmp_path / "there").symlink_to(tmp_path / "here")

    here, there = (of_plan(of_images(tmp_path / name), tmp_path) for name in ("here", "there"))

    assert here.hash == there.hash
    assert here.hash != of_images(tmp_path / "here").hash


def test_a_digest_is_kept_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    os.utime(file, ns=(1, 1))  # settled
    first = digest_of("prior.folder", str(file), tmp_path)
    monkeypatch.setattr(contents.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert digest_of("prior.folder", str(file), tmp_path) == first
    monkeypatch.undo()

    file.write_bytes(b"two")

    assert digest_of("prior.folder", str(file), tmp_path) != first


def test_a_file_that_changed_just_now_is_read_again_each_time(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")

    digest_of("prior.folder", str(file), tmp_path)

    assert not (tmp_path / contents.KNOWN).exists()


def test_a_folder_counts_by_names_and_contents(tmp_path: Path) -> None:
    digests = set()
    for name, files in {"a": {"x": b"1"}, "b": {"y": b"1"}, "c": {"x": b"2"}, "d": {"x": b"1", "z": b""}}.items():
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
        digests.add(digest_of("x", str(tmp_path / name), tmp_path))

    assert len(digests) == 4


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["nothing", "an empty folder"])
def test_a_path_with_nothing_there_is_refused_with_its_place(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "gone")

    with pytest.raises(RunError, match=r"^prior\.folder: expected a file or folder '.*gone', got none$"):
        digest_of("prior.folder", str(tmp_path / "gone"), tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "data" / "inside").mkdir(parents=True)
    os.mkfifo(pipe := tmp_path / "data" / "inside" / "pipe")

    for path in (pipe, tmp_path / "data"):
        with pytest.raises(
            RunError, match=r"^x: expected a file or folder '.*', got one .*no regular file; remove it\)$"
        ):
            digest_of("x", str(path), tmp_path)


@pytest.mark.parametrize("links", [1, 2])
def test_a_loop_of_links_is_refused_by_its_name(links: int, tmp_path: Path) -> None:
    (tmp_path / "data" / "inside").mkdir(parents=True)
    for number in range(links):  # with two, each level has twice as many as the one above
        (tmp_path / "data" / "inside" / f"link{number}").symlink_to(tmp_path / "data")

    with pytest.raises(RunError, match=r"link0: a link to a folder above it; remove the link\)$"):
        digest_of("x", str(tmp_path / "data"), tmp_path)


def test_links_count_as_what_they_lead_to(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "inside").mkdir(parents=True)
    (tmp_path / "a" / "inside" / "x").write_bytes(b"1")
    (tmp_path / "a" / "other").mkdir()
    (tmp_path / "a" / "other" / "x").write_bytes(b"1")
    (tmp_path / "b" / "inside" / "x").symlink_to(tmp_path / "a" / "inside" / "x")
    (tmp_path / "b" / "other").symlink_to("inside")

    assert digest_of("x", str(tmp_path / "a"), tmp_path) == digest_of("x", str(tmp_path / "b"), tmp_path)


def test_links_that_lead_to_many_paths_are_refused(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / "data" / str(number)).mkdir(parents=True)
        for name in "ab":
            (tmp_path / "data" / str(number) / name).symlink_to(tmp_path / "data" / str(number + 1))
    (tmp_path / "data" / "12").mkdir()

    with pytest.raises(RunError, match="one of more than 1000 links to folders that were read by other names"):
        digest_of("dataset.folder", str(tmp_path / "data"), tmp_path / "runs")


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to("nowhere")

    with pytest.raises(RunError, match=r"got one that cannot be read \(.*data/link: No such file or directory\)$"):
        digest_of("x", str(tmp_path / "data"), tmp_path)


def test_a_damaged_file_of_digests_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"one")
    (tmp_path / contents.KNOWN).write_text("[")

    assert digest_of("x", str(tmp_path / "weights"), tmp_path).startswith("sha256:")


TEXTS = {
    ("image-parquet", "image"), ("image-parquet", "label"), ("image-shards", "label"), ("prompts", "template"),
    ("prompts", "reference"), ("prompts", "group"), ("saved", "run"), ("saved", "stage"),
}  # fmt: skip
"""Texts that are no paths: results depend on the text itself, or on the weights of the run that it names."""


def test_every_text_of_an_installed_spec_that_is_no_choice_is_a_path() -> None:
    """A path that is not marked would let another file pass for the same."""
    unmarked = {
        (component.name, field.name)
        for _, component in discover()
        if component.spec.kind != "executor"  # no result depends on one
        for field in attrs.fields(component.spec)
        if field.type in ("str", "tuple[str, ...]", str, tuple[str, ...]) and "files" not in field.metadata
    }

    assert unmarked == TEXTS


def test_a_run_names_the_code_of_every_component(tmp_path: Path) -> None:
    made = plan()

    execute(made, tmp_path)

    about = json.loads((address(made, tmp_path) / "run.json").read_text())
    used = about["components"]
    assert used["bottleneck"].startswith("crt-vq ")
    assert used["prior"].startswith("crt-ar ")
    assert used["experiment"].startswith("crt-basics ")
    assert about["backends"]["prior attention"].startswith(("sdpa", "xformers"))  # what ran, not what was asked for
    assert {"crtcore", "crt-run", "crt-vq", "crt-ar"} <= set(about["code"])
    assert about["stages"]["tokenizer"]["code"]["crt-vq"] == about["code"]["crt-vq"]
    assert "crt-verify" not in about["stages"]["tokenizer"]["code"]


def test_an_editable_installation_counts_by_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "crt_toy"
    package.mkdir()
    (package / "__init__.py").write_text("one = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    first = code._source("crt_toy")

    (package / "__init__.py").write_text("one = 2\n")

    assert code._source("crt_toy") != first


@pytest.fixture
def other_code(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes crt-vq another version."""
    real = code._entry

    def change() -> None:
        def entry(package: str) -> tuple[str, str] | None:
            return ("crt-vq", "9.9") if package == "crt_vq" else real(package)

        monkeypatch.setattr(code, "_entry", entry)

    return change


def test_a_stage_that_other_code_made_is_reused_and_a_note_says_so(
    tmp_path: Path, other_code: Callable[[], None]
) -> None:
    execute(plan(), tmp_path)
    other_code()
    events: list[Any] = []

    execute(plan("sampling.temperature=0.5"), tmp_path, events.append)

    notes = [event["text"] for event in events if event["event"] == "note"]
    assert len(notes) == 3
    assert notes[0].startswith("stage tokenizer: reused, though other code made it (crt-vq ")
    assert notes[0].endswith(", now 9.9); --fresh trains it again")
    assert len(list((tmp_path / "stages" / "tokenizer").glob("*/final"))) == 1


def test_a_fresh_run_trains_again_what_other_code_made_and_nothing_else(
    tmp_path: Path, other_code: Callable[[], None]
) -> None:
    execute(plan(), tmp_path)
    other_code()
    events: list[Any] = []

    execute(plan(), tmp_path, events.append, fresh=True)
    (made,) = (tmp_path / "stages" / "tokenizer").glob("*/code.json")
    assert json.loads(made.read_text())["code"]["crt-vq"] == "9.9"
    assert not [event for event in events if event["event"] == "note"]
    stamp = (made.parent / "final").stat().st_mtime_ns
    execute(plan(), tmp_path, fresh=True)

    assert (made.parent / "final").stat().st_mtime_ns == stamp


def test_the_command_says_that_a_result_is_of_other_code(tmp_path: Path, other_code: Callable[[], None]) -> None:
    words = ["run", str(SMOKE), "--runs", str(tmp_path), *(word for each in BRIEF for word in ("--set", each))]
    assert CliRunner().invoke(main, words).exit_code == 0
    other_code()

    result = CliRunner().invoke(main, words)

    assert "smoke: the result was made by other code (crt-vq " in result.stderr
    assert "--fresh runs it again" in result.stderr


def test_a_study_of_files_that_are_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    tables = {
        "name": "gone", "experiment": {"use": "compression"}, "tokenizer": {"use": "conv"},
        "dataset": {"use": "image-folder", "folder": str(tmp_path / "gone"), "size": 8},
        "bottleneck": {"use": "vq", "codes": 4}, "training": {"tokenizer": {"steps": 1}},
    }  # fmt: skip
    (point,) = study(Document(tables, {}), discover()).points

    with pytest.raises(RunError, match=r"^dataset\.folder: expected a file or folder"):
        execute(point.plan, tmp_path / "runs")

    assert not (tmp_path / "runs").exists()

"""The bench of image sampling: every way generates the ids of `ancestral`, and a wrong cache is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import image_draws
import images
import pytest
import torch
from image_draws import Stepper, by_steps, eager, stepped, uniforms_of, whole
from images import built, first_apart, times

BATCH, SIDE = 4, 4
LENGTH = SIDE**2


@pytest.fixture(scope="module")
def prior() -> Any:
    return built("small", 64, LENGTH)


def first_ids(way: Any, prior: Any, **words: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The ids of other images than those it was made with, what they should be, and what they should not."""
    first, second = torch.arange(BATCH), torch.arange(BATCH) + 10
    draw, expected = way(prior, BATCH, LENGTH, **words), eager(prior, BATCH, LENGTH)
    draw(first)
    return draw(second), expected(second), expected(first)


@pytest.mark.parametrize("way", [whole, stepped])
def test_every_way_draws_the_ids_of_ancestral(way: Any, prior: Any) -> None:
    ids, expected, others = first_ids(way, prior)

    assert torch.equal(ids, expected)
    assert not torch.equal(ids, others)


def test_a_compiled_step_draws_the_ids_of_ancestral() -> None:
    """In a process of its own, as a compiler cannot trace the shape checks that tests of packages turn on."""
    code = (
        "import torch; from image_draws import compiled; from test_images import LENGTH, built, first_ids\n"
        "ids, expected, others = first_ids(compiled, built('small', 64, LENGTH), backend='aot_eager')\n"
        "print(torch.equal(ids, expected), torch.equal(ids, others))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(images.__file__).parent)])

    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )

    assert (ended.stdout, ended.returncode) == ("True False\n", 0), ended.stderr


def test_a_step_that_sees_later_slots_is_noticed(prior: Any) -> None:
    stepper = Stepper(prior, BATCH, LENGTH)
    sound = stepper.states
    stepper.states = lambda features, positions, visible: sound(features, positions, torch.ones_like(visible))
    draw, classes = by_steps(stepper), torch.arange(BATCH)
    draw(classes.flip(0))

    alike = first_apart(draw(classes), eager(prior, BATCH, LENGTH)(classes))

    assert alike < images.NEAR


def test_other_uniforms_are_noticed(prior: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_draws, "uniforms_of", lambda batch, length: uniforms_of(batch + 1, length)[1:])
    classes = torch.arange(BATCH)

    alike = first_apart(stepped(prior, BATCH, LENGTH)(classes), eager(prior, BATCH, LENGTH)(classes))

    assert alike < images.NEAR


@pytest.mark.parametrize(
    ("ids", "share"), [([[1, 2, 3]], 1.0), ([[1, 9, 9]], 1 / 2), ([[9, 2, 3]], 0.0), ([[1, 2, 3], [1, 2, 9]], 5 / 6)]
)
def test_a_row_counts_up_to_its_first_other_id(ids: list[list[int]], share: float) -> None:
    alike = first_apart(torch.tensor(ids), torch.tensor([[1, 2, 3]] * len(ids)))

    assert alike == pytest.approx(share)


def test_a_way_that_cannot_run_gives_the_reason_and_leaves_the_others(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--size", "small", "--codes", "64", "--side", "4", "--batch", "2", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["images.py", *words, "--backend", "no such compiler"])

    with pytest.raises(SystemExit) as ended:
        images.main()

    written = json.loads((kept / "gpu-images.json").read_text())["results"]
    assert ended.value.code == 0
    assert list(written["alike"].values())[:3] == [1.0, 1.0, 1.0]
    assert "no such compiler" in written["alike"]["graph of a compiled step"]
    assert [row["way"] for row in written["rows"]] == list(images.WAYS)[:3]
    assert list(written["times eager"]) == ["graph of a draw, batch 2", "graph of a step, batch 2"]


def test_a_way_that_draws_other_ids_is_not_timed(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "compared", lambda way, *_: 0.1 if way is whole else 1.0)
    words = ["--size", "small", "--codes", "64", "--side", "4", "--batch", "2", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["images.py", *words, "--backend", "aot_eager"])

    with pytest.raises(SystemExit) as ended:
        images.main()

    rows = json.loads((kept / "gpu-images.json").read_text())["results"]["rows"]
    assert ended.value.code == 1
    assert "graph of a draw" not in {row["way"] for row in rows}


def test_a_way_is_compared_with_eager_at_its_batch() -> None:
    rates = [(1, "eager", 2.0), (1, "graph of a step", 7.0), (8, "eager", "not run: x"), (8, "graph of a step", 9.0)]

    gains = times([dict(zip(("batch", "way", "images a second"), each, strict=True)) for each in rates])

    assert gains == {"graph of a step, batch 1": 3.5}

"""The parts of `crt distill` by their definitions: what is recorded, learnt and scored."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from crt_ar.llama.network import LlamaTransformer
from crt_basics.priors.table import TablePrior
from crt_hf.as_read import AsRead
from crt_hf.distilling import lessons, scores, student, texts, training
from crt_hf.draft_ids import read_draft_ids
from crtcore.errors import RunError

FORM = student.Form(layers=1, width=16, heads=2, hidden=24, vocabulary=4, rate=1e-2)


def table(seed: int, vocabulary: int = 5) -> TablePrior:
    generator = torch.Generator().manual_seed(seed)
    return TablePrior(2 * torch.randn(1, vocabulary + 1, vocabulary, generator=generator))


def part(prior: TablePrior | None = None, number: int = 0) -> dict[str, Tensor]:
    prompts = [[1], [2, 3], [0, 1, 2]]
    return texts.write_part(prior or table(0), prompts, number, stop=(4,), seed=3, device=torch.device("cpu"))


def test_each_new_id_has_the_chances_that_it_was_drawn_from() -> None:
    made = part()

    for row in range(texts.ROWS):
        ids = made["ids"][row][made["ids"][row] >= 0].long()
        start = int(made["prompt"][row])
        assert ids[:start].tolist() in ([1], [2, 3], [0, 1, 2])
        assert len(ids) == start + texts.NEW or ids[-1] == 4
        expected = table(0)(ids[None])[0, start:-1].log_softmax(-1)
        recorded = made["scores"][row, : len(ids) - start].float()
        best = made["best"][row, : len(ids) - start].long()
        torch.testing.assert_close(expected.gather(1, best), recorded.double(), rtol=2e-3, atol=2e-3)  # float16
        assert best.sort().values.tolist() == [[0, 1, 2, 3, 4]] * (len(ids) - start)


def test_a_part_depends_on_its_number_and_the_seed_alone() -> None:
    one, other = part(number=1), part(number=1)

    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(part()["ids"][:, :3], one["ids"][:, :3])


def test_prompts_come_in_turn_and_one_of_sixteen_is_held_out() -> None:
    numbers = [texts.prompts_of(number, 64, 0) for number in range(2)]

    assert sorted(numbers[0] + numbers[1]) == list(range(64))
    marked = [each for own in numbers for each, out in zip(own, texts.held_out(0, own, 64), strict=True) if out]
    assert sorted(marked) == [15, 31, 47, 63]
    assert texts.held_out(1, [0] * texts.ROWS, 1).index(True) == 15


BY_HAND = {
    "ids": torch.tensor([[7, 5, 9, -1], [7, 2, -1, -1]], dtype=torch.int32),
    "prompt": torch.tensor([1, 1], dtype=torch.int32),
    "best": torch.tensor([[[5, 2], [9, 5]], [[2, 3], [0, 0]]], dtype=torch.int32),
    "scores": torch.tensor([[[0.5, 0.25], [0.75, 0.125]], [[0.5, 0.5], [1.0, 1.0]]]).log().half(),
    "held_out": torch.tensor([False, True]),
}
"""A text of two new ids, and a held-out one of one."""


def test_frequent_ids_are_counted_by_their_chances_in_training_texts() -> None:
    # 5: 0.5 + 0.125, 9: 0.75, 2: 0.25; 3 is in the held-out text alone.
    assert lessons.frequent([BY_HAND], 10, 2).tolist() == [5, 9]
    assert lessons.frequent([BY_HAND], 10, 9).tolist() == [2, 5, 9]


def test_lessons_have_the_drafts_ids_and_chances_at_the_id_before() -> None:
    made = lessons.lessons([BY_HAND], torch.tensor([5, 9]), 10)

    assert made.ids.tolist() == [0, 1, 2]  # 7 is none of the draft's
    assert made.known.tolist() == [True, True, False]
    assert made.best.tolist() == [[1, 0], [2, 1], [0, 0]]
    expected = torch.tensor([[0.5, 0], [0.75, 0.125], [0, 0]])
    torch.testing.assert_close(made.chances.float(), expected, rtol=1e-3, atol=0)  # float16
    assert [(ids.tolist(), start) for ids, start in lessons.held_out([BY_HAND], 5)] == [([7, 2], 1)]


def draft(seed: int = 0) -> LlamaTransformer:
    return student.fresh(
        FORM, torch.tensor([1, 2, 5, 9]), torch.randn(10, 6, generator=torch.Generator().manual_seed(7)), seed
    )


def test_the_loss_is_the_cross_entropy_of_what_the_draft_has() -> None:
    made = lessons.lessons([BY_HAND], torch.tensor([5, 9]), 10)
    own = student.fresh(FORM, torch.tensor([5, 9]), torch.randn(10, 6), 0)

    value = student.loss(own, made.window([0], 3))

    logits = AsRead(own)(torch.tensor([[0, 1]]))[0, 1:, 1:]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([[0.5, 0], [0.125, 0.75]]))
    torch.testing.assert_close(value, expected, rtol=1e-3, atol=0)


def test_ids_that_are_alike_in_the_target_start_alike() -> None:
    embedding = torch.randn(10, 40, generator=torch.Generator().manual_seed(0))
    embedding[9] = embedding[5] + 0.01
    rows = student.fresh(FORM, torch.tensor([1, 2, 5, 9]), embedding, 0).embedding.weight.detach()

    apart = torch.cdist(rows, rows)
    assert apart[3, 4] < 0.1 * apart[1, 2]
    assert float(rows[1:].square().mean().sqrt()) == pytest.approx(student.SPREAD, rel=0.1)


def test_a_training_that_stops_goes_on_with_the_same_weights(tmp_path: Path) -> None:
    made = lessons.lessons([part(number=number) for number in range(2)], torch.tensor([1, 2, 5 - 2, 4]), 5)
    now = [0.0]

    def run(folder: str, stop: int) -> dict[str, Tensor]:
        def progress(phase: str, over: float, line: str) -> None:
            now[0] += line.startswith("step")
            if line.startswith(f"step {stop},"):
                raise KeyboardInterrupt

        trainer = training.ModelTrainer(draft(), FORM.rate, 0)
        training.train(trainer, made, tmp_path / folder, seconds=40.0, progress=progress, clock=lambda: now[0])
        return trainer.tensors()

    whole = run("whole", -1)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", 23)

    again = run("stopped", -1)

    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_what_the_optimiser_keeps_is_needed_to_go_on() -> None:
    made = lessons.lessons([part()], torch.tensor([1, 2, 3, 4]), 5)
    trainer, other = (training.ModelTrainer(draft(), FORM.rate, 0) for _ in range(2))
    trainer.advance(made, 0.5)
    saved = training.checkpoint.Saved(
        {name: x.clone() for name, x in trainer.tensors().items() if name.startswith("weight.")}, {"step": 1}
    )
    trainer.advance(made, 0.5)

    other.restore(saved)  # weights alone
    other.advance(made, 0.5)

    weights = trainer.tensors(), other.tensors()
    assert not torch.equal(*(each["weight.embedding.weight"] for each in weights))


def test_ids_a_call_are_those_of_the_rule_in_expectation() -> None:
    target, other = table(0, 3), table(1, 3)
    rows = torch.tensor(list(itertools.product(range(3), repeat=3)))
    prompts = torch.full((len(rows), 1), 2)
    whole = torch.cat((prompts, rows), 1)
    p, q = (prior(whole)[:, 1:4].double().softmax(-1).detach() for prior in (target, other))  # 27 3 3

    made = [scores.agreement(p[row], q[row], rows[row]) for row in range(27)]

    chances = p.gather(2, rows[..., None])[..., 0].prod(1)  # of each text
    both = torch.minimum(p, q).gather(2, rows[..., None])[..., 0]  # of accepting just these ids
    for depth in (1, 2, 3):
        estimate = sum(
            float(chance) * float(each.kept[: depth - 1].prod() * each.accepted[depth - 1])
            for chance, each in zip(chances, made, strict=True)
        )
        expected = float(both[:, :depth].prod(1).sum()) / 3 ** (3 - depth)  # each start is in so many texts
        assert estimate == pytest.approx(expected, abs=1e-6)


def test_a_draft_that_is_its_target_is_always_accepted() -> None:
    text = torch.tensor([1, 2, 3, 0, 0, 2])

    (own, other) = scores.scores(table(0), [table(0), table(1)], [(text, 1), (text[:4], 2)], torch.device("cpu"))

    assert own.acceptance.value == pytest.approx(1)
    assert own.ids_a_call[2] == pytest.approx(3)
    assert other.acceptance.value < 1
    assert other.acceptance.n == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"vocabulary": 9, "ids": [1, 1]}, "expected 2 distinct ids below 9, .* got 2, 1 of them distinct"),
        ({"vocabulary": 9, "ids": [1, 9]}, "expected 2 distinct ids below 9"),
        ({"vocabulary": 9, "ids": [1]}, "expected 2 distinct ids"),
        ({"vocabulary": 9, "ids": "1"}, "expected a vocabulary and ids"),
        ({"ids": [1, 2]}, "expected a vocabulary and ids"),
    ],
)
def test_ids_that_do_not_fit_the_draft_are_one_error(content: object, message: str, tmp_path: Path) -> None:
    assert read_draft_ids(tmp_path, 3) is None
    (tmp_path / "draft.json").write_text(json.dumps(content))

    with pytest.raises(RunError, match=message):
        read_draft_ids(tmp_path, 3)

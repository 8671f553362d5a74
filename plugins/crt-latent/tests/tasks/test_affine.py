"""Affine chains: texts, distributions, and answers that are refused."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from crt_latent.tasks import generated
from crt_latent.tasks.affine import Affine
from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.spec import AffineChain
from crt_latent.traces import delimiters, loss_weights, split_trace
from crt_laws import obeys
from crtcore.errors import RunError

test_chains = obeys(AffineChain(train=600, validation=60, test=60))
test_chains_among_drawn_fillers = obeys(
    AffineChain(modulus=7, steps=2, verbosity=3, fillers=4, train=200, validation=20, test=20, seed=-1)
)
test_chains_without_fillers = obeys(AffineChain(modulus=4, steps=3, verbosity=0, train=40, validation=9, test=9))

SMALL = AffineChain(steps=2, train=300, validation=30, test=30)


def rows(task: GeneratedTask, count: int = 300) -> Tensor:
    return task.take("train", torch.arange(count)).data


def texts(task: GeneratedTask, ids: Tensor) -> list[str]:
    return [task.words(row) for row in ids]


def emitted(task: GeneratedTask, *texts: str) -> Tensor:
    known = {task.words(torch.tensor([id_])): id_ for id_ in range(task.vocabulary)}
    rows_of_ids = [[known[word] for word in text.split()] for text in texts]
    width = max(map(len, rows_of_ids))
    return torch.tensor([row + [-1] * (width - len(row)) for row in rows_of_ids])


def test_a_chain_has_the_text_of_a_hand_computation() -> None:
    task = SMALL.build()
    made = Affine(SMALL).traced(torch.tensor([[7, 0, 5, 2, 3]]), torch.tensor([0]))

    prompt, steps, solution = (task.words(part[0]) for part in made.trace)

    assert prompt == "7 + 5 × 3 ="
    assert steps == "w0 w1 7 + 5 → 2 ; w0 w1 2 × 3 → 6 ;"
    assert solution == "# 6"


def test_every_step_has_the_value_of_its_operation() -> None:
    task = AffineChain(modulus=9, steps=5, verbosity=1, train=200, validation=5, test=5).build()
    apply = {"+": int.__add__, "−": int.__sub__, "×": int.__mul__}

    for text in texts(task, rows(task, 200)):
        prompt, rest = text.split(" <think> ")
        steps, solution = rest.split(" <answer> ")
        value, *operations = prompt.removesuffix(" =").split()
        for step in steps.removesuffix(" ;").split(" ; "):
            filler, before, sign, operand, arrow, after = step.split()
            assert (filler, before, arrow) == ("w0", value, "→")
            assert [sign, operand] == operations[:2]
            value, operations = str(apply[sign](int(value), int(operand)) % 9), operations[2:]
            assert after == value
        assert not operations
        assert solution == f"# {value} <end>"


@pytest.mark.parametrize(("verbosity", "length"), [(2, 8), (10, 16)])
def test_a_step_has_six_ids_more_than_fillers(verbosity: int, length: int) -> None:
    task = AffineChain(steps=3, verbosity=verbosity, train=5, validation=5, test=5).build()

    steps = split_trace(rows(task, 5), task.vocabulary).steps

    assert steps.shape == (5, 3 * length)


def test_a_step_takes_each_of_its_values() -> None:
    """p (2 p + u) = 240 for p = 10; of 20,000 first steps each is as often as stated, to 7 standard deviations.

    The tail of a Poisson variable there is under 4e-9 on either side, so a sound generator fails once in 1e6.
    """
    task = AffineChain(steps=2, verbosity=0, train=20000, validation=5, test=5).build()

    counts = Counter(map(tuple, split_trace(rows(task, 20000), task.vocabulary).steps[:, :3].tolist()))

    expected = {
        (value, 10 + sign, operand): 20000 / 10 / 3 / (4 if sign == 2 else 10)
        for value in range(10)
        for sign in range(3)
        for operand in range(10)
        if sign < 2 or math.gcd(operand, 10) == 1
    }
    assert len(expected) == 240
    assert counts.keys() == expected.keys()
    assert all(abs(counts[step] - mean) < 7 * mean**0.5 for step, mean in expected.items())


def test_there_are_as_many_problems_as_stated() -> None:
    """2 (2 · 2 + 1)² = 50 of them; each has probability 1/180 at least, so 8,000 draws miss one once in 1e17."""
    maker = Affine(AffineChain(modulus=2, steps=2))

    problems = maker.problems(torch.arange(8000), torch.arange(8000))

    assert len(problems.unique(dim=0)) == 50


def test_fixed_fillers_are_the_same_in_every_step() -> None:
    task = AffineChain(steps=3, verbosity=2, train=50, validation=5, test=5).build()

    steps = split_trace(rows(task, 50), task.vocabulary).steps.view(50, 3, 8)

    assert (steps[:, :, :2] == steps[:1, :1, :2]).all()


def test_drawn_fillers_are_uniform_over_their_words() -> None:
    """30,000 of 5 words: 6,000 each to 6 standard deviations of 69, which fails once in 1e8."""
    task = AffineChain(steps=3, verbosity=2, fillers=5, train=5000, validation=5, test=5).build()

    steps = split_trace(rows(task, 5000), task.vocabulary).steps.view(-1, 8)

    counts = steps[:, :2].flatten().bincount(minlength=22)[17:22]
    assert int(counts.sum()) == 30000
    assert ((counts - 6000).abs() < 6 * 69.3).all()


def test_the_prompt_alone_has_no_weight() -> None:
    batch = SMALL.build().take("train", torch.arange(3))

    assert batch.weight is not None
    assert batch.weight.sum(1).tolist() == [2 * 8 + 2 + 3] * 3
    assert not batch.weight[:, :6].any()


def test_its_own_answers_are_valid() -> None:
    task = SMALL.build()
    ids = rows(task)

    assert task.check(ids[:, :6], ids[:, 6:]).all()
    assert task.check(ids[:, :7], ids[:, 7:]).all()  # <think> may stand on either side


@pytest.mark.parametrize(
    "answer",
    [
        "<answer> # 5 <end>",
        "<answer> 6 <end>",
        "<answer> # # <end>",
        "<answer> # 6 6 <end>",
        "<answer> # 6",
        "<answer> <end>",
        "# 6 <end>",
        "<end> # 6 <answer>",
        "<answer> # 5 <end> <answer> # 6 <end>",
        "<answer> # <answer> # 6 <end>",
    ],
)
def test_a_wrong_or_malformed_answer_is_not_valid(answer: str) -> None:
    task = SMALL.build()
    prompts = emitted(task, "7 + 5 × 3 =", "7 + 5 × 3 =")

    checked = task.check(prompts, emitted(task, answer, "<think> w0 → <answer> # 6 <end> w1"))

    assert checked.tolist() == [False, True]


def test_codes_before_the_answer_do_not_matter() -> None:
    task = SMALL.build()
    think, answer, end = delimiters(task.vocabulary)
    codes = task.vocabulary + 3

    checked = task.check(emitted(task, "7 + 5 × 3 ="), torch.tensor([[think, codes, codes, answer, 16, 6, end]]))

    assert checked.tolist() == [True]
    assert task.words(torch.tensor([6, codes, -1])) == "6 <3>"


def test_an_empty_emission_is_not_an_answer() -> None:
    task = SMALL.build()

    assert task.check(emitted(task, "7 + 5 × 3 ="), torch.empty(1, 0, dtype=torch.int64)).tolist() == [False]


@pytest.mark.parametrize("prompt", ["7 + 5 × 3 ;", "7 5 + × 3 =", "7 + 5 × # =", "7 + 5 ="])
def test_a_prompt_that_is_no_chain_is_refused(prompt: str) -> None:
    task = SMALL.build()

    with pytest.raises(ValueError, match="expected"):
        task.check(emitted(task, prompt), emitted(task, "<answer> # 6 <end>"))


def test_a_larger_split_keeps_its_first_samples() -> None:
    few, many = SMALL.build(), AffineChain(steps=2, train=500, validation=60, test=99).build()

    for split in ("train", "validation", "test"):
        assert torch.equal(few.take(split, torch.arange(30)).data, many.take(split, torch.arange(30)).data)


def prompts(seed: int, split: str) -> set[tuple[int, ...]]:
    """All problems of a split, of 980 that there are."""
    task = AffineChain(modulus=5, steps=2, train=800, validation=300, test=300, seed=seed).build()
    trace = split_trace(task.take(split, torch.arange(task.sizes[split])).data, task.vocabulary)
    return set(map(tuple, trace.prompt.tolist()))


def test_no_problem_is_in_two_splits_even_of_other_seeds() -> None:
    train, validation, test = prompts(0, "train"), prompts(1, "validation"), prompts(2, "test")

    assert not train & validation
    assert not train & test
    assert not validation & test
    assert train & prompts(1, "train")  # so that a problem in two splits would show


def test_a_spec_without_a_problem_for_a_split_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "split_of", lambda keys: torch.zeros(len(keys), dtype=torch.int64))

    with pytest.raises(RunError, match="AffineChain: expected a problem for validation in"):
        SMALL.build()


def test_weights_are_those_of_the_trace() -> None:
    task = SMALL.build()
    batch = task.take("test", torch.arange(5))

    assert batch.weight is not None
    assert torch.equal(batch.weight, loss_weights(batch.data, task.vocabulary))

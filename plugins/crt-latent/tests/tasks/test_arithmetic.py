"""Arithmetic: texts of steps, valid results, and the distribution of numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from crt_latent.tasks.arithmetic import Digits, digits_of, number
from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.spec import Arithmetic
from crt_latent.traces import split_trace
from crt_laws import obeys

SUMS = Arithmetic(digits=3, train=400, validation=40, test=40)
PRODUCTS = Arithmetic(operation="multiplication", digits=4, train=400, validation=40, test=40)

test_sums = obeys(SUMS)
test_products = obeys(PRODUCTS)


def backwards(text: str) -> int:
    return int("".join(reversed(text.split())))


def ids(task: GeneratedTask, text: str) -> Tensor:
    known = {task.words(torch.tensor([id_])): id_ for id_ in range(task.vocabulary)}
    return torch.tensor([[known[word] for word in text.split()]])


def test_a_sum_has_the_text_of_a_hand_computation() -> None:
    """758 + 264 = 1022."""
    task = SUMS.build()
    made = Digits(SUMS).traced(torch.tensor([[8, 5, 7, 4, 6, 2]]), torch.tensor([0]))

    assert [task.words(part[0]) for part in made.trace] == [
        "8 5 7 + 4 6 2 =",
        "8 4 0 → 2 1 ; 5 6 1 → 2 1 ; 7 2 1 → 0 1 ;",
        "2 2 0 1",
    ]


def test_a_product_has_the_text_of_a_hand_computation() -> None:
    """47 · 36 = 6 · 47 + 30 · 47 = 282 + 1410 = 1692."""
    spec = Arithmetic(operation="multiplication", digits=2, train=40, validation=4, test=4)
    task = spec.build()
    made = Digits(spec).traced(torch.tensor([[7, 4, 6, 3]]), torch.tensor([0]))

    assert [task.words(part[0]) for part in made.trace] == [
        "7 4 × 6 3 =",
        "6 → 2 8 2 → 2 8 2 0 ; 3 → 1 4 1 → 2 9 6 1 ;",
        "2 9 6 1",
    ]


@pytest.mark.parametrize("spec", [SUMS, PRODUCTS])
def test_results_are_those_of_python(spec: Arithmetic) -> None:
    task = spec.build()

    for row in task.take("train", torch.arange(200)).data:
        prompt, rest = task.words(row).split(" = <think> ")
        solution = rest.split(" <answer> ")[1].removesuffix(" <end>")
        one, other = (backwards(text) for text in prompt.split(" + " if "+" in prompt else " × "))
        assert len(str(one)) == len(str(other)) == spec.digits
        assert backwards(solution) == (one + other if "+" in prompt else one * other)


@given(st.lists(st.integers(0, 10**18 - 1), min_size=1))
def test_digits_make_their_number(numbers: list[int]) -> None:
    checked = number(digits_of(torch.tensor(numbers), 18))

    assert checked.tolist() == numbers


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("2 2 0 1", True),
        ("2 2 0 1 0", True),
        ("2 2 0", False),
        ("2 2 0 1 1", False),
        ("1 0 2 2", False),
        ("2 2 0 +", False),
        ("", False),
    ],
)
def test_a_result_is_compared_as_a_number(answer: str, right: bool) -> None:
    task = SUMS.build()

    checked = task.check(ids(task, "8 5 7 + 4 6 2 ="), ids(task, f"<answer> {answer} <end>"))

    assert checked.tolist() == [right]


def test_a_result_without_its_last_zeros_is_the_same_number() -> None:
    """100 + 200 = 300, whose fourth digit is 0."""
    task = SUMS.build()

    assert task.check(ids(task, "0 0 1 + 0 0 2 ="), ids(task, "<answer> 0 0 3 <end>")).tolist() == [True]


@pytest.mark.parametrize("spec", [SUMS, PRODUCTS])
def test_its_own_answers_are_valid_and_those_of_other_rows_are_not(spec: Arithmetic) -> None:
    task = spec.build()
    rows = task.take("test", torch.arange(40)).data
    trace = split_trace(rows, task.vocabulary)
    rest = rows[:, trace.prompt.shape[1] :]

    assert task.check(trace.prompt, rest).all()
    assert task.check(trace.prompt, rest.roll(1, 0)).sum() < 3


def test_every_step_of_a_product_has_the_running_sum() -> None:
    task = PRODUCTS.build()

    for row in task.take("train", torch.arange(50)).data:
        prompt, rest = task.words(row).split(" = <think> ")
        one, other = (backwards(text) for text in prompt.split(" × "))
        for place, step in enumerate(rest.split(" ; ")[:-1]):
            digit, partial, total = step.split(" → ")
            assert int(digit) == other // 10**place % 10
            assert backwards(partial) == one * int(digit)
            assert backwards(total) == one * (other % 10 ** (place + 1))


def test_two_digit_numbers_are_uniform() -> None:
    """90,000 of them: 1,000 each to 6.5 standard deviations of 31.4; that fails once in 1e8."""
    maker = Digits(Arithmetic(digits=2))

    problems = maker.problems(torch.arange(45_000), torch.arange(45_000))

    counts = number(problems.unflatten(1, (2, 2))).flatten().bincount(minlength=100)
    assert not counts[:10].any()
    assert ((counts[10:] - 1000).abs() < 6.5 * 31.4).all()


def test_both_orders_of_the_numbers_have_one_key() -> None:
    maker = Digits(SUMS)
    one, other = torch.tensor([[8, 5, 7, 4, 6, 2]]), torch.tensor([[4, 6, 2, 8, 5, 7]])

    assert torch.equal(maker.key(one), maker.key(other))
    assert not torch.equal(maker.key(one), maker.key(torch.tensor([[8, 5, 7, 4, 6, 3]])))


@pytest.mark.parametrize("prompt", ["8 5 7 + 4 6 =", "8 5 7 → 4 6 2 =", "8 5 7 + 4 6 2 ;", "8 5 + + 4 6 2 ="])
def test_a_prompt_that_is_no_problem_is_refused(prompt: str) -> None:
    task = SUMS.build()

    with pytest.raises(ValueError, match="expected"):
        task.check(ids(task, prompt), ids(task, "<answer> 1 <end>"))

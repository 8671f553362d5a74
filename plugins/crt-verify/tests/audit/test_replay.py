"""Replays: code that draws by torch, NumPy or `random` has its exact law, and what has no branches is refused."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from crt_verify.audit import NotFollowed, replay

P = [0.2, 0.5, 0.3]
T = torch.tensor(P, dtype=torch.float64)
LOGITS = T.log()


def gumbel(like: torch.Tensor) -> torch.Tensor:
    return -torch.log(-torch.log(torch.rand_like(like)))


def a_slice_of_rows() -> int:
    """The noise of a request with a generator of its own, written into that of a batch."""
    uniforms = torch.empty(2, 3, dtype=torch.float64)
    uniforms[1, :] = torch.rand(1, 3, dtype=torch.float64, generator=torch.Generator())
    uniforms[[0], :] = torch.rand(1, 3, dtype=torch.float64)
    return int((T.cumsum(0)[:2] <= uniforms[1, 0]).sum())


@torch.compile(backend="eager")
def compiled(weights: torch.Tensor) -> torch.Tensor:
    return weights.div(torch.empty_like(weights).exponential_()).argmax()


def a_masked_race() -> int:
    noise = torch.empty_like(T).exponential_(2.0)
    scores = LOGITS - noise.log()
    return int(scores.masked_fill(torch.tensor([False, False, True]), -math.inf).argmax(-1, keepdim=True))


CATEGORICAL: dict[str, Callable[[], Any]] = {
    "multinomial": lambda: torch.multinomial(T, 1).item(),
    "multinomial with a generator": lambda: int(torch.multinomial(T, 1, generator=torch.Generator().manual_seed(3))),
    "torch.distributions": lambda: torch.distributions.Categorical(probs=T).sample().item(),
    "weight / exponential": lambda: int((T / torch.empty_like(T).exponential_()).argmax()),
    "in place": lambda: int(T.clone().div_(torch.empty_like(T).exponential_(1.0)).argmax(-1)),
    "compiled": lambda: int(compiled(T)),
    "exponential / weight": lambda: int((torch.zeros_like(T).exponential_() / T).argmin()),
    "max of weight / exponential": lambda: int((T / torch.empty_like(T).exponential_()).max(-1).indices),
    "logit + Gumbel": lambda: int((LOGITS + gumbel(T)).argmax()),
    "logit + Gumbel at temperature 2": lambda: int(((2 * LOGITS + 2 * gumbel(T)) / 4).argmax()),
    "logit - log exponential": lambda: int((LOGITS - torch.empty_like(T).exponential_().log()).argmax()),
    "log u / weight": lambda: int((torch.rand_like(T).log() / T).argmax()),
    "searchsorted": lambda: int(torch.searchsorted(T.cumsum(0), torch.rand(1, dtype=torch.float64))),
    "counting": lambda: int((T.cumsum(0) < torch.rand(1, dtype=torch.float64)).sum()),
    "scaled uniform": lambda: int((5 * T.cumsum(0)[:2] <= torch.empty((), dtype=torch.float64).uniform_(0, 5)).sum()),
    "rows": a_slice_of_rows,
    "numpy choice": lambda: np.random.choice(3, p=P),
    "Generator.choice": lambda: np.random.default_rng(1).choice(3, p=P),
    "RandomState.multinomial": lambda: int(np.random.RandomState(1).multinomial(1, P).argmax()),
    "numpy searchsorted": lambda: int(np.searchsorted(np.cumsum(P), np.random.random())),
    "numpy counting": lambda: int((np.cumsum(P) <= np.random.default_rng().random()).sum()),
    "numpy race": lambda: int(np.argmin(np.random.default_rng().exponential(size=3) / np.array(P))),
    "numpy Gumbel": lambda: int((np.log(P) + np.random.gumbel(size=3)).argmax()),
    "random.choices": lambda: random.choices(range(3), P)[0],
    "random.random": lambda: _walk(random.random()),
}


def _walk(u: Any) -> int:
    return 0 if u < 0.2 else 1 if u < 0.7 else 2


@pytest.mark.parametrize("function", CATEGORICAL.values(), ids=CATEGORICAL)
def test_a_categorical_draw_has_its_weights(function: Callable[[], int]) -> None:
    law = replay(function)

    assert law == pytest.approx(dict(enumerate(P)), abs=1e-12)


def test_a_masked_race_has_the_weights_that_are_left() -> None:
    assert replay(a_masked_race) == pytest.approx({0: 2 / 7, 1: 5 / 7}, abs=1e-12)


@pytest.mark.parametrize(
    ("function", "chance"),
    [
        (lambda: bool(torch.rand(()) <= 0.3), 0.3),
        (lambda: bool(torch.tensor(0.3) >= torch.rand(())), 0.3),
        (lambda: bool(torch.rand(3)[1] * 0.5 < 0.15), 0.3),
        (lambda: bool(1 - torch.rand(()) > 0.7), 0.3),
        (lambda: bool(torch.rand(()).log() < math.log(0.3)), 0.3),
        (lambda: torch.rand(1).item() < 0.3, 0.3),
        (lambda: torch.rand(1).tolist()[0] < 0.3, 0.3),
        (lambda: torch.rand(1).numpy()[0] < np.float64(0.3), 0.3),
        (lambda: bool(torch.rand(2, 2).double().T.reshape(4)[3] < 0.3), 0.3),
        (lambda: bool(torch.empty(()).exponential_(2.0) > 1), math.exp(-2)),
        (lambda: bool(torch.bernoulli(torch.tensor(0.25))), 0.25),
        (lambda: bool(torch.empty(()).bernoulli_(0.25)), 0.25),
        (lambda: bool(torch.randint(4, (1,)) == 3), 0.25),
        (lambda: torch.randperm(4).tolist()[0] == 2, 0.25),
        (lambda: random.random() < 0.3, 0.3),
        (lambda: random.random() < torch.tensor(0.25), 0.25),
        (lambda: bool(torch.tensor(0.25) > random.random()), 0.25),
        (lambda: random.uniform(-1, 1) > 0.5, 0.25),
        (lambda: random.Random(5).randrange(4) == 0, 0.25),
        (lambda: random.sample(range(4), 2)[1] == 2, 0.25),
        (lambda: int(random.random() * 4) == 1, 0.25),
        (lambda: np.random.rand() < 0.3, 0.3),
        (lambda: bool(np.random.uniform(-1, 1, 2)[0] > 0.5), 0.25),
        (lambda: np.random.default_rng().integers(1, 5) == 4, 0.25),
        (lambda: np.random.permutation(4)[3] == 0, 0.25),
        (lambda: np.random.binomial(2, 0.5) == 2, 0.25),
    ],
)
def test_an_event_has_its_chance(function: Callable[[], bool], chance: float) -> None:
    law = replay(lambda: bool(function()))

    assert law == pytest.approx({True: chance, False: 1 - chance}, abs=1e-7)


@pytest.mark.parametrize("never", [0.0, -1.0, math.nan])
def test_what_cannot_be_has_no_branch(never: float) -> None:
    assert replay(lambda: bool(torch.rand(()) <= never)) == {False: 1.0}
    assert replay(lambda: bool(never > torch.rand(()))) == {False: 1.0}


def test_no_uniform_is_above_nan_or_below_it() -> None:
    nothing = torch.tensor(math.nan)

    assert replay(lambda: bool(torch.rand(()) > nothing)) == {False: 1.0}
    assert replay(lambda: bool(torch.rand(()) < nothing)) == {False: 1.0}


def test_constants_beside_random_numbers_have_values() -> None:
    def function() -> tuple[Any, ...]:
        row = torch.zeros(3)
        row[0] = torch.rand(())
        row[1:].add_(0.5)
        return row[1].item(), bool(row[2] < 1), float(row[1:].sum()), bool(row[0] < 0.25)

    assert replay(function) == {(0.5, True, 1.0, True): 0.25, (0.5, True, 1.0, False): 0.75}


def test_elements_branch_apart_and_one_element_keeps_what_was_compared() -> None:
    def function() -> tuple[Any, ...]:
        one, other = torch.rand(2, dtype=torch.float64)
        return bool(one < 0.5), bool(one < 0.25), bool(other < 0.25)

    law = replay(function)

    assert law == {
        (True, True, True): 0.0625, (True, True, False): 0.1875, (True, False, True): 0.0625,
        (True, False, False): 0.1875, (False, False, True): 0.125, (False, False, False): 0.375,
    }  # fmt: skip


@pytest.mark.parametrize("other", [[0.6, 0.3, 0.1], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0], P])
def test_two_races_of_the_same_noise_have_their_own_laws_and_are_not_independent(other: list[float]) -> None:
    q = torch.tensor(other, dtype=torch.float64)

    def function() -> tuple[int, int]:
        clocks = torch.empty_like(T).exponential_()
        return int((T / clocks).argmax()), int((q / clocks).argmax())

    law = replay(function)

    for place, weights in enumerate((P, other)):
        own = [sum(chance for pair, chance in law.items() if pair[place] == x) for x in range(3)]
        assert own == pytest.approx(weights, abs=1e-12)
    # the same clock is first with the chance 1 / sum_j max(p_j / p_x, q_j / q_x), by E_x integrated out
    for x in range(3):
        same = 1 / sum(max(P[j] / P[x], other[j] / other[x]) for j in range(3)) if other[x] else 0.0
        assert law.get((x, x), 0.0) == pytest.approx(same, abs=1e-12)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: torch.randn(2), "aten.randn "),
    (lambda: torch.empty(2).normal_(), "aten.normal_"),
    (lambda: torch.poisson(T), "aten.poisson"),
    (lambda: torch.rand(2, out=torch.empty(2)), "aten.rand "),
    (lambda: torch.div(torch.rand(2), 2, out=torch.empty(2)), "writes random numbers by out="),
    (lambda: torch.rand(2).clamp_(0.1), "aten.clamp_"),
    (lambda: torch.sin(torch.rand(2)), "aten.sin of random numbers"),
    (lambda: torch.rand(2).softmax(0), "aten._softmax of random numbers"),
    (lambda: torch.rand(2).sum(), "aten.sum of random numbers"),
    (lambda: torch.rand(2) + torch.rand(2), "two random numbers meet in a sum"),
    (lambda: torch.rand(2) < torch.rand(2), "two random numbers meet in a comparison"),
    (lambda: float(torch.rand(1)), "float\\(\\), int\\(\\) or bool\\(\\) of a tensor"),
    (lambda: bool(torch.rand(1)), "float\\(\\), int\\(\\) or bool\\(\\) of a tensor"),
    (lambda: torch.rand(1).data_ptr(), "Tensor.data_ptr of a uniform"),
    (lambda: np.asarray(torch.rand(1)), "Tensor.__array__ of a uniform"),
    (lambda: torch.rand(3).long(), "cast to torch.int64"),
    (lambda: torch.rand(3).view(torch.int32), "aten.view"),
    (lambda: torch.rand(3), "returns a uniform"),
    (lambda: [random.random()], "returns a uniform"),
    (lambda: int((torch.rand(3) / T).argmax()), "no race"),
    (lambda: torch.rand(3).log().argmin(), "no race"),
    (lambda: int((T + torch.empty_like(T).exponential_()).argmin()), "no race"),
    (lambda: torch.rand(1).expand(3).argmax(), "one random number stands for several"),
    (lambda: torch.multinomial(torch.rand(3), 1), "torch.multinomial by chances that are random"),
    (lambda: torch.log(torch.rand(2) + 1e-9), "the logarithm of a uniform plus or minus a number"),
    (lambda: np.random.randn(2), "numpy.random.randn"),
    (lambda: np.random.default_rng().normal(), "numpy.random's normal"),
    (lambda: np.sin(np.random.rand(2)), "numpy.sin"),
    (lambda: np.sum(np.random.rand(2)), "numpy.add|numpy.sum"),
    (lambda: random.gauss(0, 1), "float\\(\\) of a uniform"),
    (lambda: math.log(random.random()), "float\\(\\) of a uniform"),
    (lambda: random.getrandbits(3), "random.getrandbits"),
]


@pytest.mark.parametrize(("function", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_has_no_branches_is_refused_by_name(function: Callable[[], Any], reason: str) -> None:
    with pytest.raises(NotFollowed, match=reason):
        replay(function)


def test_noise_that_is_raced_three_times_or_raced_and_compared_is_refused() -> None:
    def three() -> Any:
        clocks = torch.empty_like(T).exponential_()
        return [int((weights / clocks).argmax()) for weights in (T, T**2, T**3)]

    def compared() -> Any:
        clocks = torch.empty_like(T).exponential_()
        return int((T / clocks).argmax()), bool(clocks[0] < 1)

    with pytest.raises(NotFollowed, match="third race"):
        replay(three)
    with pytest.raises(NotFollowed, match="first in a race"):
        replay(compared)


BEFORE = np.random.default_rng(0)
LEGACY = np.random.rand


@pytest.mark.parametrize(
    ("function", "named"),
    [(lambda: BEFORE.random() < 0.5, "NumPy generator"), (lambda: LEGACY() < 0.5, "numpy.random")],
    ids=["Generator", "numpy.random"],
)
def test_a_draw_that_passes_by_is_noticed(function: Callable[[], bool], named: str) -> None:
    with pytest.raises(NotFollowed, match=f"draws passed by: {named}"):
        replay(lambda: bool(function()))


def test_a_draw_of_random_that_passes_by_is_noticed() -> None:
    """In a process of its own, as beartype, which checks types here, draws by `random` itself."""
    program = "from random import random; from crt_verify.audit import replay; replay(lambda: random() < 0.5)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "NotFollowed: draws passed by: random drew from its own state" in done.stderr


def test_seeds_are_no_draws() -> None:
    def function() -> bool:
        torch.manual_seed(3)
        np.random.seed(3)
        random.seed(3)
        return bool(torch.rand(()) < 0.25)

    assert replay(function) == {True: 0.25, False: 0.75}


def test_code_that_keeps_something_from_run_to_run_is_refused() -> None:
    runs: list[int] = []

    def function() -> bool:
        runs.append(1)
        return bool(torch.rand(2, dtype=torch.float64).lt(1 / (1 + len(runs))).all())

    with pytest.raises(NotFollowed, match="goes the same way"):
        replay(function)


def test_draws_are_put_back_after_a_replay_and_after_an_error() -> None:
    def all_of_them() -> list[Any]:
        places: list[tuple[Any, str]] = [(np.random, name) for name in ("rand", "default_rng", "RandomState")]
        places += [(owner, name) for owner in (random, random.Random) for name in ("random", "getrandbits", "seed")]
        return [getattr(owner, name) for owner, name in [*places, (random.Random, "_randbelow")]]

    own = all_of_them()

    replay(lambda: torch.rand(()).item() < 0.5)
    with pytest.raises(ZeroDivisionError):
        replay(lambda: 1 / 0)

    assert own == all_of_them()
    assert isinstance(random.random(), float)
    assert torch.rand(2).isfinite().all()


def test_the_values_of_a_function_are_plain() -> None:
    law = replay(lambda: {"ids": torch.tensor([1, 2]), "more": [np.arange(2), "text"]})

    assert law == {(("ids", (1, 2)), ("more", ((0, 1), "text"))): 1.0}

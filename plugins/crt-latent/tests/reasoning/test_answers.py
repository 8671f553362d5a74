"""Answers of a prior to prompts."""

from __future__ import annotations

import torch

from crt_basics.decoders.ancestral import AncestralDecoder
from crt_basics.priors.table import TablePrior
from crt_latent.mixing.alphabet import Alphabet
from crt_latent.reasoning.answers import Solver
from crtcore.settings import Sampling

ALPHABET = Alphabet(5, 2)
THINK, ANSWER, END, ONE, TWO, BEGIN, CLOSE = range(2, 9)
NEXT = {THINK: BEGIN, BEGIN: ONE, ONE: TWO, TWO: CLOSE, CLOSE: 0, 0: ANSWER, ANSWER: 1, 1: END}
"""The most likely next id: two codes in brackets, one word, and the answer 1."""


def solver(*, limit: int = 20, most: int = 4, **changes: int) -> Solver:
    """Returns a solver whose prior follows `NEXT`; the second choice is the same without brackets."""
    following = NEXT | {globals()[name]: then for name, then in changes.items()}
    logits = torch.zeros(1, ALPHABET.size + 1, ALPHABET.size)
    for before, then in following.items():
        logits[0, before, then] = 2
    logits[0, [THINK, ONE, TWO], 0] += 1
    return Solver(TablePrior(logits), AncestralDecoder(), Sampling(temperature=0.0), ALPHABET, limit, most, seed=0)


PROMPTS = torch.tensor([[0, 1, THINK], [1, THINK, -1]])


def emitted(ids: torch.Tensor) -> list[list[int]]:
    return [[id_ for id_ in row if id_ >= 0] for row in ids.tolist()]


def test_a_free_answer_is_the_most_likely_one() -> None:
    answers = solver().answers(PROMPTS)

    assert emitted(answers.ids) == [[BEGIN, ONE, TWO, CLOSE, 0, ANSWER, 1, END]] * 2
    assert answers.ended.all()
    assert not answers.forced.any()


def test_a_full_bracket_is_closed() -> None:
    answers = solver(TWO=ONE).answers(PROMPTS)

    assert emitted(answers.ids) == [[BEGIN, ONE, TWO, ONE, TWO, CLOSE, 0, ANSWER, 1, END]] * 2
    assert answers.forced.all()
    assert answers.ended.all()


def test_text_in_a_full_bracket_follows_it() -> None:
    answers = solver(TWO=0, most=2).answers(PROMPTS)

    assert emitted(answers.ids) == [[BEGIN, ONE, TWO, CLOSE, 0, ANSWER, 1, END]] * 2
    assert answers.forced.all()


def test_an_answer_at_the_limit_has_not_ended() -> None:
    answers = solver(limit=7).answers(PROMPTS)

    assert emitted(answers.ids) == [[BEGIN, ONE, TWO, CLOSE, 0, ANSWER, 1]] * 2
    assert not answers.ended.any()


def test_an_answer_without_codes_is_not_forced() -> None:
    answers = solver(THINK=0).answers(PROMPTS)

    assert emitted(answers.ids) == [[0, ANSWER, 1, END]] * 2
    assert not answers.forced.any()


def test_the_number_of_codes_can_be_forced() -> None:
    for codes in (1, 2, 3):
        likely = solver().most_likely_codes(PROMPTS, codes)
        answers = solver().answer_with_codes(PROMPTS, likely)

        assert emitted(answers.ids) == [[BEGIN, *[ONE, TWO, ONE][:codes], CLOSE, 0, ANSWER, 1, END]] * 2


def test_zero_forced_codes_have_no_brackets() -> None:
    answers = solver().answer_with_codes(PROMPTS, PROMPTS[:, :0])

    assert emitted(answers.ids) == [[0, ANSWER, 1, END]] * 2
    assert not answers.forced.any()

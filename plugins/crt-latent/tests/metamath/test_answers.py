import csv
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crt_latent.metamath.answers import equal_answers
from crt_latent.metamath.tokens import MOST_CHARACTERS

with Path(__file__).with_name("answers.tsv").open(encoding="utf-8", newline="") as _file:
    TABLE = list(csv.DictReader(_file, delimiter="\t", quoting=csv.QUOTE_NONE))
"""Pairs of answers, whether they are equal, and whose users expect that."""

RATIONALS = st.builds(Fraction, st.integers(-(10**9), 10**9), st.integers(1, 10**4))
PIECES = [
    *r"\frac \dfrac \sqrt \pi \pm \left( \right) \text{ \boxed{ \overline \begin{pmatrix} \end{pmatrix} \\ & \{ \} { }",
    *r"( ) [ ] | , ; : . ! % ' _ ^ + - * / = < > \le \in \cup \infty \sin \log ~ \, \! $ \$ ° ½ ² x y f i e 0 1 12",
    *["000", "9" * 40, "1e99", "0.5", " ", "and", "cm", "percent", "Evelyn", "\ud800", "\x00", "é"],
]
HOSTILE = [
    "9^{9^{9^9}}",
    "9^{9^9}",
    "(10^9)!",
    "5" + "!" * 1000,
    "2^{10^{10}}",
    "1e9999",
    "e^{e^{e^{e^e}}}",
    "(1+10^{-30})^{10^{20}}",
    "(a+b+c+d+e)^{99999}",
    r"\sin(10^{4000})",
    r"\binom{10^9}{5}",
    r"\sqrt[10^9]{2}",
    "9" * 100_000,
    "x+" * 999 + "x",
    "3^{9999}*" * 200 + "1",
    "1/3^{999}+" * 150 + "1",
    r"1\pm" * 400 + "1",
    "1," * 999 + "1",
    "-" * 1999 + "1",
    "(" * 900 + "1" + ")" * 900,
    "{" * 900 + "1" + "}" * 900,
    "[(" * 450 + "1" + ")]" * 450,
    "|" * 1999,
    r"\sqrt" * 300 + "5",
    "x" + "^{x" * 300 + "}" * 300,
    r"\frac{1}{" * 150 + "2" + "}" * 150,
    r"\text{" * 280 + "a" + "}" * 280,
    "x" + "'" * 1900,
    "f(" * 300 + "x" + ")" * 300,
]


def spellings(number: Fraction) -> list[str]:
    """Returns ways to write a rational number, without the percent sign, which has two meanings."""
    above, below = number.numerator, number.denominator
    sign, size = "-" if number < 0 else "", abs(number)
    whole, rest = divmod(size, 1)
    result = [
        rf"\frac{{{above}}}{{{below}}}",
        rf"\dfrac{{{3 * above}}}{{{3 * below}}}",
        rf"\frac{{{-above}}}{{{-below}}}",
        rf"-\tfrac{{{above}}}{{{-below}}}",
        f"{above}/{below}",
        f"$ {above} / {below} $",
        rf"\left( {above}/{below} \right)",
        rf"\boxed{{\frac{{{above}}}{{{below}}}}}",
        rf"x = {{{above} \over {below}}}",
        rf"\frac{{{above}}}{{{below}}}\text{{ cm}}",
    ]
    if whole and rest:
        result += [
            rf"{sign}{whole}\frac{{{rest.numerator}}}{{{rest.denominator}}}",
            rf"{sign}{whole:,} \dfrac{{{rest.numerator}}}{{{rest.denominator}}}",
            f"{sign}{whole} {rest.numerator}/{rest.denominator}",
        ]
    if below == 1:
        groups = f"{above:,}"
        result += [str(above), groups, f"{above}.0", rf"\${groups}"]
        result += [groups.replace(",", separator) for separator in ("{,}", r",\!", r"\,", " ", "~")]
    if 10**12 % below == 0:
        digits = f"{int(size * 10**12):013}"
        result.append(f"{sign}{digits[:-12]}.{digits[-12:]}")
    return result


def test_the_table_has_no_errors(record_property: Callable[[str, object], None]) -> None:
    wrong = [
        f"{left} | {right} | equal: {row['equal']} | {row['reason']}"
        for row in TABLE
        for left, right in itertools.permutations((row["left"], row["right"]))
        if equal_answers(left, right) != (row["equal"] == "yes")
    ]

    record_property("error rate", f"{len(wrong)} of {2 * len(TABLE)}")
    assert len(TABLE) >= 150
    assert not wrong, "\n".join([f"{len(wrong)} of {2 * len(TABLE)} are wrong", *wrong])


@settings(deadline=None, max_examples=30)
@given(number=RATIONALS | st.integers(-(10**12), 10**12).map(Fraction))
def test_a_rational_number_is_equal_in_all_spellings(number: Fraction) -> None:
    first, *others = spellings(number)

    assert [each for each in others if not equal_answers(first, each)] == []


@settings(deadline=None, max_examples=60)
@given(data=st.data(), one=RATIONALS, other=RATIONALS | st.integers(-2, 2).map(Fraction))
def test_different_rational_numbers_are_not_equal(data: st.DataObject, one: Fraction, other: Fraction) -> None:
    other = data.draw(
        st.sampled_from([other, -one, 1 / one if one else other, one + 1, one * 10, one + other / 10**30])
    )
    assume(one != other)
    left, right = (data.draw(st.sampled_from(spellings(each))) for each in (one, other))

    assert not equal_answers(left, right)
    assert not equal_answers(right, left)


@settings(deadline=None, max_examples=150)
@given(*[st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=40)] * 2)
def test_any_texts_are_compared_alike_in_both_orders(one: str, other: str) -> None:
    assert equal_answers(one, one)
    assert equal_answers(one, f" {one}\n")
    assert equal_answers(one, other) == equal_answers(other, one)


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda answer: f"{answer[:20]}-{len(answer)}")
def test_what_has_no_value_within_the_limits_equals_its_own_text_alone(answer: str) -> None:
    started = time.process_time()

    assert equal_answers(answer, answer)
    assert not equal_answers(answer, "7")
    assert not equal_answers("x", answer)
    assert not equal_answers(answer, answer.replace("1", "7").replace("9", "8").replace("a", "b") + "x")
    assert time.process_time() - started < 20  # less than 2 on any machine of today


def test_a_text_beyond_the_limit_equals_itself_up_to_spaces() -> None:
    answer = "1 + " * MOST_CHARACTERS

    assert equal_answers(answer, answer.replace(" ", "\n "))
    assert not equal_answers(answer, answer + "1")


def test_answers_are_compared_outside_the_main_thread() -> None:
    results = list[bool]()
    thread = threading.Thread(target=lambda: results.append(equal_answers(r"3\frac{1}{2}", "3.5")))
    thread.start()
    thread.join()

    assert results == [True]


def test_symbols_have_the_same_values_in_every_process_and_no_torch() -> None:
    code = (
        "import sys; from crt_latent.metamath.answers import equal_answers; from crt_latent.metamath.members import *;"
        "from crt_latent.metamath.parser import parse; from crt_latent.metamath.tokens import tokens;"
        "assert 'torch' not in sys.modules; print(members(parse(tokens('x+y_1'))))"
    )
    results = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip

    assert len(results) == 1

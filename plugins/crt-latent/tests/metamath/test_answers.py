from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_latent.metamath.answers import equal_answers, value

DIGITS = st.integers(-(10**9), 10**9)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1200", "1,200"),
        ("1200", "$1200"),
        ("1200", r"\$1,200.00"),
        ("0.5", r"\frac{1}{2}"),
        ("1/2", r"\frac12"),
        ("50\\%", ".5"),
        ("-3", "- 3"),
        ("18", r"$\boxed{18}$."),
        ("x^2 + 1", "x^2+1"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        (r"90^\circ", "90"),
        (r"\text{Evelyn}", "Evelyn"),
    ],
)
def test_two_forms_of_one_answer_are_equal(one: str, other: str) -> None:
    assert equal_answers(one, other)
    assert equal_answers(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12", "1.2"),
        ("1,2", "12"),
        ("1/2", "2"),
        ("x", "y"),
        ("5", ""),
        ("(1,200)", "(1,201)"),
        ("50%", "50"),
        ("1/0", "1"),
    ],
)
def test_different_answers_are_not_equal(one: str, other: str) -> None:
    assert not equal_answers(one, other)


@settings(deadline=None)
@given(above=DIGITS, below=st.integers(1, 10**6))
def test_a_fraction_has_one_value_in_all_typesettings(above: int, below: int) -> None:
    assert value(f"{above}/{below}") == Fraction(above, below)
    assert equal_answers(rf"\frac{{{above}}}{{{below}}}", f"{above} / {below}")


@settings(deadline=None)
@given(number=DIGITS)
def test_separators_of_thousands_do_not_matter(number: int) -> None:
    assert equal_answers(f"{number:,}", str(number))

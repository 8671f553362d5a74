import math
import sys
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crtcore
from crtcore.errors import RunError
from crtcore.settings import Training
from crtcore.spec import FieldError, Validator, above, at_least, below, between, divides, each, resolve

HUGE = 10**400
"""No float is this large."""


def refusal(validator: Validator, value: Any, **others: Any) -> FieldError | None:
    """The message of the validator of a field `width` for `value`."""
    made = attrs.make_class("Made", {"width": attrs.field()})
    try:
        validator(SimpleNamespace(**others), attrs.fields(made).width, value)
    except FieldError as error:
        return error
    return None


@pytest.mark.parametrize("value", [2, 2.0, 3, HUGE])
def test_at_least_allows_its_bound_and_more(value: float) -> None:
    assert refusal(at_least(2), value) is None


@pytest.mark.parametrize("value", [1, 1.999, -HUGE, math.nan, math.inf, -math.inf])
def test_at_least_refuses_less_and_what_is_not_finite(value: float) -> None:
    assert refusal(at_least(2), value)


@pytest.mark.parametrize("value", [2.0001, 3, HUGE])
def test_above_allows_more_than_its_bound(value: float) -> None:
    assert refusal(above(2), value) is None


@pytest.mark.parametrize("value", [2, 2.0, 1, -HUGE, math.nan, math.inf, -math.inf])
def test_above_refuses_its_bound_and_what_is_not_finite(value: float) -> None:
    assert refusal(above(2), value)


@pytest.mark.parametrize("value", [1.999, 0, -HUGE])
def test_below_allows_less_than_its_bound(value: float) -> None:
    assert refusal(below(2), value) is None


@pytest.mark.parametrize("value", [2, 2.0, HUGE, math.nan, math.inf])
def test_below_refuses_its_bound_and_more(value: float) -> None:
    assert refusal(below(2), value)


@pytest.mark.parametrize("value", [0, 1, 0.5])
def test_between_allows_both_ends(value: float) -> None:
    assert refusal(between(0, 1), value) is None


@pytest.mark.parametrize("value", [-0.001, 1.001, HUGE, math.nan, math.inf, -math.inf])
def test_between_refuses_what_is_outside(value: float) -> None:
    assert refusal(between(0, 1), value)


def test_each_allows_a_sequence_of_what_its_inner_validator_allows() -> None:
    assert refusal(each(at_least(2)), (2, 3)) is None


@pytest.mark.parametrize("value", [(), (2, 1), (math.nan,)])
def test_each_refuses_none_at_all_and_any_bad_entry(value: tuple[float, ...]) -> None:
    assert refusal(each(at_least(2)), value)


@given(whole=st.integers(1, 200), part=st.integers(-5, 200))
def test_divides_allows_exactly_the_divisors(whole: int, part: int) -> None:
    divisors = [number for number in range(1, whole + 1) if whole % number == 0]

    refused = refusal(divides("whole"), part, whole=whole)

    assert (refused is None) == (part in divisors)


@pytest.mark.parametrize(
    ("validator", "value", "message"),
    [
        (at_least(2), 1, "expected at least 2, got 1"),
        (above(0), 0.0, "expected more than 0, got 0.0"),
        (between(0, 1), 2.5, "expected 0 to 1, got 2.5"),
        (each(at_least(2)), (), "expected at least one entry, got none"),
        (each(at_least(2)), (5, 1), "expected at least 2, got 1"),
        (divides("whole"), 5, "expected a divisor of whole (12), got 5"),
    ],
)
def test_a_refusal_names_the_field_and_what_was_expected(validator: Validator, value: Any, message: str) -> None:
    error = refusal(validator, value, whole=12)

    assert error
    assert (error.field, error.message, str(error)) == ("width", message, f"width: {message}")


def test_what_a_missing_package_brings_names_what_to_install() -> None:
    with pytest.raises(
        RunError, match="'no_such_package', which no-such-package needs, got no such module; pip install"
    ):
        resolve("no_such_package.part:thing")


def test_a_wrong_name_inside_a_package_is_no_missing_package() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'crtcore\.no_such_part'"):
        resolve("crtcore.no_such_part:thing")


def test_load_run_needs_the_package_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hidden:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> None:
            if name == "crt_run":
                raise ModuleNotFoundError("No module named 'crt_run'", name="crt_run")

    monkeypatch.setattr(sys, "meta_path", [Hidden, *sys.meta_path])
    for name in [name for name in sys.modules if name.partition(".")[0] == "crt_run"]:
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(RunError, match="pip install crt-run"):
        _ = crtcore.load_run


def test_a_step_has_no_more_parts_than_samples() -> None:
    assert Training(steps=1, batch=4, accumulate=4).accumulate == 4
    with pytest.raises(FieldError, match=r"expected at most batch \(4\), got 5"):
        Training(steps=1, batch=4, accumulate=5)

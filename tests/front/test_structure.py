from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.datasets.specs import Digits, Shapes
from crt_basics.decoders.specs import Ancestral
from crt_basics.experiments.specs import TwoStage
from crt_basics.metrics.specs import CodeLength, Frechet, KernelDistance
from crt_basics.priors.specs import Table
from crt_data.specs import Photos
from crt_run.executors.spec import Local
from crtcore.compose.structure import LONGEST, StructureError, Structurer
from crtcore.errors import nearest
from crtcore.kinds import BottleneckSpec, ExecutorSpec, RegularizerSpec, TokenizerSpec
from crtcore.registry import Registry, describe
from crtcore.settings import Limits, Optimizer, Sampling, Training
from crtcore.spec import Spec


@attrs.frozen(kw_only=True)
class Fields:
    whole: int = 0
    real: float = 0.0
    text: str = ""
    flag: bool = False


@attrs.frozen(kw_only=True)
class Validated:
    even: int = attrs.field(default=2, validator=attrs.validators.in_([2, 4]))
    text: str = attrs.field(default="a", validator=attrs.validators.max_len(3))


def problems(values: Any, into: Any, registry: Registry) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(StructureError) as caught:
        Structurer(registry)(values, into)
    assert len({path for path, _ in caught.value.problems}) == len(caught.value.problems)
    return dict(caught.value.problems)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("whole", True, "expected an integer, got True"),
        ("whole", 1.0, "expected an integer, got 1.0"),
        ("whole", "1", "expected an integer, got '1'"),
        ("whole", [1], "expected an integer, got [1]"),
        ("whole", {}, "expected an integer, got {}"),
        ("real", False, "expected a number, got False"),
        ("real", "0.5", "expected a number, got '0.5'"),
        ("real", float("nan"), "expected a finite number, got nan"),
        ("real", float("inf"), "expected a finite number, got inf"),
        ("text", 1, "expected a string, got 1"),
        ("text", True, "expected a string, got True"),
        ("text", ["a"], "expected a string, got ['a']"),
        ("flag", 1, "expected true or false, got 1"),
        ("flag", 0.0, "expected true or false, got 0.0"),
        ("flag", "true", "expected true or false, got 'true'"),
    ],
)
def test_a_value_of_another_type_is_refused(registry: Registry, field: str, value: Any, message: str) -> None:
    assert problems({field: value}, Fields, registry) == {(field,): message}


def test_an_integer_widens_to_a_number(registry: Registry) -> None:
    made = Structurer(registry)({"real": 3}, Fields)

    assert (made.real, type(made.real)) == (3.0, float)


def test_a_long_value_is_cut(registry: Registry) -> None:
    message = problems({"whole": "x" * 100_000}, Fields, registry)["whole",]

    assert len(message) < LONGEST + 50


@pytest.mark.parametrize("value", [3, "text", [], True])
def test_a_value_that_is_not_a_table_is_refused(registry: Registry, value: Any) -> None:
    assert problems(value, Sampling, registry) == {(): f"expected a table, got {value!r}"}


def test_all_wrong_keys_and_types_are_reported_at_once(registry: Registry) -> None:
    values = {
        "use": "ordered", "wieght": 2.0, "layers": "two",
        "optimizer": {"learning_rate": "fast", "decay": "cosin", "beta": 1}, "zzz": 1,
    }  # fmt: skip

    assert problems(values, RegularizerSpec, registry) == {
        ("wieght",): "unknown key; did you mean 'weight'?",
        ("zzz",): "unknown key; known: every, last, layers, optimizer, weight",
        ("layers",): "expected an integer, got 'two'",
        ("optimizer", "learning_rate"): "expected a number, got 'fast'",
        ("optimizer", "decay"): "expected one of 'constant', 'cosine', got 'cosin'; did you mean 'cosine'?",
        ("optimizer", "beta"): "unknown key; did you mean 'beta2'?",
    }


def test_a_required_key_that_is_absent_is_reported(registry: Registry) -> None:
    assert problems({"use": "book"}, BottleneckSpec, registry) == {("codes",): "expected a value, got nothing"}


def test_values_out_of_range_are_reported_once_keys_and_types_are_valid(registry: Registry) -> None:
    wrong = {"steps": 0, "optimizer": {"learning_rate": -1.0, "clip": 0.0}, "batch": 0}

    ranges = problems(wrong, Training, registry)
    with_a_wrong_key = problems({**wrong, "step": 1}, Training, registry)

    assert ranges == {
        ("steps",): "expected at least 1, got 0",
        ("batch",): "expected at least 1, got 0",
        ("optimizer", "learning_rate"): "expected more than 0, got -1.0",
        ("optimizer", "clip"): "expected more than 0, got 0.0",
    }
    assert with_a_wrong_key == {("step",): "unknown key; did you mean 'steps'?"}


def test_fields_that_do_not_fit_each_other_are_reported(registry: Registry) -> None:
    values = {"use": "patches", "channels": 6, "heads": 4}

    assert problems(values, TokenizerSpec, registry) == {("heads",): "expected a divisor of channels (6), got 4"}


def test_failures_of_attrs_own_validators_are_reported_too(registry: Registry) -> None:
    messages = problems({"even": 3, "text": "long"}, Validated, registry)

    assert messages.keys() == {("even",), ("text",)}
    assert all("must be" in message for message in messages.values())


def test_out_of_range_values_in_arrays_have_their_index(registry: Registry) -> None:
    values = [{"use": "ordered"}, {"use": "ordered", "weight": -1}]

    messages = problems(values, tuple[RegularizerSpec, ...], registry)

    assert messages == {(1, "weight"): "expected at least 0, got -1.0"}


def test_wrong_entries_have_their_index(registry: Registry) -> None:
    messages = problems({"length": 3, "stop": [1, "2", 3, True]}, Limits, registry)

    assert messages == {("stop", 1): "expected an integer, got '2'", ("stop", 3): "expected an integer, got True"}


@pytest.mark.parametrize("value", [5, "5", {"a": 5}])
def test_a_value_that_is_not_an_array_is_refused(registry: Registry, value: Any) -> None:
    messages = problems({"use": "fsq", "levels": value}, BottleneckSpec, registry)

    assert messages == {("levels",): f"expected an array, got {value!r}"}


def test_an_array_of_fixed_length_takes_each_entry_by_its_own_type(planted: ModuleType, registry: Registry) -> None:
    made = Structurer(registry)({"codes": 2, "shape": [3, 4]}, planted.Book)

    assert made.shape == (3, 4.0)


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ([3], (), "expected an array of 2, got [3]"),
        ([3, 1.5, 1], (), "expected an array of 2, got [3, 1.5, 1]"),
        ([1.5, 3], (0,), "expected an integer, got 1.5"),
    ],
)
def test_an_array_of_fixed_length_must_have_that_length(
    registry: Registry, value: Any, path: tuple[int, ...], message: str
) -> None:
    messages = problems({"use": "book", "codes": 2, "shape": value}, BottleneckSpec, registry)

    assert messages == {("shape", *path): message}


@pytest.mark.parametrize("value", [1, True, "Cosine"])
def test_a_choice_is_one_of_its_words(registry: Registry, value: Any) -> None:
    message = problems({"use": "book", "codes": 2, "compare": value}, BottleneckSpec, registry)["compare",]

    assert message.startswith(f"expected one of 'cosine', 'euclidean', got {value!r}")


def test_an_optional_number_widens_like_any_other(registry: Registry) -> None:
    made = Structurer(registry)({"use": "book", "codes": 2, "limit": 3}, BottleneckSpec)

    assert repr(made.limit) == "3.0"


@pytest.mark.parametrize(
    ("use", "got"), [({}, "nothing"), ({"use": 3}, "3"), ({"use": ["fsq"]}, "['fsq']"), ({"use": {}}, "{}")]
)
def test_a_component_needs_a_name(registry: Registry, use: dict[str, Any], got: str) -> None:
    messages = problems(use, BottleneckSpec, registry)

    assert messages == {("use",): f"expected the name of a bottleneck (book, fsq, shaken), got {got}"}


def test_an_unknown_component_is_reported_with_the_nearest_name(registry: Registry) -> None:
    messages = problems({"use": "boook", "codes": 2}, BottleneckSpec, registry)

    assert messages == {("use",): "no bottleneck is called 'boook'; did you mean 'book'? installed: book, fsq, shaken"}


def test_a_component_inside_another_is_reported_with_its_path(registry: Registry) -> None:
    values = {"use": "shaken", "inner": {"use": "shaken", "inner": {"use": "book", "code": 1}}, "amounts": [1, "x"]}

    assert problems(values, BottleneckSpec, registry) == {
        ("inner", "inner", "code"): "unknown key; did you mean 'codes'?",
        ("inner", "inner", "codes"): "expected a value, got nothing",
        ("amounts", 1): "expected a number, got 'x'",
    }


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("widht", ["width", "codes"], "; did you mean 'width'?"),
        ("widht", [*(f"x{number}" for number in range(400)), "width"], "; did you mean 'width'?"),
        ("zzz", ["width", "codes"], "; known: codes, width"),
        ("zzz", [], "; known: none"),
    ],
)
def test_the_nearest_word_or_all_of_them(word: str, known: list[str], hint: str) -> None:
    assert nearest(word, known) == hint


REALS = st.floats(0.001, 1e6)
OPTIMIZERS = st.builds(
    Optimizer,
    learning_rate=REALS, warmup=st.floats(0, 1), decay=st.sampled_from(["constant", "cosine"]),
    beta1=st.floats(0, 0.99), beta2=st.floats(0, 0.99), weight_decay=REALS, clip=REALS,
)  # fmt: skip
BUILTIN = st.one_of(
    st.builds(FSQ, levels=st.lists(st.integers(2, 9), min_size=1, max_size=19).map(tuple)),  # 9**19 < 2**63
    st.builds(Table, order=st.integers(0, 2**62), spread=REALS),
    st.builds(Ancestral),
    st.builds(Digits, validation=st.integers(1, 999), test=st.integers(1, 999)),
    st.builds(Photos, size=st.integers(8, 256), step=st.integers(1, 99)),
    st.builds(Shapes, train=st.integers(1, 999), size=st.integers(8, 1024), seed=st.integers(-(2**62), 2**62)),
    st.builds(Frechet, dimensions=st.integers(1, 99)),
    st.builds(KernelDistance, dimensions=st.integers(1, 99), subsets=st.integers(2, 99)),
    st.builds(CodeLength),
    st.builds(TwoStage, evaluations=st.integers(1, 99)),
    st.builds(Local, workers=st.integers(0, 9), threads=st.integers(1, 9)),
)


@given(made=BUILTIN)
def test_describing_a_component_is_the_inverse_of_structuring_it(registry: Registry, made: Spec) -> None:
    assert Structurer(registry)(describe(made, registry), type(made).__mro__[1]) == made


@given(
    made=st.one_of(
        OPTIMIZERS,
        st.builds(Training, steps=st.integers(1), batch=st.integers(1), optimizer=OPTIMIZERS, checkpoint=st.just(7)),
        st.builds(Limits, length=st.integers(0), stop=st.lists(st.integers(0)).map(tuple)),
    )
)
def test_describing_settings_is_the_inverse_of_structuring_them(registry: Registry, made: Any) -> None:
    assert Structurer(registry)(describe(made, registry), type(made)) == made


def test_every_example_comes_back(registry: Registry) -> None:
    for _, component in registry:
        base = next(each for each in component.spec.__mro__ if "kind" in vars(each))
        for example in component.examples:
            assert Structurer(registry)(describe(example, registry), base) == example


def test_a_description_leaves_out_cosmetic_fields_when_asked(planted: ModuleType, registry: Registry) -> None:
    made = planted.Patches(verbose=True)

    assert describe(made, registry) == {"use": "patches", "channels": 8, "heads": 2, "verbose": True}
    assert describe(made, registry, cosmetic=False) == {"use": "patches", "channels": 8, "heads": 2}
    assert "checkpoint" not in describe(Training(steps=1), registry, cosmetic=False)


def test_a_kind_that_begins_with_a_vowel_has_its_article(registry: Registry) -> None:
    assert problems({}, ExecutorSpec, registry)["use",].startswith("expected the name of an executor (")

from collections.abc import Iterator
from typing import Any

import attrs
import jsonschema
import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_run.cli.schema import schema
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import Key, SpecError
from crtcore.hooks import Component
from crtcore.kinds import PriorSpec
from crtcore.registry import Registry


@pytest.fixture(scope="session")
def validator(registry: Registry) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(schema(registry))


def problems(values: Any, registry: Registry) -> list[str]:
    try:
        study(Document(values, {}), registry)
    except SpecError as error:
        return [problem.message for problem in error.problems]
    return []


@pytest.mark.parametrize("empty", [True, False])
def test_the_schema_is_draft_7(registry: Registry, empty: bool) -> None:
    jsonschema.Draft7Validator.check_schema(schema(Registry.of(()) if empty else registry))


def test_a_file_with_nothing_wrong_is_accepted(sample: str, validator: jsonschema.Draft7Validator) -> None:
    assert list(validator.iter_errors(tomli.loads(sample))) == []


def test_a_role_may_be_one_table_in_one_experiment_and_many_in_another(
    sample: str, registry: Registry, validator: jsonschema.Draft7Validator
) -> None:
    values = tomli.loads(sample)
    values |= {"experiment": {"use": "scaling"}, "prior": [values["prior"]] * 2}
    values["training"]["prior"]["optimizer"] = {"decay": "constant"}
    del values["metric"]

    assert problems(values, registry) == []
    assert list(validator.iter_errors(values)) == []


def test_a_resolved_file_is_accepted(sample: str, registry: Registry, validator: jsonschema.Draft7Validator) -> None:
    (point,) = study(Document(tomli.loads(sample), {}), registry).points

    assert list(validator.iter_errors(dict(point.plan.document))) == []


def test_every_example_is_accepted(registry: Registry) -> None:
    from crtcore.registry import describe

    whole = schema(registry)
    for _, component in registry:
        for example in component.examples:
            at = {"$ref": f"#/definitions/{component.kind}", "definitions": whole["definitions"]}
            jsonschema.Draft7Validator(at).validate(describe(example, registry))


@pytest.mark.parametrize(
    "text",
    [
        "extends = 'base.toml'",
        "extends = 'base.toml'\n[bottleneck]\ncodes = 3",
        "extends = 'base.toml'\n[training.prior]\nbatch = 3",
        "extends = 'base.toml'\n[bottleneck]\nuse = 'book'",
        "extends = 'base.toml'\n[sweep]\nseed = [1]\n[sweep.arms.a]\n'b.c' = 3",
    ],
)
def test_inherited_values_are_not_required(text: str, validator: jsonschema.Draft7Validator) -> None:
    assert validator.is_valid(tomli.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "extends = 'base.toml'\n[bottleneck]\ncods = 3",
        "extends = 'base.toml'\n[bottleneck]\nuse = 'boook'",
        "extends = 'base.toml'\n[bottleneck]\ncodes = '3'",
        "extends = 'base.toml'\n[piror]",
        "extends = 3",
    ],
)
def test_the_values_of_an_inheriting_file_are_checked(text: str, validator: jsonschema.Draft7Validator) -> None:
    assert not validator.is_valid(tomli.loads(text))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("codes = 16", "coeds = 16"),
        ("codes = 16", ""),
        ("codes = 16", "codes = '16'"),
        ("codes = 16", "codes = true"),
        ("codes = 16", "codes = 16\ncompare = 'euclid'"),
        ("codes = 16", "codes = 16\nshape = [1]"),
        ("codes = 16", "codes = 16\nshape = [0.5, 1]"),
        ('use = "book"', 'use = "boook"'),
        ('use = "book"', ""),
        ('use = "two-stage"', 'use = "three-stage"'),
        ("[prior]", "[piror]"),
        ("[prior]", "[[prior]]"),
        ("[[metric]]", "[metric]"),
        ("[dataset]", "[[dataset]]"),
        ("steps = 20", "step = 20"),
        ("steps = 20", ""),
        ("[training.prior]", "[training.priour]"),
        ("temperature = 0.5", "temperature = '0.5'"),
        ("optimizer.learning_rate = 0.25", "optimizer.rate = 0.25"),
        ('name = "sample"', ""),
        ('name = "sample"', 'name = "stages"'),
        ('name = "sample"', 'name = "a/b"'),
        ("seed = 3", "seed = -1"),
        ("seed = 3", "sede = 3"),
        ("seed = 3", "seed = 3\nsweep.arms = {}"),
        ("seed = 3", "seed = 3\nsweep.claim = [{number = 'x'}]"),
        ("seed = 3", "seed = 3\nsweep.seed = 3"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(
    sample: str, registry: Registry, validator: jsonschema.Draft7Validator, right: str, wrong: str
) -> None:
    values = tomli.loads(sample.replace(right, wrong, 1))

    assert problems(values, registry)
    assert not validator.is_valid(values)


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("trained", [True, False])
def test_a_prior_that_brings_its_weights_has_no_training(
    sample: str, registry: Registry, validator: jsonschema.Draft7Validator, trained: bool, guided: bool
) -> None:
    values = tomli.loads(sample)
    values["prior"] = {"use": "saved", "run": "first"}
    if guided:
        values["prior"] = {"use": "guided", "scale": 2.0, "prior": values["prior"]}
    if not trained:
        del values["training"]["prior"]

    assert bool(problems(values, registry)) == trained
    assert validator.is_valid(values) != trained


@pytest.mark.parametrize("trained", [True, False])
def test_a_guided_prior_has_the_training_of_the_one_inside(
    sample: str, registry: Registry, validator: jsonschema.Draft7Validator, trained: bool
) -> None:
    values = tomli.loads(sample)
    values["prior"] = {"use": "guided", "scale": 2.0, "prior": values["prior"]}
    if not trained:
        del values["training"]["prior"]

    assert bool(problems(values, registry)) != trained
    assert validator.is_valid(values) == trained


def test_two_specs_of_one_class_name_are_kept_apart() -> None:
    def named(name: str) -> Component:
        fields = {name: attrs.field(type=int, default=1)}
        made = attrs.make_class("Same", fields, bases=(PriorSpec,), frozen=True, kw_only=True)
        made.build = lambda self, vocabulary, length, class_ids: None
        made.__abstractmethods__ = frozenset()
        made.__qualname__ = f"Same_{name}.Same"
        return Component(name, spec=made, summary=name, examples=(made(),))

    whole = schema(Registry.of([("one", named("one")), ("two", named("two"))]))

    at = jsonschema.Draft7Validator({"$ref": "#/definitions/prior", "definitions": whole["definitions"]})
    assert at.is_valid({"use": "one", "one": 3})
    assert not at.is_valid({"use": "one", "two": 3})


def test_fields_have_their_texts(registry: Registry) -> None:
    book = schema(registry)["definitions"]["Book"]

    assert book["properties"]["codes"]["description"] == "at least 2. Entries."
    assert book["properties"]["use"] == {"const": "book", "description": "a book"}


def places(values: Any, path: Key = ()) -> Iterator[Key]:
    """The paths of everything in a document."""
    entries = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for step, value in entries:
        yield (*path, step)
        yield from places(value, (*path, step))


@st.composite
def mutants(draw: st.DrawFn, text: str) -> dict[str, Any]:
    """A document with one or two values dropped, renamed, replaced or added."""
    values = tomli.loads(text)
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(places(values))))
        inside: Any = values
        for step in path[:-1]:
            inside = inside[step]
        change = draw(st.sampled_from(["drop", "rename", "replace", "add"]))
        if change == "drop":
            del inside[path[-1]]
        elif change == "replace":
            inside[path[-1]] = draw(
                st.sampled_from([3, 2.5, True, "text", "table", "saved", "book", [], {}, [3], [{}], {"use": "table"}])
            )
        elif isinstance(inside, dict) and change == "rename":
            inside[draw(st.sampled_from(["codes", "use", "weight", "x", "draft"]))] = inside.pop(path[-1])
        elif isinstance(inside, dict):
            inside[draw(st.sampled_from(["codes", "limit", "weight", "x", "draft", "order", "seed"]))] = draw(
                st.sampled_from([3, 2.5, True, "text", [], {"use": "table"}])
            )
    return values


INEXPRESSIBLE = ("expected at least ", "expected more than ", "expected a divisor of ", "expected a tokenizer of ")
"""Only `crt check` reports these: ranges, and fields and parts that do not fit each other."""


@settings(max_examples=500)
@given(data=st.data())
def test_the_schema_accepts_what_the_loader_accepts(
    sample: str, registry: Registry, validator: jsonschema.Draft7Validator, data: st.DataObject
) -> None:
    values = data.draw(mutants(sample))

    ours = [message for message in problems(values, registry) if not message.startswith(INEXPRESSIBLE)]

    assert validator.is_valid(values) == (not ours), ours

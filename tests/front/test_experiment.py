import json
import random
import re
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import tomli
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from crt_basics.priors.specs import Guidance, Saved, Table
from crtcore.compose import grid
from crtcore.compose.document import Document, parse
from crtcore.compose.plan import load, override, study
from crtcore.compose.study import Study, label
from crtcore.errors import LONGEST, PROBLEMS, RunError, SpecError
from crtcore.kinds import Plan
from crtcore.registry import Registry
from crtcore.settings import Sampling

WORDS = 'use = "words"'


def made(text: str, registry: Registry, *overrides: str) -> Study:
    document = parse(text, "spec.toml")
    override(document, overrides)
    return study(document, registry)


def plan(text: str, registry: Registry, *overrides: str) -> Plan:
    (point,) = made(text, registry, *overrides).points
    return point.plan


def refused(text: str, registry: Registry, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        made(text, registry, *overrides)
    return [str(problem) for problem in caught.value.problems]


def at(text: str, line: str) -> str:
    """The number of a line in a text."""
    return f"spec.toml:{text.splitlines().index(line) + 1}"


def test_a_file_becomes_one_plan(sample: str, registry: Registry) -> None:
    read = plan(sample, registry)

    assert (read.name, read.seed) == ("sample", 3)
    assert read.parts["prior"] == Table(order=1)
    assert [part.weight for part in read.parts["regularizer"]] == [0.5, 1.0]
    assert read.parts["draft"] is None
    assert {stage: training.steps for stage, training in read.training.items()} == {"tokenizer": 20, "prior": 30}
    assert read.sampling == Sampling(temperature=0.5)


def test_defaults_are_written_out_and_lead_to_the_same_plan(sample: str, registry: Registry) -> None:
    first = plan(sample, registry)

    second = plan(tomli_w.dumps(dict(first.document)), registry)

    assert first.document["training"]["prior"]["batch"] == 128
    assert second == first


def test_absent_values_are_defaults(sample: str, registry: Registry) -> None:
    read = plan(sample.replace("seed = 3\n", "").replace("[sampling]\ntemperature = 0.5\n", ""), registry)

    assert (read.seed, read.sampling) == (0, Sampling())


def shuffled(values: Any, order: random.Random) -> Any:
    if isinstance(values, dict):
        names = list(values)
        order.shuffle(names)
        return {name: shuffled(values[name], order) for name in names}
    return [shuffled(entry, order) for entry in values] if isinstance(values, list) else values


@given(order=st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_no_hash(sample: str, registry: Registry, order: random.Random) -> None:
    text = tomli_w.dumps(shuffled(tomli.loads(sample), order))

    assert plan(text, registry).hash == plan(sample, registry).hash


@pytest.mark.parametrize(
    "override",
    [
        "name=other", "training.prior.checkpoint=7", "tokenizer.verbose=true", "training.prior.batch=128",
        "regularizer.1.weight=1", "regularizer.1.optimizer.clip=1", "prior.spread=1", "executor.use=local",
    ],
)  # fmt: skip
def test_names_cosmetics_defaults_and_whole_numbers_change_no_hash(
    sample: str, registry: Registry, override: str
) -> None:
    assert plan(sample, registry, override).hash == plan(sample, registry).hash


@pytest.mark.parametrize(
    "override",
    [
        "seed=4", "experiment.evaluations=9", "dataset.test=401", "tokenizer.channels=6", "tokenizer.heads=4",
        "bottleneck.codes=17", "bottleneck.limit=2", "bottleneck.shape=[2, 0.5]", "bottleneck.compare=euclidean",
        "regularizer.0.weight=0.25", "regularizer.1.optimizer.learning_rate=0.5", "prior.order=2",
        "decoder={use = 'drafter'}|draft.use=table|training.draft.steps=1", "sampling.top_k=1", "metric=[]",
        "metric.0.dimensions=3", "training.tokenizer.steps=21", "training.prior.optimizer.decay=constant",
    ],
)  # fmt: skip
def test_any_other_field_changes_the_hash(sample: str, registry: Registry, override: str) -> None:
    assert plan(sample, registry, *override.split("|")).hash != plan(sample, registry).hash


def test_a_hash_is_twelve_hexadecimal_digits(sample: str, registry: Registry) -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", plan(sample, registry).hash)


def test_a_view_holds_what_is_declared_and_nothing_else(sample: str, registry: Registry) -> None:
    view = plan(sample, registry).only(("seed", "regularizer.0", "training.prior", "draft"), "stage 'x'")

    assert view["seed"] == 3
    assert view["regularizer.0.weight"] == 0.5
    assert view["training.prior"].steps == plan(sample, registry).training["prior"].steps
    assert view["draft"] is None
    for path in ("regularizer", "regularizer.1", "training", "training.tokenizer", "prior", "sampling", "name"):
        with pytest.raises(RunError, match=rf"^stage 'x' reads {path}, which its cache key does not hold; declare it"):
            view[path]


def test_what_a_view_holds_is_plain_and_changes_with_what_is_declared_alone(sample: str, registry: Registry) -> None:
    paths = ("seed", "experiment", "dataset", "regularizer.0.weight", "training.tokenizer", "prior", "draft")

    cold, hot = (plan(sample, registry, f"sampling.temperature={value}") for value in (1.0, 2.0))

    assert cold.only(paths).values() == hot.only(paths).values() == json.loads(json.dumps(cold.only(paths).values()))
    assert cold.only(paths).values()["regularizer.0.weight"] == 0.5
    assert cold.only(paths).values()["draft"] is None
    assert cold.only(("sampling",)).values() != hot.only(("sampling",)).values()


@pytest.mark.parametrize(
    "path", ["regularizer.7", "regularizer.weight", "experiment.evaluatoins", "prio", "training.x"]
)
def test_a_declared_path_that_no_plan_has_is_refused(sample: str, registry: Registry, path: str) -> None:
    with pytest.raises(RunError, match=f"reads {path}, which the plan does not have"):
        plan(sample, registry).only((path,)).values()


@pytest.mark.parametrize(("precision", "same"), [("float32", True), ("bfloat16", False)])
def test_compiling_is_another_run_where_it_rounds_otherwise(
    sample: str, registry: Registry, precision: str, same: bool
) -> None:
    written = f"training.prior.precision={precision}"
    eager, compiled = (
        plan(sample, registry, written, f"training.prior.compile={value}") for value in ("false", "true")
    )

    assert (eager.hash == compiled.hash) == same


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("seed=12", ("seed",), 12),
        ("bottleneck.codes = 8", ("bottleneck", "codes"), 8),
        ("prior.spread=0.5", ("prior", "spread"), 0.5),
        ("tokenizer.verbose=true", ("tokenizer", "verbose"), True),
        ("bottleneck.compare=euclidean", ("bottleneck", "compare"), "euclidean"),
        ('bottleneck.compare="euclidean"', ("bottleneck", "compare"), "euclidean"),
        ("bottleneck.shape=[2, 3.5]", ("bottleneck", "shape"), [2, 3.5]),
        ("regularizer.1.weight=0", ("regularizer", 1, "weight"), 0),
        ("draft.use=table", ("draft", "use"), "table"),
        ("name=a=b", ("name",), "a=b"),
        ("name=True", ("name",), "True"),
        ("name=", ("name",), ""),
        ("name=1\nb = 2", ("name",), "1\nb = 2"),
        ("name=" + "[" * 4000, ("name",), "[" * 4000),
    ],
)
def test_set_writes_a_value_at_a_path(sample: str, text: str, path: tuple[str | int, ...], value: Any) -> None:
    document = parse(sample, "spec.toml")

    override(document, [text])

    written: Any = document.values
    for step in path:
        written = written[step]
    assert (written, type(written)) == (value, type(value))
    assert document.where(path) == f"--set {text}"


@pytest.mark.parametrize("text", ["seed", "", "=3", "  = 3", "a..b=3", ".a=3", "a.=3"])
def test_set_needs_a_key_and_a_value(sample: str, registry: Registry, text: str) -> None:
    assert refused(sample, registry, text) == [f"--set {text}: expected KEY=VALUE, such as bottleneck.codes=128"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("regularizer.2.weight=1", "regularizer has 2 entries, and none is called 2"),
        ("regularizer.first.weight=1", "regularizer has 2 entries, and none is called 'first'"),
        ("regularizer.-1.weight=1", "regularizer has 2 entries, and none is called '-1'"),
        ("seed.x=1", "seed is no table"),
        ("draft.0.use=table", "there is no draft, and so no entry of it"),
    ],
)
def test_set_refuses_a_path_that_leads_nowhere(sample: str, registry: Registry, text: str, message: str) -> None:
    assert refused(sample, registry, text) == [f"--set {text}: {message}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bottleneck.coddes=3", "bottleneck.coddes: unknown key; did you mean 'codes'?"),
        ("botleneck.codes=3", "botleneck: unknown key; did you mean 'bottleneck'?"),
        ("bottleneck.codes=many", "bottleneck.codes: expected an integer, got 'many'"),
        ("bottleneck.codes=1", "bottleneck.codes: expected at least 2, got 1"),
        ("prior.spread=nan", "prior.spread: expected a finite number, got nan"),
        ("extends=base.toml", "extends: only a file can extend another"),
        (f"seed={2**64}", "seed: expected an integer of 64 bits, got a larger one"),
        ("seed=-1", "seed: expected an integer from 0 up to 2**63, got -1"),
        ("seed=true", "seed: expected an integer from 0 up to 2**63, got True"),
        ("training.priour.steps=1", "training.priour: unknown stage; did you mean 'prior'?"),
        ("bottleneck.0=1", "bottleneck.0: unknown key; known: codes, compare, limit, shape, spread"),
        ("0=1", "0: unknown key"),
    ],
)
def test_a_wrong_override_is_reported_with_its_own_text(
    sample: str, registry: Registry, text: str, message: str
) -> None:
    (problem,) = refused(sample, registry, text)

    assert problem.startswith(f"--set {text}: {message}")


@pytest.mark.parametrize("name", ["", "stages", "a/b", "../up", ".hidden", "-x", "a b", "x" * 101, "a\n", 3])
def test_a_name_is_a_safe_folder(sample: str, registry: Registry, name: Any) -> None:
    document = parse(sample, "spec.toml")
    document.values["name"] = name

    with pytest.raises(SpecError, match=r"spec.toml:1: name: expected a name of letters, digits"):
        study(document, registry)


def test_all_problems_are_reported_at_once_in_path_order(sample: str, registry: Registry) -> None:
    text = (
        sample.replace("seed = 3", "seed = 3\nsede = 4")
        .replace("codes = 16", "code = 16")
        .replace('use = "table"', 'use = "tabel"')
        .replace("steps = 30", 'steps = "30"')
        .replace('[decoder]\nuse = "ancestral"\n', "")
    )

    expected = [
        ("code = 16", "bottleneck.code: unknown key; did you mean 'codes'?"),
        ("[bottleneck]", "bottleneck.codes: expected a value, got nothing"),
        ("", "decoder: expected a table [decoder], got none; installed: ancestral, drafter"),
        (
            'use = "tabel"',
            "prior.use: no prior is called 'tabel'; did you mean 'table'? installed: bigram, guided, saved, table",
        ),
        ("sede = 4", "sede: unknown key; did you mean 'seed'?"),
        ('steps = "30"', "training.prior.steps: expected an integer, got '30'"),
    ]
    assert refused(text, registry) == [
        f"{at(text, line) if line else 'spec.toml'}: {message}" for line, message in expected
    ]


SAVED = 'use = "saved"\nrun = "first"\n[prior.prior]\nuse = "table"'
UNTRAINED = "[training.prior]\nsteps = 30\n"


def test_a_prior_that_brings_its_weights_needs_no_training(sample: str, registry: Registry) -> None:
    read = plan(sample.replace('use = "table"', SAVED).replace(UNTRAINED, ""), registry)

    assert read.parts["prior"] == Saved(run="first", prior=Table(order=1))
    assert list(read.training) == ["tokenizer"]


def test_training_a_prior_that_brings_its_weights_is_refused(sample: str, registry: Registry) -> None:
    text = sample.replace('use = "table"', SAVED)

    assert refused(text, registry) == [
        f"{at(text, '[training.prior]')}: training.prior: expected no table [training.prior], as 'saved' brings its "
        "weights, got one"
    ]


def test_a_wrong_table_of_a_prior_that_brings_its_weights_asks_for_no_training(sample: str, registry: Registry) -> None:
    text = sample.replace('use = "table"', SAVED.replace("run", "rnu")).replace(UNTRAINED, "")

    paths = [problem.split(": ")[1] for problem in refused(text, registry)]

    assert paths == ["prior.rnu", "prior.run"]


@pytest.mark.parametrize("override", ["prior.run=other", "prior.stage=draft", "prior.prior.order=2"])
def test_the_run_and_every_field_of_a_saved_prior_change_the_hash(
    sample: str, registry: Registry, override: str
) -> None:
    text = sample.replace('use = "table"', SAVED).replace(UNTRAINED, "")

    assert plan(text, registry, override).hash != plan(text, registry).hash


GUIDED = (
    'use = "guided"\nscale = 2\ninterval = [1, 9]\n'
    '[prior.prior]\nuse = "saved"\nrun = "first"\n'
    '[prior.prior.prior]\nuse = "table"'
)


def test_a_guided_prior_needs_no_training_either(sample: str, registry: Registry) -> None:
    text = sample.replace('use = "table"', GUIDED).replace(UNTRAINED, "")

    read = plan(text, registry)

    inside = Saved(run="first", prior=Table(order=1))
    assert read.parts["prior"] == Guidance(scale=2.0, interval=(1, 9), prior=inside)
    assert list(read.training) == ["tokenizer"]


def test_guidance_of_a_prior_that_is_trained_here_asks_for_its_training(sample: str, registry: Registry) -> None:
    guided = 'use = "guided"\nscale = 2\n[prior.prior]\nuse = "table"'
    text = sample.replace('use = "table"', guided)

    read = plan(text, registry)

    assert list(read.training) == ["tokenizer", "prior"]
    assert [problem.split(": ", 1)[1] for problem in refused(text.replace(UNTRAINED, ""), registry)] == [
        "training.prior: expected a table [training.prior] with its steps, got none",
    ]


def test_runs_with_and_without_guidance_share_the_stage_of_the_prior(sample: str, registry: Registry) -> None:
    text = sample.replace('use = "table"', 'use = "guided"\nscale = 2\n[prior.prior]\nuse = "table"')

    guided, alone = plan(text, registry), plan(sample, registry)

    assert [stage.key for stage in guided.stages] == [stage.key for stage in alone.stages]
    assert guided.hash != alone.hash
    assert plan(text, registry, "prior.scale=3").stages[1].key == guided.stages[1].key
    assert plan(text, registry, "prior.prior.order=2").stages[1].key != guided.stages[1].key


def test_entries_of_an_array_are_reported_in_the_order_of_their_index(sample: str, registry: Registry) -> None:
    text = sample + "".join("\n[[metric]]\nuse = 'frechet'\ndimensions = 0\n" for _ in range(10))

    paths = [problem.split(": ")[1] for problem in refused(text, registry)]

    assert paths == [f"metric.{index}.dimensions" for index in range(1, 11)]


def test_a_file_without_an_experiment_lists_the_installed_ones(registry: Registry) -> None:
    assert refused("name = 'x'", registry) == [
        "spec.toml: expected a table [experiment], got none; installed: compression, drafting, scaling, two-stage"
    ]


def test_the_experiment_reports_parts_that_do_not_fit(sample: str, registry: Registry) -> None:
    text = sample.replace('use = "ancestral"', 'use = "drafter"').replace('"patches"\nchannels = 4', '"words"')

    assert refused(text, registry) == [
        "spec.toml: draft: expected a table [draft]: this decoder needs a draft prior",
        f"{at(text, WORDS)}: tokenizer.use: expected a tokenizer of 'image' data, got one of 'ids'",
    ]


@pytest.mark.parametrize(
    "table", ["bottleneck", "experiment", "sampling", "training", "regularizer", "sweep", "executor"]
)
@pytest.mark.parametrize("value", [3, "text", True, [], [3], {}])
def test_a_table_that_is_something_else_is_never_a_crash(
    sample: str, registry: Registry, table: str, value: Any
) -> None:
    document = parse(sample, "spec.toml")
    document.values[table] = value

    if (table, value) in [("regularizer", []), ("sampling", {}), ("sweep", {})]:
        assert study(document, registry).points
    else:
        with pytest.raises(SpecError, match=table):
            study(document, registry)


SWEEP = """
[sweep]
seed = [0, 1]
"bottleneck.codes" = [8, 32]
[sweep.arms.baseline]
"regularizer.0.weight" = 0.0
[sweep.arms.crt]
training.tokenizer.steps = 10
"""


def test_a_sweep_is_arms_times_grid_in_the_order_they_are_written(sample: str, registry: Registry) -> None:
    expanded = made(sample + SWEEP, registry)

    assert [(point.arm, point.settings, point.plan.seed) for point in expanded.points] == [
        (arm, {"bottleneck.codes": codes}, seed) for arm in ("baseline", "crt") for seed in (0, 1) for codes in (8, 32)
    ]
    assert {point.plan.parts["regularizer"][0].weight for point in expanded.points[:4]} == {0.0}
    assert {point.plan.training["tokenizer"].steps for point in expanded.points[4:]} == {10}
    assert len({point.plan.hash for point in expanded.points}) == 8
    assert expanded.swept


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ('[{use = "fsq", levels = [4, 4]}, {use = "book", codes = 8}]', ["fsq(levels=[4, 4])", "book(codes=8)"]),
        ('[{use = "book", codes = 8}, {use = "book", codes = 9}]', ["book(codes=8)", "book(codes=9)"]),
    ],
)
def test_a_component_of_a_grid_is_labelled_by_its_name_and_fields(
    values: str, names: list[str], sample: str, registry: Registry
) -> None:
    expanded = made(f"{sample}[sweep]\nbottleneck = {values}\n", registry)

    assert [point.group for point in expanded.points] == [f"baseline, bottleneck={each}" for each in names]


VALUES = [
    8, -1, 8.0, 1e-5, True, "8", "true", "vq", "", "a=1", "a=1, b", '"a"', "é",
    [4, 4], ["4, 4"], [[4], 4], {"use": "vq", "codes": 8}, {"use": "vq", "name": "codes=8"}, {"a": 1},
]  # fmt: skip


def test_different_values_have_different_labels() -> None:
    texts = [label(value) for value in VALUES]

    assert len(set(texts)) == len(VALUES)
    assert [label(value) for value in (8, 8.0, True, "vq", "8", "a=1, b", [4, 4])] == [
        "8", "8.0", "true", "vq", '"8"', '"a=1, b"', "[4, 4]",
    ]  # fmt: skip


def test_a_point_of_a_sweep_is_the_run_of_its_own_file(sample: str, registry: Registry) -> None:
    (first, *_) = made(sample + SWEEP, registry).points

    alone = plan(sample, registry, "seed=0", "bottleneck.codes=8", "regularizer.0.weight=0")

    assert alone == first.plan


def test_dotted_and_quoted_paths_in_a_sweep_are_one(sample: str, registry: Registry) -> None:
    quoted = made(sample + SWEEP, registry)
    dotted = made(sample + SWEEP.replace('"', ""), registry)

    assert dotted == attrs.evolve(quoted, document=dotted.document)
    assert dotted.hash == quoted.hash


def test_a_sweep_without_arms_has_a_baseline(sample: str, registry: Registry) -> None:
    expanded = made(sample + "[sweep]\nseed = [5, 6]\n", registry)

    assert [(point.arm, point.settings, point.plan.seed) for point in expanded.points] == [
        ("baseline", {}, 5), ("baseline", {}, 6),
    ]  # fmt: skip


def test_a_file_without_a_sweep_is_not_swept(sample: str, registry: Registry) -> None:
    expanded = made(sample, registry)

    assert ([point.group for point in expanded.points], expanded.swept) == (["baseline"], False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"botleneck.codes" = 3', "botleneck: unknown key; did you mean 'bottleneck'?"),
        ('"bottleneck.coddes" = 3', "bottleneck.coddes: unknown key; did you mean 'codes'?"),
        ('"bottleneck.codes" = 1', "bottleneck.codes: expected at least 2, got 1"),
        ('"bottleneck.codes" = "x"', "bottleneck.codes: expected an integer, got 'x'"),
        ('"regularizer.7.weight" = 3', "sweep.arms.odd.regularizer.7.weight: regularizer has 2 entries"),
        ("seed.x = 3", "sweep.arms.odd.seed.x: seed is no table"),
        ('"draft.0.use" = "table"', "sweep.arms.odd.draft.0.use: there is no draft"),
        ("executor.workers = 2", "sweep.arms.odd.executor.workers: executor is one for all points"),
        ('name = "other"', "sweep.arms.odd.name: name is one for all points"),
        ('extends = "x.toml"', "sweep.arms.odd.extends: extends is one for all points"),
        ("sweep.seed = [1]", "sweep.arms.odd.sweep.seed: sweep is one for all points"),
        ("prior.order = 7", "sweep.arms.odd.prior.order: expected one value at a point, but sweep.prior.order sets"),
    ],
)
def test_a_mistake_of_an_arm_is_reported_once_at_its_own_line(
    sample: str, registry: Registry, line: str, message: str
) -> None:
    text = f"{sample}\n[sweep]\nprior.order = [1, 2]\n[sweep.arms.baseline]\n[sweep.arms.odd]\n{line}\n"

    (problem,) = refused(text, registry)

    assert problem.startswith(f"{at(text, line)}: {message}")


def test_an_override_that_the_sweep_overwrites_everywhere_is_refused(sample: str, registry: Registry) -> None:
    document = parse(sample + "\n[sweep]\nseed = [0, 1]\n", "spec.toml")
    override(document, ["seed=7"])

    with pytest.raises(SpecError, match=r"--set seed=7: seed: has no effect.*--set 'sweep\.seed=…'"):
        study(document, registry)


def test_an_override_that_some_arm_keeps_is_taken(sample: str, registry: Registry) -> None:
    document = parse(sample + "\n[sweep.arms.baseline]\n[sweep.arms.odd]\nbottleneck.codes = 4\n", "spec.toml")
    override(document, ["bottleneck.codes=5"])

    points = study(document, registry).points

    assert [point.plan.parts["bottleneck"].codes for point in points] == [5, 4]


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("[sweep.arms.baseline]\n[sweep.arms.b]\n", "sweep: expected points that differ, got one twice"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(sample: str, registry: Registry, arms: str, message: str) -> None:
    (problem,) = refused(sample + "\n" + arms, registry)

    assert message in problem


@pytest.mark.parametrize(
    ("arms", "baseline"),
    [
        ("[sweep.arms.a]\nseed = 1\n[sweep.arms.b]\n", "a"),
        ("[sweep.arms.a]\nseed = 1\n[sweep.arms.baseline]\n", "baseline"),
        ("[sweep]\nseed = [1, 2]\n", "baseline"),
        ("", "baseline"),
    ],
)
def test_the_baseline_is_the_arm_of_that_name_or_the_first(
    sample: str, registry: Registry, arms: str, baseline: str
) -> None:
    assert made(f"{sample}\n{arms}", registry).baseline == baseline


def test_a_claim_without_against_is_against_the_first_arm(sample: str, registry: Registry) -> None:
    text = "\n[sweep.arms.a]\nseed = 1\n[sweep.arms.b]\n[[sweep.claim]]\nnumber = 'x'\narm = 'b'\n"

    (claim,) = made(sample + text, registry).claims

    assert claim.against == "a"


SWAP = """
[sweep.arms.plain]
[sweep.arms.levels]
bottleneck.levels = [2, 2]
bottleneck.use = "fsq"
"""


def test_an_arm_that_changes_a_use_drops_the_fields_of_the_other_component(sample: str, registry: Registry) -> None:
    plain, levels = made(sample + SWAP, registry).points

    assert plain.plan.document["bottleneck"]["codes"] == 16
    assert levels.plan.document["bottleneck"] == {"use": "fsq", "levels": [2, 2]}


def test_an_axis_of_components_drops_the_fields_of_the_others(sample: str, registry: Registry) -> None:
    points = made(sample + "\n[sweep]\nprior.use = ['bigram', 'table']\n", registry).points

    assert [point.plan.document["prior"] for point in points] == [
        {"use": "bigram"}, {"use": "table", "order": 1, "spread": 1.0},
    ]  # fmt: skip
    assert [sorted(point.plan.training) for point in points] == [["tokenizer"], ["prior", "tokenizer"]]


@pytest.mark.parametrize("turned", [False, True])
def test_an_override_of_a_use_drops_the_fields_of_the_other_component(
    sample: str, registry: Registry, turned: bool
) -> None:
    overrides = ["bottleneck.use=fsq", "bottleneck.levels=[2, 2]"]

    read = plan(sample, registry, *(overrides[::-1] if turned else overrides))

    assert read.document["bottleneck"] == {"use": "fsq", "levels": [2, 2]}


def test_an_override_of_a_use_that_is_there_drops_nothing(sample: str, registry: Registry) -> None:
    assert plan(sample, registry, "bottleneck.use=book") == plan(sample, registry)


def test_an_entry_of_an_array_is_swapped_too(sample: str, registry: Registry) -> None:
    (problem,) = refused(sample, registry, "regularizer.0.use=none")

    assert problem.startswith("--set regularizer.0.use=none: regularizer.0.use: no regularizer is called 'none'")


def test_an_override_of_a_field_that_the_other_component_lacks_is_refused(sample: str, registry: Registry) -> None:
    (problem,) = refused(sample, registry, "bottleneck.use=fsq", "bottleneck.levels=[2]", "bottleneck.codes=4")

    assert problem.startswith("--set bottleneck.codes=4: bottleneck.codes: unknown key")


def test_an_override_that_every_arm_drops_has_no_effect(sample: str, registry: Registry) -> None:
    text = sample + "\n[sweep.arms.one]\nbottleneck.use = 'fsq'\nbottleneck.levels = [2, 2]\n"

    (problem,) = refused(text, registry, "bottleneck.codes=4")

    assert "bottleneck.codes: has no effect, as the sweep sets it at every point" in problem


def test_a_file_that_changes_a_use_drops_the_fields_of_its_base(
    tmp_path: Path, sample: str, registry: Registry
) -> None:
    (tmp_path / "base.toml").write_text(sample)
    (tmp_path / "spec.toml").write_text('extends = "base.toml"\n[bottleneck]\nuse = "fsq"\nlevels = [2, 2]\n')

    (point,) = load(tmp_path / "spec.toml", registry).points

    assert point.plan.document["bottleneck"] == {"use": "fsq", "levels": [2, 2]}


def test_the_training_of_a_prior_that_was_swapped_for_one_with_weights_is_not_used(
    sample: str, registry: Registry
) -> None:
    assert list(plan(sample, registry, "prior.use=bigram").training) == ["tokenizer"]
    (problem,) = refused(sample, registry, "prior.use=bigram", "training.prior.batc=1")
    assert "training.prior.batc: unknown key; did you mean 'batch'?" in problem


def test_a_problem_of_some_arms_names_them(sample: str, registry: Registry) -> None:
    arms = "".join(f"[sweep.arms.{name}]\ndecoder.use = '{use}'\n" for name, use in ARMS)

    (problem,) = refused(f"{sample}\n{arms}", registry)

    assert problem == (
        "spec.toml: draft: expected a table [draft]: this decoder needs a draft prior (in the arms 'two', 'three')"
    )


ARMS = (("one", "ancestral"), ("two", "drafter"), ("three", "drafter"))


def test_one_mistake_in_two_arms_is_reported_at_both_lines(sample: str, registry: Registry) -> None:
    text = f"{sample}\n[sweep.arms.baseline]\nbottleneck.codes = 1 #\n[sweep.arms.odd]\nbottleneck.codes = 1\n"

    where = [problem.split(": ")[0] for problem in refused(text, registry)]

    assert where == [at(text, "bottleneck.codes = 1 #"), at(text, "bottleneck.codes = 1")]


def test_a_mistake_outside_the_sweep_is_reported_once(sample: str, registry: Registry) -> None:
    text = (sample + SWEEP).replace("order = 1", "order = -1")

    assert refused(text, registry) == [f"{at(text, 'order = -1')}: prior.order: expected at least 0, got -1"]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("[sweep]\nseed = 3", "sweep.seed: expected an array of values to try, got 3"),
        ("[sweep]\nseed = []", "sweep.seed: expected an array of values to try, got []"),
        ("[sweep.arms]", "sweep.arms: expected a table for each arm, got {}"),
        ("[sweep]\narms = [1]", "sweep.arms: expected a table for each arm, got [1]"),
        ("[sweep.arms]\na = 3", "sweep.arms: expected a table for each arm, got {'a': 3}"),
        ("[sweep.arms.'a/b']", "sweep.arms.a/b: expected a name of letters, digits"),
        ("[sweep]\nseed = [0, 1, 0]", "sweep: expected points that differ, got one twice: baseline, seed 0"),
        ("[sweep]\n'prior.spread' = [1, 1.0]", "sweep: expected points that differ, got one twice"),
        ("[sweep]\n'prior.order' = [1]\nprior.order = [2]", "sweep.prior.order: expected one value at a point"),
        ("[sweep]\nexecutor.workers = [1, 2]", "sweep.executor.workers: executor is one for all points"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(sample: str, registry: Registry, sweep: str, message: str) -> None:
    assert any(f": {message}" in problem for problem in refused(f"{sample}\n{sweep}\n", registry))


CLAIM = """
[[sweep.claim]]
number = "frechet"
arm = "crt"
"""


NUMBERS = "[" + ", ".join(map(str, range(1000))) + "]"
BEYOND = {
    "points": f"[sweep]\nseed = {NUMBERS}\nprior.order = {NUMBERS}\nbottleneck.codes = {NUMBERS}\n",
    "axes": "[sweep]\n" + "".join(f"a{n} = [1, 2]\n" for n in range(9000)),
    "values": f"[sweep]\nseed = {NUMBERS}\n",
}


@pytest.mark.parametrize("sort", BEYOND)
def test_a_study_beyond_its_bounds_is_refused_within_a_second(sample: str, registry: Registry, sort: str) -> None:
    began = time.process_time()

    with pytest.raises(SpecError) as caught:
        study(parse(sample.replace("[sampling]", f"[sampling]\nbanned = {NUMBERS}") + BEYOND[sort], "x"), registry)

    assert time.process_time() - began < 1
    (problem,) = caught.value.problems
    assert (
        problem.message
        == f"expected at most {grid.POINTS:,} points, with {grid.VALUES:,} values in all of them, got more"
    )


@pytest.mark.parametrize(
    "more",
    [
        "".join(f"k{n} = 1\n" for n in range(20_000)),
        "x = [" + "{ y = [], z = {} }, " * 8000 + "]\n",
        "sweep.claim = [" + "{ number = 'x', arm = 'bas' }, " * 5000 + "]\nsweep.seed = [1]\n",
        "sampling.banned = ['x'" + ", 'x'" * 20_000 + "]\n",
        "sampling.banned = [-1" + ", -1" * 20_000 + "]\n",
        "sweep.arms.baseline = {" + ", ".join(f"k{n} = 1" for n in range(15_000)) + "}\n",
        "sweep.arms.baseline = {" + ", ".join(f"x.k{n} = 1" for n in range(10_000)) + "}\nsweep.x = [1]\n",
    ],
)
def test_of_many_problems_the_first_are_named_within_a_second(sample: str, registry: Registry, more: str) -> None:
    document = parse(more + sample.replace("[sampling]\ntemperature = 0.5", ""), "spec.toml")
    began = time.process_time()

    with pytest.raises(SpecError) as caught:
        study(document, registry)

    assert time.process_time() - began < 1
    named = caught.value.problems
    assert len(named) <= PROBLEMS + 1
    assert len(named) < PROBLEMS or named[-1].message == f"these are the first {PROBLEMS} problems; there are more"
    assert max(map(len, str(caught.value).splitlines())) < 3 * LONGEST


def test_a_problem_is_one_line_whatever_its_key_is(sample: str, registry: Registry) -> None:
    key = r'"\n\u001b[31m\u0000\u202e"'

    with pytest.raises(SpecError) as caught:
        study(parse(f"{key} = 1\n{sample}", "a\udcff.toml"), registry)

    assert str(caught.value).startswith(r"a\udcff.toml:1: \n\x1b[31m\x00\u202e: unknown key")
    assert str(caught.value).isprintable()
    assert caught.value.problems[0].path == ("\n\x1b[31m\0\u202e",)


def test_a_claim_is_against_the_baseline_and_for_less(sample: str, registry: Registry) -> None:
    (claim,) = made(sample + SWEEP + CLAIM, registry).claims

    assert attrs.asdict(claim) == {"number": "frechet", "arm": "crt", "against": "baseline", "expect": "lower"}


def test_a_claim_changes_the_hash_of_the_study_and_of_no_run(sample: str, registry: Registry) -> None:
    with_claim, without = made(sample + SWEEP + CLAIM, registry), made(sample + SWEEP, registry)

    assert with_claim.points == without.points
    assert with_claim.hash != without.hash


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (CLAIM.replace('"crt"', '"crtt"'), "claim.0.arm: no arm is called 'crtt'; did you mean 'crt'?"),
        (CLAIM + 'against = "base"', "claim.0.against: no arm is called 'base'; did you mean 'baseline'?"),
        (CLAIM + 'against = "crt"', "claim.0.against: expected another arm than 'crt', got the same"),
        (CLAIM + CLAIM, "claim.1: expected each claim once, got it twice"),
        (CLAIM + 'expect = "less"', "claim.0.expect: expected one of 'lower', 'higher', got 'less'"),
        (CLAIM + "margin = 3", "claim.0.margin: unknown key"),
        ("[[sweep.claim]]\nnumber = 'x'", "claim.0.arm: expected a value, got nothing"),
        ("[sweep.claim]\nnumber = 'x'", "claim: expected an array, got"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(sample: str, registry: Registry, claim: str, message: str) -> None:
    (problem,) = refused(sample + SWEEP + claim, registry)

    assert f": sweep.{message}" in problem


def test_claims_on_an_arm_with_a_mistake_do_not_add_another(sample: str, registry: Registry) -> None:
    text = (sample + SWEEP + CLAIM).replace("training.tokenizer.steps = 10", "training.tokenizer.steps = 0")

    (problem,) = refused(text, registry)

    assert "training.tokenizer.steps: expected at least 1, got 0" in problem


def test_a_file_is_loaded_with_its_base_and_overrides(tmp_path: Path, sample: str, registry: Registry) -> None:
    (tmp_path / "base.toml").write_text(sample)
    (tmp_path / "spec.toml").write_text('extends = "base.toml"\nseed = 9\n[bottleneck]\ncodes = 5\n')

    loaded = load(tmp_path / "spec.toml", registry, ["bottleneck.codes=6"])

    assert loaded.points[0].plan == plan(sample, registry, "seed=9", "bottleneck.codes=6")


def test_a_mistake_in_a_base_is_reported_in_its_own_file(tmp_path: Path, sample: str, registry: Registry) -> None:
    (tmp_path / "base.toml").write_text(text := sample.replace("codes = 16", "codes = 1"))
    (tmp_path / "spec.toml").write_text('extends = "base.toml"\n')

    with pytest.raises(SpecError) as caught:
        load(tmp_path / "spec.toml", registry)

    line = text.splitlines().index("codes = 1") + 1
    assert caught.value.problems[0].where == f"{tmp_path / 'base.toml'}:{line}"


def test_studying_leaves_the_document_as_it_was(sample: str, registry: Registry) -> None:
    document = parse(sample + SWEEP, "spec.toml")

    study(document, registry)

    assert document == parse(sample + SWEEP, "spec.toml")


def test_a_document_without_origins_is_studied_alike(sample: str, registry: Registry) -> None:
    assert study(Document(tomli.loads(sample), {}), registry) == made(sample, registry)

"""Training: batches, courses, clipping, and resuming bit for bit."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crt_basics.bottlenecks.fsq import Grid
from crt_basics.bottlenecks.specs import FSQ
from crt_laws.toys import Chain, Patches
from crt_run.runs import checkpoint
from crt_run.runs.records import RECORDS, read_records
from crt_run.runs.run import Stage
from crt_run.training import trainer as train
from crt_run.training.losses import Loss, penalised
from crt_run.training.order import AHEAD, batch_at, seeded, step_noise
from crt_run.training.trainer import Part, StepRange, fit
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Encoded, RegularizerOutput
from crtcore.noise import Noise
from crtcore.settings import Optimizer, Training

STEPS = 12
DATA = torch.linspace(-2, 2, 40).reshape(10, 4)
PLAIN = Optimizer(learning_rate=0.1, warmup=0.0, decay="constant")


class Around:
    """What a stage needs of a run."""

    def __init__(self, stops: Iterator[bool] | None = None) -> None:
        self.stops = stops or itertools.repeat(False)
        self.lines: list[Any] = []

    def record(self, line: Any) -> None:
        self.lines.append(line)

    def stopping(self) -> bool:
        return next(self.stops)


def stage(folder: Path, stops: Iterator[bool] | None = None) -> Stage:
    run: Any = Around(stops)
    folder.mkdir(exist_ok=True)
    return Stage(run, "toy", folder)


def made(seed: int = 1) -> dict[str, Part]:
    """Three parts: one that is judged, one under another optimiser, and one without parameters."""
    with seeded(seed, "main"):
        main = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 4))
    with seeded(seed, "other"):
        other = nn.Linear(4, 1, bias=False)
    fast = Optimizer(learning_rate=0.3, beta2=0.9, weight_decay=0.1)
    return {"main": Part(main, Optimizer()), "other": Part(other, fast), "none": Part(nn.ReLU(), fast)}


def objective(parts: dict[str, Part]) -> Callable[[int, float], Loss]:
    noise = Noise(3, "order")

    def loss(step: int, progress: float) -> Loss:
        batch = DATA[batch_at(noise, len(DATA), 4, step)]
        out = parts["none"].module(parts["main"].module(batch))
        error = (out - batch).square().mean()
        return Loss(error + (1 + progress) * parts["other"].module(out).square().mean(), {"error": error})

    return loss


def judging(parts: dict[str, Part], scores: list[float] | None) -> Callable[[], float] | None:
    """The scores in turn, whatever the weights: what comes out must be those of the best turn."""
    if scores is None:
        return None
    main: Any = parts["main"].module

    def validate() -> float:
        return scores[int(main[1].num_batches_tracked) * len(scores) // STEPS - 1]

    return validate


def outcome(
    folder: Path, scores: list[float] | None, every: int, stops: Iterator[bool] | None = None
) -> checkpoint.Saved:
    parts = made()
    fit(
        stage(folder, stops), parts, Training(steps=STEPS, batch=4, checkpoint=every), objective(parts),
        validate=judging(parts, scores), validations=len(scores or [0]),
    )  # fmt: skip
    saved = checkpoint.load(folder / "final")
    for name, part in parts.items():
        for key, value in part.module.state_dict().items():
            assert torch.equal(saved.tensors[f"part.{name}.{key}"], value)
    return saved


def equal(one: checkpoint.Saved, other: checkpoint.Saved) -> bool:
    return (
        one.state == other.state
        and one.tensors.keys() == other.tensors.keys()
        and all(torch.equal(value, other.tensors[name]) for name, value in one.tensors.items())
    )


# Batches


@given(
    size=st.integers(1, 30), batch=st.integers(1, 40), epochs=st.integers(1, 3),
    seed=st.integers(0, 2**63 - 1),
)  # fmt: skip
def test_every_sample_comes_once_an_epoch(size: int, batch: int, epochs: int, seed: int) -> None:
    noise = Noise(seed, "order")

    steps = -(-size * epochs // batch)
    visited = torch.cat([batch_at(noise, size, batch, step) for step in range(steps)])

    assert len(visited) == steps * batch
    for epoch in range(epochs):
        assert sorted(visited[epoch * size : (epoch + 1) * size].tolist()) == list(range(size))


@given(size=st.integers(1, 30), batch=st.integers(1, 40), step=st.integers(0, 10**6), other=st.integers(0, 2**40))
def test_a_batch_depends_on_its_step_and_seed_alone(size: int, batch: int, step: int, other: int) -> None:
    first = batch_at(Noise(5, "order"), size, batch, step)

    torch.manual_seed(other)
    torch.rand(3)
    batch_at(Noise(other, "order"), size, batch, step + 1)

    assert torch.equal(batch_at(Noise(5, "order"), size, batch, step), first)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [batch_at(Noise(seed, "order"), 20, 20, step).tolist() for seed in (0, 1) for step in (0, 1)]

    assert len({tuple(order) for order in orders}) == 4


# Resuming

SCORES = [None, [3.0, 1.0, 2.0, 4.0], [math.inf, math.nan, 5.0, 5.0], [math.nan, math.inf]]


@pytest.mark.parametrize("scores", SCORES, ids=str)
@pytest.mark.parametrize("stop", range(1, STEPS))
def test_a_stop_at_any_step_changes_no_bit(tmp_path: Path, scores: list[float] | None, stop: int) -> None:
    whole = outcome(tmp_path / "whole", scores, every=STEPS + 1)

    stops = itertools.chain(itertools.repeat(False, stop - 1), [True])
    with pytest.raises(Stopped):
        outcome(tmp_path / "parts", scores, every=STEPS + 1, stops=stops)
    kept = [path.name for path in (tmp_path / "parts").iterdir() if path.is_dir()]
    resumed = outcome(tmp_path / "parts", scores, every=STEPS + 1)

    assert kept == [f"step-{stop:09d}"]
    assert equal(resumed, whole)


@settings(max_examples=25)
@given(stops=st.lists(st.booleans(), max_size=2 * STEPS), every=st.integers(1, STEPS))
def test_however_often_it_stops_it_ends_the_same(
    tmp_path_factory: pytest.TempPathFactory, stops: list[bool], every: int
) -> None:
    whole = outcome(tmp_path_factory.mktemp("whole"), SCORES[1], every=STEPS + 1)

    folder, left = tmp_path_factory.mktemp("parts"), itertools.chain(stops, itertools.repeat(False))
    while not checkpoint.committed(folder / "final"):
        try:
            resumed = outcome(folder, SCORES[1], every, left)
        except Stopped:
            continue

    assert equal(resumed, whole)
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["final"]


def test_a_kill_between_checkpoints_goes_back_to_the_last_one(tmp_path: Path) -> None:
    whole = outcome(tmp_path / "whole", SCORES[1], every=STEPS + 1)

    class Killed(BaseException):
        pass

    def killed() -> Iterator[bool]:
        yield from itertools.repeat(False, 7)
        raise Killed

    with pytest.raises(Killed):
        outcome(tmp_path / "parts", SCORES[1], every=3, stops=killed())
    kept = [path.name for path in (tmp_path / "parts").iterdir() if path.is_dir()]
    resumed = outcome(tmp_path / "parts", SCORES[1], every=3)

    assert kept == ["step-000000006"]
    assert equal(resumed, whole)


@pytest.mark.parametrize(
    ("scores", "best"), [([3.0, 1.0, 2.0, 4.0], 6), ([5.0, 5.0, math.nan], 4), ([4.0, 3.0, -1.0], 12)], ids=str
)
def test_the_validated_part_ends_as_it_was_when_it_was_best(tmp_path: Path, scores: list[float], best: int) -> None:
    saved = outcome(tmp_path / "best", scores, every=5)

    assert saved.tensors["part.main.1.num_batches_tracked"] == best
    assert saved.state == {"step": STEPS, "score": min(score for score in scores if math.isfinite(score))}


def test_a_finished_stage_is_loaded_and_not_trained(tmp_path: Path) -> None:
    whole = outcome(tmp_path / "it", None, every=5)
    parts = made(seed=9)

    def never(step: int, progress: float) -> Loss:
        raise AssertionError(f"trained at step {step}")

    fit(stage(tmp_path / "it"), parts, Training(steps=STEPS, batch=4), never)

    assert torch.equal(parts["other"].module.weight, whole.tensors["part.other.weight"])  # type: ignore[arg-type]


def test_what_fits_no_part_is_reported_with_its_folder(tmp_path: Path) -> None:
    outcome(tmp_path / "it", None, every=5)
    parts = {"main": Part(nn.Linear(2, 2), PLAIN)}

    with pytest.raises(RunError) as caught:
        fit(stage(tmp_path / "it"), parts, Training(steps=STEPS), lambda step, progress: Loss(torch.zeros(()), {}))

    assert str(caught.value).startswith("stage 'toy': ")
    assert f"delete the folder {tmp_path / 'it'} and give the same command again" in str(caught.value)
    assert "\n" not in str(caught.value)


# Legs


def legs(folder: Path, ends: list[int], scores: list[float] | None = None) -> checkpoint.Saved:
    """The same training, cut at some steps."""
    saved = None
    for place, end in enumerate([*ends, None]):
        parts, part = made(), stage(folder / str(place))
        training = Training(steps=STEPS, batch=4, checkpoint=2)
        fit(
            part, parts, training, objective(parts),
            validate=judging(parts, scores), validations=len(scores or [0]), step_range=StepRange(saved, end),
        )  # fmt: skip
        saved = part.latest()
    assert saved is not None
    return saved


@pytest.mark.parametrize("scores", SCORES, ids=str)
@pytest.mark.parametrize("ends", [[1], [11], [4, 6], [5, 5, 9]], ids=str)
def test_a_training_in_legs_is_the_whole_one_bit_for_bit(
    tmp_path: Path, ends: list[int], scores: list[float] | None
) -> None:
    whole = outcome(tmp_path / "whole", scores, every=STEPS + 1)

    (tmp_path / "legs").mkdir()
    cut = legs(tmp_path / "legs", ends, scores)

    assert equal(cut, whole)


def test_a_leg_that_is_killed_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    whole = legs(tmp_path, [4])
    shutil.rmtree(tmp_path / "1" / "final")
    stops = itertools.chain(itertools.repeat(False, 4), [True])
    parts, start = made(), stage(tmp_path / "0").latest()
    training = Training(steps=STEPS, batch=4, checkpoint=2)

    with pytest.raises(Stopped):
        fit(stage(tmp_path / "1", stops), parts, training, objective(parts), step_range=StepRange(start))
    kept = [path.name for path in (tmp_path / "1").iterdir() if path.is_dir()]
    again = made()
    fit(stage(tmp_path / "1"), again, training, objective(again), step_range=StepRange(start))

    assert kept == ["step-000000009"]
    assert equal(checkpoint.load(tmp_path / "1" / "final"), whole)


def test_two_legs_from_one_start_do_not_disturb_each_other(tmp_path: Path) -> None:
    legs(tmp_path, [4])
    start, training = stage(tmp_path / "0").latest(), Training(steps=STEPS, batch=4)

    for name in ("one", "other"):
        parts = made()
        fit(stage(tmp_path / name), parts, training, objective(parts), step_range=StepRange(start))

    assert equal(*(checkpoint.load(tmp_path / name / "final") for name in ("one", "other")))


def test_a_leg_says_where_it_began(tmp_path: Path) -> None:
    legs(tmp_path, [4])

    lines = [read_records(tmp_path / name / RECORDS) for name in "01"]
    assert [{line.get("start") for line in own} for own in lines] == [{None}, {4}]


# What is recorded


def test_a_step_that_is_validated_keeps_its_loss_too(tmp_path: Path) -> None:
    outcome(tmp_path / "it", [4.0, 3.0], every=5)

    lines = {line["step"]: line for line in read_records(tmp_path / "it" / RECORDS)}

    assert [step for step, line in lines.items() if "validation" in line] == [6, 12]
    assert all({"error", "gradient_norm.main", "gradient_norm.other"} <= line.keys() for line in lines.values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bad", [0, 4, STEPS - 1])
def test_a_loss_that_is_no_number_names_its_stage_and_step(tmp_path: Path, value: float, bad: int) -> None:
    parts = {"main": Part(nn.Linear(1, 1), PLAIN)}

    def loss(step: int, progress: float) -> Loss:
        return Loss(parts["main"].module(torch.ones(1)).sum() + (value if step == bad else 0.0), {})

    with pytest.raises(RunError, match=rf"stage 'toy': the loss is {value} at step {bad + 1}; .*learning_rate"):
        fit(stage(tmp_path / "it"), parts, Training(steps=STEPS, checkpoint=1), loss)

    assert not checkpoint.committed(tmp_path / "it" / "final")


def test_no_checkpoint_holds_a_loss_that_is_no_number(tmp_path: Path) -> None:
    parts = {"main": Part(nn.Linear(1, 1), PLAIN)}

    def loss(step: int, progress: float) -> Loss:
        return Loss(parts["main"].module(torch.ones(1)).sum() * (math.nan if step >= 100 else 1.0), {})

    with pytest.raises(RunError, match="the loss is nan at step 101"):
        fit(stage(tmp_path / "it"), parts, Training(steps=500, checkpoint=1), loss)

    (kept,) = tmp_path.glob("it/step-*")
    assert all(bool(value.isfinite().all()) for value in checkpoint.load(kept).tensors.values())


# Optimisers


@pytest.mark.parametrize("decay", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.25, 0.5, 1.0])
def test_the_step_size_rises_to_its_peak_and_takes_its_course(tmp_path: Path, decay: Any, warmup: float) -> None:
    # Without momentum and decay AdamW moves each weight by the step size, against the gradient's sign.
    settings = Optimizer(learning_rate=0.5, warmup=warmup, decay=decay, beta1=0.0, beta2=0.0)
    module = nn.Linear(1, 1, bias=False)
    places: list[float] = []

    def loss(step: int, progress: float) -> Loss:
        places.append(module.weight.item())
        return Loss(module.weight.sum(), {})

    fit(stage(tmp_path / "it"), {"main": Part(module, settings)}, Training(steps=8), loss)

    moved = [before - after for before, after in itertools.pairwise([*places, module.weight.item()])]
    risen = [min((step + 1) / 8 / warmup, 1.0) if warmup else 1.0 for step in range(8)]
    past = [max((step + 1) / 8 - warmup, 0) / (1 - warmup) if warmup < 1 else 0.0 for step in range(8)]
    fallen = [(1 + math.cos(math.pi * share)) / 2 if decay == "cosine" else 1.0 for share in past]
    assert moved == pytest.approx([0.5 * up * down for up, down in zip(risen, fallen, strict=True)], abs=1e-5)


def test_progress_goes_from_nothing_to_just_before_the_end(tmp_path: Path) -> None:
    module, seen = nn.Linear(1, 1), list[tuple[int, float]]()

    def loss(step: int, progress: float) -> Loss:
        seen.append((step, progress))
        return Loss(module.weight.sum(), {})

    fit(stage(tmp_path / "it"), {"main": Part(module, PLAIN)}, Training(steps=4), loss)

    assert seen == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_are_taken_in_the_precision_that_is_asked_for(tmp_path: Path, precision: Any) -> None:
    module, seen = nn.Linear(4, 4), list[torch.dtype]()

    def loss(step: int, progress: float) -> Loss:
        product = module(DATA)
        seen.append(product.dtype)
        return Loss(product.float().square().mean(), {})

    fit(stage(tmp_path / "it"), {"main": Part(module, PLAIN)}, Training(steps=2, precision=precision), loss)

    assert seen == [getattr(torch, precision)] * 2
    assert module.weight.dtype == torch.float32


def test_each_optimiser_clips_its_own_gradient(tmp_path: Path) -> None:
    # With beta1 = 0 the first moment is the clipped gradient itself.
    parts = {
        name: Part(nn.Linear(2, 1, bias=False), Optimizer(clip=clip, beta1=0.0))
        for name, clip in (("low", 1.0), ("high", 100.0))
    }

    def loss(step: int, progress: float) -> Loss:
        gradient = torch.tensor([[30.0, 40.0]])
        weights: list[Any] = [part.module.weight for part in parts.values()]
        return Loss(sum((gradient * weight).sum() for weight in weights), {})

    fit(stage(tmp_path / "it", itertools.chain([True])), parts, Training(steps=1), loss)
    with pytest.raises(Stopped):
        fit(stage(tmp_path / "two", itertools.chain([True])), parts, Training(steps=2), loss)

    tensors = checkpoint.load(tmp_path / "two" / "step-000000001").tensors
    assert tensors["optimizer.low.0.exp_avg"].tolist()[0] == pytest.approx([0.6, 0.8], rel=1e-5)
    assert tensors["optimizer.high.0.exp_avg"].tolist()[0] == pytest.approx([30.0, 40.0], rel=1e-5)
    (line,) = read_records(tmp_path / "it" / RECORDS)
    assert [line["gradient_norm.low"], line["gradient_norm.high"]] == pytest.approx([50.0, 50.0])


def test_weight_decay_is_for_what_has_two_axes(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    settings = Optimizer(learning_rate=0.5, warmup=0.0, decay="constant", weight_decay=0.1)

    def loss(step: int, progress: float) -> Loss:
        return Loss(0.0 * (module.weight.sum() + module.bias.sum()), {})

    fit(stage(tmp_path / "it"), {"main": Part(module, settings)}, Training(steps=1), loss)

    torch.testing.assert_close(module.weight.data, before["weight"] * 0.95)
    assert torch.equal(module.bias.data, before["bias"])


def test_a_stage_with_nothing_to_learn_ends(tmp_path: Path) -> None:
    parts = {"main": Part(nn.ReLU(), PLAIN)}

    fit(stage(tmp_path / "it"), parts, Training(steps=3), lambda step, progress: Loss(torch.ones(()), {}))

    assert checkpoint.load(tmp_path / "it" / "final") == ({}, {"step": 3, "score": None})


# Regularisers


class Foreign(nn.Module):
    """A penalty with parameters of its own, scaled so that any leak would show."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 1)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        return RegularizerOutput(
            1e6 * encoded.latents.square().sum(), self.head(encoded.features).square().mean(), {"size": 1.0}
        )


IMAGES = torch.linspace(-1, 1, 6 * 64).reshape(6, 1, 8, 8).sin()


def trained(folder: Path, weights: dict[str, float]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tokenizer, and its regularisers, after a few steps."""
    with seeded(0, "tokenizer"):
        tokenizer: Any = Patches().build(Grid(FSQ(levels=(3, 3))), IMAGES[:2])
    regularizers: dict[str, tuple[Any, float]] = {}
    for name, weight in weights.items():
        with seeded(0, name):
            regularizers[name] = (Chain().build(tokenizer) if name == "chain" else Foreign(), weight)
    parts = {"tokenizer": Part(tokenizer, Optimizer())}
    parts |= {name: Part(module, Optimizer()) for name, (module, _) in regularizers.items()}
    first = {
        name: module.state_dict()[key].clone()
        for name, (module, _) in regularizers.items()
        for key in module.state_dict()
    }

    def loss(step: int, progress: float) -> Loss:
        return penalised(IMAGES, tokenizer(IMAGES), regularizers, progress)

    fit(stage(folder), parts, Training(steps=5, batch=6), loss)
    learned = {name: next(module.parameters()).detach() - first[name] for name, (module, _) in regularizers.items()}
    return tokenizer.state_dict(), learned


@pytest.mark.parametrize("names", [("chain",), ("foreign",), ("chain", "foreign")], ids=str)
def test_a_regulariser_at_weight_0_learns_and_leaves_the_tokenizer_alone(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    alone, _ = trained(tmp_path / "alone", {})

    watched, learned = trained(tmp_path / "watched", dict.fromkeys(names, 0.0))

    assert all(torch.equal(value, alone[name]) for name, value in watched.items())
    assert all(bool(change.any()) for change in learned.values())


def test_a_regulariser_with_weight_is_felt(tmp_path: Path) -> None:
    alone, _ = trained(tmp_path / "alone", {})

    felt, _ = trained(tmp_path / "felt", {"foreign": 0.1})

    assert not torch.equal(felt["inward.weight"], alone["inward.weight"])


def test_the_readings_name_their_regulariser(tmp_path: Path) -> None:
    trained(tmp_path / "it", {"foreign": 0.0})

    line = json.loads((tmp_path / "it" / RECORDS).read_text().splitlines()[0])

    assert line["foreign.size"] == 1.0
    assert line.keys() >= {"stage", "step", "steps", "distortion", "rate", "gradient_norm.tokenizer"}


def shrink(data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
    """Penalises long codes, and has nothing to learn."""
    return RegularizerOutput(encoded.codes.square().sum(), torch.zeros(()), {})


def test_gradients_at_the_features_are_distinguished() -> None:
    with seeded(0, "tokenizer"):
        tokenizer: Any = Patches().build(Grid(FSQ(levels=(3, 3))), IMAGES[:2])
    chain = Chain().build(tokenizer)
    encoded = tokenizer(IMAGES)
    terms = {
        "tokenizer": encoded.loss,
        "chain": 0.5 * chain(IMAGES, encoded, 0.7).loss,
        "shrink": 0.1 * encoded.codes.square().sum(),
    }
    expected = {
        name: torch.autograd.grad(term, encoded.features, retain_graph=True)[0].norm() for name, term in terms.items()
    }

    loss = penalised(IMAGES, encoded, {"chain": (chain, 0.5), "shrink": (shrink, 0.1)}, 0.7)
    with train.feature_gradient_norms(loss) as norms:
        loss.total.backward()  # type: ignore[no-untyped-call]

    torch.testing.assert_close(norms, expected)


def test_a_regulariser_at_weight_0_has_no_gradient_at_the_features(tmp_path: Path) -> None:
    trained(tmp_path / "it", {"chain": 0.0})

    line = json.loads((tmp_path / "it" / RECORDS).read_text().splitlines()[0])

    assert [name for name in line if name.startswith("feature_gradient_norm.")] == ["feature_gradient_norm.tokenizer"]


def test_gradients_at_the_features_cost_nothing_where_they_are_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Loss] = []
    norms = train.feature_gradient_norms
    monkeypatch.setattr(train, "READINGS", 2)
    monkeypatch.setattr(train, "feature_gradient_norms", lambda loss: seen.append(loss) or norms(loss))

    trained(tmp_path / "it", {"foreign": 0.1})

    assert len(seen) == len(read_records(tmp_path / "it" / RECORDS)) == 2


def test_recording_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"chain": 0.5, "foreign": 1e-7}
    often, learned_often = trained(tmp_path / "often", weights)
    monkeypatch.setattr(train, "READINGS", 1)

    seldom, learned_seldom = trained(tmp_path / "seldom", weights)

    assert all(torch.equal(value, often[name]) for name, value in seldom.items())
    assert all(torch.equal(value, learned_often[name]) for name, value in learned_seldom.items())


# First values


def test_first_values_leave_the_global_generator_as_it_was() -> None:
    torch.manual_seed(4)
    expected = torch.rand(5)

    torch.manual_seed(4)
    with seeded(1, "part"):
        torch.rand(100)

    assert torch.equal(torch.rand(5), expected)


def test_the_global_generator_is_put_back_after_an_error_too() -> None:
    before = torch.random.get_rng_state()

    with pytest.raises(ZeroDivisionError), seeded(1, "part"):
        torch.rand(int(1 / 0))

    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_part_s_first_values_hang_on_seed_and_name_alone() -> None:
    def values(seed: int, name: str) -> list[float]:
        with seeded(seed, name):
            return torch.rand(4).tolist()

    first = values(1, "prior")
    torch.rand(7)
    others = [values(1, "draft"), values(2, "prior"), values(1, "prior ")]

    assert values(1, "prior") == first
    assert len({tuple(drawn) for drawn in (first, *others)}) == 4


# Compiling


class Recorder(nn.Linear):
    """Knows whether it was compiled."""

    compiled = False

    def compile(self, *_: object, **__: object) -> None:
        self.compiled = True


@pytest.mark.parametrize("asked", [False, True])
def test_the_main_part_alone_is_compiled_where_that_is_asked_for(tmp_path: Path, asked: bool) -> None:
    parts = {"main": Part(Recorder(4, 4), PLAIN), "other": Part(Recorder(4, 1), PLAIN)}

    def loss(step: int, progress: float) -> Loss:
        return Loss(sum(part.module(DATA).square().mean() for part in parts.values()), {})

    fit(stage(tmp_path / "stage"), parts, Training(steps=1, compile=asked), loss)

    assert [part.module.compiled for part in parts.values()] == [asked, False]


@pytest.mark.parametrize(
    ("seed", "role", "step", "same"),
    [(0, "prior", 3, True), (1, "prior", 3, False), (0, "draft", 3, False), (0, "prior", 4, False)],
)
def test_the_noise_of_a_step_depends_on_seed_role_and_step_alone(seed: int, role: str, step: int, same: bool) -> None:
    first = step_noise(0, "prior", 3, 8, torch.device("cpu"))

    other = step_noise(seed, role, step, 8, torch.device("cpu"))

    assert torch.equal(first.bits(), other.bits()) == same
    assert len(first.seed.unique()) == 8
    assert torch.equal(step_noise(0, "prior", 3, 5, torch.device("cpu")).seed, first.seed[:5])


class Tallying(nn.Module):
    """A tokenizer that tallies the samples of its steps."""

    tally: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = Patches().build(FSQ(levels=(5, 4)).build(), torch.zeros(2, 1, 8, 8))
        self.register_buffer("tally", torch.zeros((), dtype=torch.int64))
        self.weights: list[Tensor] = []

    def after_step(self, encoded: Encoded) -> None:
        assert not torch.is_grad_enabled()
        assert not encoded.loss.requires_grad
        self.tally += len(encoded.rate)
        self.weights.append(next(self.inner.parameters()).detach().clone())  # type: ignore[attr-defined]


def test_after_step_is_called_once_a_step_after_the_optimisers(tmp_path: Path) -> None:
    module, before = Tallying(), []
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def objective(step: int, progress: float) -> Loss:
        before.append(next(module.inner.parameters()).detach().clone())  # type: ignore[attr-defined]
        return penalised(images, module.inner(images), {}, progress)

    fit(stage(tmp_path / "it"), {"tokenizer": Part(module, PLAIN)}, Training(steps=STEPS, batch=6), objective)

    assert int(module.tally) == 6 * STEPS
    assert all(torch.equal(after, later) for after, later in zip(module.weights, before[1:], strict=False))
    assert not torch.equal(module.weights[0], before[0])


@pytest.mark.parametrize("step", [0, AHEAD - 1, AHEAD, 5 * AHEAD + 3])
def test_seeds_that_are_drawn_ahead_are_those_of_their_step(step: int) -> None:
    noise = Noise(7, "noise of the prior's steps")

    assert torch.equal(step_noise(7, "prior", step, 5, torch.device("cpu")).seed, noise.seeds(torch.arange(5), step))

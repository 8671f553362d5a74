"""The study of states on a tiny Llama in a folder and random tokens: what is read, shared, resumed and reported."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from crt_ar.llama.files import write_llama
from crt_ar.llama.spec import Llama
from crt_data.tokens import write_tokens
from crt_nn.packed import pack_frozen
from crt_run.runs.execute import execute
from crt_run.runs.run import Run
from crt_run.training.ids import spread
from crt_run.training.objective import Inputs, trained
from crt_run.training.stages import build_dataset, prior_of
from crt_vib.rate_distortion.measure import evenly
from crt_vib.rate_distortion.states import Examples
from crt_vib.state_codes.places import Classes, Places
from crt_vib.state_codes.stored import Trunk, _pass
from crt_vib.state_codes.trunk import at_appended
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError, SpecError, Stopped
from crtcore.kinds import Plan

VOCABULARY, LENGTH, WIDTH = 24, 20, 16
WHERE = Places(7, 4, 4)


def llama() -> Any:
    """Two layers of width 16, whose embeddings are large enough to tell ids apart."""
    torch.manual_seed(0)
    model = Llama(layers=2, width=WIDTH, heads=4, key_heads=2, hidden=24).build(VOCABULARY, 0, None)
    nn.init.normal_(model.embedding.weight)
    return model.eval()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, and tokens in windows of 20."""
    folder = tmp_path_factory.mktemp("study")
    write_llama(folder / "llama", llama())
    write_tokens(folder / "tokens", VOCABULARY, train=40 * LENGTH, val=24 * LENGTH)
    return folder


def plan(folder: Path, **experiment: Any) -> Plan:
    """The small study, with some fields changed."""
    (point,) = study(
        Document(
            {
                "name": "small",
                "experiment": {
                    "use": "state-codes", "weights": [0.3, 3.0], "layers": [1, 2], "layer": 2, "recent": 4,
                    "first": 7, "stride": 4, "reach": 4, "answers": 10, "contexts": 12, "iterations": 5,
                    "train": 40, "validation": 8, "test": 10, "evaluations": 2, "between": [0.01, 0.02], **experiment,
                },
                "dataset": {
                    "use": "token-files", "folder": str(folder / "tokens"), "length": LENGTH, "vocabulary": VOCABULARY,
                },
                "prior": {"use": "frozen-llama", "folder": str(folder / "llama")},
                "bottleneck": {"use": "gaussian", "width": WIDTH, "latent": 2},
                "regularizer": {"use": "rate"},
                "training": {"appended": {"steps": 3, "batch": 4}, "bottleneck": {"steps": 10, "batch": 16}},
            },
            {},
        ),
        discover(),
    ).points  # fmt: skip
    return point.plan


def ids() -> torch.Tensor:
    """Three windows."""
    return torch.randint(VOCABULARY, (3, LENGTH), generator=torch.Generator().manual_seed(0))


def read(embedding: torch.Tensor | None = None, windows: torch.Tensor | None = None) -> Any:
    """What a pass over three windows leaves."""
    windows = ids() if windows is None else windows
    classes = Classes(torch.arange(VOCABULARY) % 3, 3)
    with torch.no_grad():
        return _pass(Trunk(llama(), None, WHERE, (1, 2), 4, classes, embedding), windows, chances=embedding is None)


def test_states_are_read_at_ids_before_them_and_over_the_last() -> None:
    """The last layer's states, normalised, are the model's own."""
    model, states = llama(), read()

    with torch.no_grad():
        own = model.hidden(ids())  # b n w
        normalised = {name: model.stack.norm(states[f"{name}-2"]) for name in ("last", "before")}

    torch.testing.assert_close(normalised["last"], own[:, [7, 11, 15]].flatten(0, 1))
    torch.testing.assert_close(normalised["before"], own[:, [6, 10, 14]].flatten(0, 1))
    assert states["mean-1"].shape == (9, WIDTH)


def test_chances_are_the_model_s_own_over_classes() -> None:
    with torch.no_grad():
        each = llama()(ids())[:, [8, 12, 16]].softmax(-1).flatten(0, 1)
    expected = torch.stack([each[:, kind::3].sum(1) for kind in range(3)], 1)

    torch.testing.assert_close(read()["chances"], expected)


def test_an_appended_token_is_one_more_id_of_that_embedding() -> None:
    """Read one at a time, behind an id whose embedding it has."""
    model, where = llama(), WHERE.of(LENGTH)
    token = torch.tensor(5)

    with torch.no_grad():
        together, _ = at_appended(model, ids(), where, model.embedding.weight[token])
        alone = [model.hidden(torch.cat((ids()[:, : end + 1], token.expand(3, 1)), 1))[:, -1] for end in where]

    torch.testing.assert_close(together, torch.stack(alone, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("embedding", [None, torch.ones(WIDTH)], ids=["at ids", "appended"])
def test_ids_behind_the_last_place_are_not_read(embedding: torch.Tensor | None) -> None:
    """The id that stands there has no embedding."""
    changed = ids()
    changed[:, 16:] = VOCABULARY

    states, expected = read(embedding, changed), read(embedding)

    assert set(states) == set(expected)
    assert all(torch.equal(states[name], each) for name, each in expected.items())


def test_only_the_appended_embedding_gets_a_gradient() -> None:
    model = llama().requires_grad_(False)
    vector = torch.zeros(WIDTH, requires_grad=True)

    states, _ = at_appended(model, ids(), WHERE.of(LENGTH), vector)
    states.square().sum().backward()

    assert vector.grad is not None
    assert float(vector.grad.abs().sum()) > 0


def test_the_appended_embedding_is_trained_alike_through_a_packed_model() -> None:
    """Packed layers are for passes without gradients; those before the appended tokens round in another order."""
    model = llama().requires_grad_(False)

    plain, said, packed = gradient(model), pack_frozen(model), gradient(model)

    assert said.startswith("packed: 10 layers")
    assert float(plain.abs().max()) > 1e-3
    torch.testing.assert_close(packed, plain, atol=1e-5, rtol=1e-3)


def test_the_appended_embedding_of_a_bfloat16_model_is_trained_in_float32(tmp_path: Path) -> None:
    """As by a folder with the same numbers in float32; the model that states are read of stays as it is."""
    model = llama().bfloat16()
    half, types = embedding(tmp_path / "half", model)
    whole, _ = embedding(tmp_path / "whole", model.float())

    assert types == {torch.bfloat16}
    assert torch.equal(half, whole)
    assert not torch.equal(half, model.embedding.weight.mean(0))


def embedding(folder: Path, model: Any) -> tuple[torch.Tensor, set[torch.dtype]]:
    """The appended embedding, trained by a model in a folder, and the types of the model's weights afterwards."""
    write_llama(folder / "llama", model)
    write_tokens(folder / "tokens", VOCABULARY, train=40 * LENGTH, val=24 * LENGTH)
    planned = plan(folder, place="appended")
    run = Run(planned, folder / "runs")
    run.folder.mkdir(parents=True)
    dataset = build_dataset(planned, run)
    prior = prior_of("prior", planned, run, dataset)
    pack_frozen(prior)
    (stage,) = (each for each in planned.stages if each.name == "appended")
    vector = trained(Inputs(stage, dataset, {"prior": prior}, run)).vector.detach()
    return vector, {each.dtype for each in prior.parameters()}


def gradient(model: Any) -> torch.Tensor:
    """That of an embedding, by the first channel of all states."""
    vector = torch.linspace(-1, 1, WIDTH).requires_grad_()
    states, _ = at_appended(model, ids(), WHERE.of(LENGTH), vector)
    states[..., 0].sum().backward()
    assert vector.grad is not None
    return vector.grad


@pytest.fixture(scope="module")
def small(place: Path) -> tuple[dict[str, Any], Path]:
    """The result at the last id, and its runs."""
    return execute(plan(place), place / "runs"), place / "runs"


def test_there_is_a_point_for_each_weight_with_intervals_over_windows(small: tuple[dict[str, Any], Path]) -> None:
    result, _ = small

    assert [point["labels"]["weight"] for point in result["points"]] == [0.3, 3.0]
    for point in result["points"]:
        assert point["numbers"]["distortion_nats"]["n"] == 10
        assert point["numbers"]["own_gap_nats"]["n"] == 10  # windows of the 12 contexts
        assert point["numbers"]["floor_gap_nats"]["value"] > -0.2


def test_no_probe_is_below_what_is_certain_of_the_model_s_distribution(small: tuple[dict[str, Any], Path]) -> None:
    """D + R of its own distribution is at least the entropy in the mean over codes; four are drawn."""
    result, _ = small
    entropy = result["numbers"]["model_entropy_nats"]["value"]

    for point in result["points"]:
        numbers = point["numbers"]
        assert numbers["own_distortion_nats"]["value"] > entropy - 0.3


def test_the_frozen_model_is_packed(small: tuple[dict[str, Any], Path]) -> None:
    """Its output layer, and two blocks of attention, feed-forward layer and two norms, and the final norm."""
    result, runs = small

    about = json.loads((runs / "small" / result["hash"] / "run.json").read_text())

    assert about["packing"]["prior"].startswith("packed: 10 layers")


def test_without_a_code_held_out_answers_cost_by_training_answers(
    small: tuple[dict[str, Any], Path], place: Path
) -> None:
    """The ten ids that follow places 7, 11 and 15 most often, and all others as one; half a count more for each."""
    result, _ = small
    dataset = plan(place).parts["dataset"].build()
    known, tested = (
        dataset.take(split, spread(dataset.sizes[split], count)).data[:, [8, 12, 16]].flatten().tolist()
        for split, count in (("train", 40), ("test", 10))
    )

    counts = Counter(known)
    kept = sorted(counts, key=lambda each: (-counts[each], each))[:10]
    others = sum(count for each, count in counts.items() if each not in kept)
    nats = [math.log((len(known) + 5.5) / (0.5 + (counts[each] if each in kept else others))) for each in tested]
    assert len(known) == 120
    assert result["numbers"]["no_code_nats"]["value"] == pytest.approx(sum(nats) / 30, abs=1e-6)


def test_the_information_is_that_of_states_of_all_windows(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six of 30 states, three of a window: every fifth, so the first of window 0, the last of window 1, and so on."""
    seen: list[Examples] = []

    def remembered(test: Examples, most: int) -> Examples:
        seen.append(evenly(test, most))
        return seen[-1]

    monkeypatch.setattr("crt_vib.rate_distortion.measure.AMONG", 6)
    monkeypatch.setattr("crt_vib.rate_distortion.measure.evenly", remembered)

    execute(plan(place, answers=0), tmp_path)

    dataset = plan(place).parts["dataset"].build()
    windows = dataset.take("test", spread(dataset.sizes["test"], 10)).data
    expected = windows[[0, 1, 3, 5, 6, 8], [8, 16, 12, 8, 16, 12]]  # the ids after places 7, 15, 11, 7, 15, 11
    assert seen[0].answers.tolist() == expected.tolist()


def test_another_place_shares_the_stored_states(small: tuple[dict[str, Any], Path], place: Path) -> None:
    result = execute(plan(place, place="mean", layer=1), small[1])

    stages = json.loads((small[1] / "small" / result["hash"] / "run.json").read_text())["stages"]
    for name in ("states-train", "states-test", "best-codes"):
        assert stages[name]["reused"]
    assert not stages["bottleneck-0.3"]["reused"]


def test_the_appended_token_is_trained_and_read(place: Path, small: tuple[dict[str, Any], Path]) -> None:
    result = execute(plan(place, place="appended", distance=2), small[1])

    stages = json.loads((small[1] / "small" / result["hash"] / "run.json").read_text())["stages"]
    assert {"appended", "appended-states-train", "appended-states-test"} <= set(stages)
    assert "own_gap_nats" not in result["points"][0]["numbers"]


def test_a_stopped_study_resumes_to_the_same_numbers(
    small: tuple[dict[str, Any], Path], place: Path, tmp_path: Path
) -> None:
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return asked > 12  # in a bottleneck's training, or in the reading before it

    with pytest.raises(Stopped):
        execute(plan(place), tmp_path, stopping=stopping)
    assert execute(plan(place), tmp_path) == small[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layer": 3}, r"experiment.layer: expected one of `layers`, \[1, 2\], got 3"),
        ({"distance": 5}, "experiment.distance: expected at most `reach`, 4, got 5"),
        ({"recent": 9}, "experiment.recent: expected at most `first` . 1, 8, got 9"),
        ({"weights": [0.5, 0.5]}, "experiment.weights: expected different values"),
    ],
)
def test_fields_that_do_not_fit_are_named(changes: dict[str, Any], reason: str, place: Path) -> None:
    with pytest.raises(SpecError, match=reason):
        plan(place, **changes)


def test_a_layer_that_the_model_does_not_have_is_named(place: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected at most 2, as many as the model has, got 3"):
        execute(plan(place, layers=[1, 3], layer=3), tmp_path)

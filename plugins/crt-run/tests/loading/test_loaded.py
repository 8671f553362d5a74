from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import crtcore
from crt_laws.toy_studies import REGISTRY, TOY, Describe
from crt_run.loading import plans
from crt_run.loading.drawing import check_suffix, write
from crt_run.loading.loaded import LoadedRun, load_run
from crt_run.runs import checkpoint
from crt_run.runs.ended import Ended
from crt_run.runs.execute import execute
from crt_run.runs.find import find_run, find_stage
from crt_run.runs.records import ABOUT, read_json, seal
from crtcore.errors import RunError
from crtcore.kinds import Plan

Planned = Callable[..., Plan]


@pytest.fixture
def loaded(toy_plan: Planned, runs: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedRun:
    monkeypatch.setattr(plans, "discover", lambda: REGISTRY)
    execute(toy_plan("experiment.samples=40"), runs)
    return load_run("toy", runs)


def classes_of_held_out(run: LoadedRun) -> torch.Tensor:
    """The classes for which the run has drawn its own samples."""
    dataset = run.plan.parts["dataset"].build()
    size = dataset.sizes["test"]
    class_ids: torch.Tensor = dataset.take("test", torch.arange(40) * size // 40).class_ids
    return class_ids


def test_samples_of_a_loaded_run_are_those_that_it_drew_itself(loaded: LoadedRun) -> None:
    kept = Ended(loaded.folder).samples
    assert kept is not None

    drawn = loaded.sample(40, class_ids=classes_of_held_out(loaded))

    assert drawn.data is not None
    assert torch.equal(drawn.data, torch.from_numpy(kept["generated"]))
    assert not torch.equal(drawn.data, loaded.sample(40, seed=1).data)


def test_a_row_depends_on_no_other_row(loaded: LoadedRun) -> None:
    few, many = loaded.sample(3), loaded.sample(40)

    assert torch.equal(few.ids, many.ids[:3])
    assert few.class_ids is not None
    assert few.class_ids.tolist() == [0, 1, 2]


def test_parts_and_numbers_are_those_of_the_run(loaded: LoadedRun) -> None:
    numbers = read_json_result(loaded.folder)

    assert {name: number.value for name, number in loaded.results.items()} == numbers
    assert loaded.stages == ["tokenizer", "prior"]
    assert loaded.drafts == ()
    assert loaded.tokenizer.vocabulary == loaded.prior.vocabulary == 9
    weights = checkpoint.load(find_stage(loaded.folder, "prior")).tensors
    state: dict[str, torch.Tensor] = loaded.trained("prior")["prior"].state_dict()
    assert state
    assert all(torch.equal(value, weights[f"part.prior.{name}"]) for name, value in state.items())


def read_json_result(folder: Path) -> dict[str, float]:
    values: dict[str, Any] = json.loads((folder / "result.json").read_text())["numbers"]
    return {name: each["value"] for name, each in values.items()}


def test_the_data_are_not_read(loaded: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def unread(_: object) -> None:
        raise AssertionError("the data were read")

    monkeypatch.setattr(type(loaded.plan.parts["dataset"]), "build", unread)

    assert loaded.sample(2).ids.shape[0] == 2


def test_a_run_that_a_prior_comes_from_is_looked_for_beside_it(
    loaded: LoadedRun, toy: Describe, toy_plan: Planned, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = TOY.partition("[training.prior]")[0]
    changes = "name=student", "prior={use='saved', run='toy'}", "experiment.samples=40"
    execute(toy(*changes, text=bare).points[0].plan, runs)
    elsewhere = tmp_path / "elsewhere"
    execute(toy_plan("prior.order=0", "experiment.samples=40"), elsewhere / "runs")  # another run of that name
    monkeypatch.chdir(elsewhere)

    drawn = load_run("student", runs).sample(40)

    assert torch.equal(drawn.ids, loaded.sample(40).ids)


def test_what_is_saved_and_read_again_draws_the_same(loaded: LoadedRun, tmp_path: Path) -> None:
    before = loaded.sample(5)

    folder = loaded.save_pretrained(tmp_path / "shared")
    shutil.rmtree(loaded.folder.parent.parent)
    again = LoadedRun.from_pretrained(folder)

    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert torch.equal(again.sample(5).ids, before.ids)
    assert again.results == loaded.results
    assert again.trained("tokenizer").keys() == {"tokenizer", "regularizer.0"}
    assert load_run(folder).plan.hash == loaded.plan.hash


def test_the_card_has_the_numbers_and_what_the_hub_reads(loaded: LoadedRun, tmp_path: Path) -> None:
    folder = loaded.save_pretrained(tmp_path / "shared")

    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: crtcore\ntags:\n- crtcore\n- two-stage\n---\n")
    assert "| tokenizer | patches |" in card
    value = loaded.results["nominal_rate_bits"].value
    assert f"| nominal rate | {value:.2f} |" in card
    with safetensors.safe_open(folder / "model.safetensors", "pt") as tensors:
        assert tensors.metadata() == {"format": "pt"}
        assert all(name.split("/")[0] in ("tokenizer", "prior") for name in tensors.keys())  # noqa: SIM118


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"", "the file was damaged or replaced, expected SHA-256"),
        ("config.json", b"{", "expected a JSON object, got none"),
        ("config.json", b'{"model_type": "llama"}', "expected the configuration of a run of crtcore in format 1"),
        ("config.json", b"[1]", "expected the configuration of a run of crtcore in format 1"),
        ("config.json", b'{"library_name": "crtcore", "format": 1}', "expected what save_pretrained writes"),
    ],
)
def test_a_shared_folder_that_is_damaged_is_refused(
    loaded: LoadedRun, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    folder = loaded.save_pretrained(tmp_path / "shared")
    (folder / name).write_bytes(content)

    with pytest.raises(RunError, match=message):
        LoadedRun.from_pretrained(folder).sample(1)


def test_a_shared_folder_names_components_and_no_code(loaded: LoadedRun, tmp_path: Path) -> None:
    folder = loaded.save_pretrained(tmp_path / "shared")
    config = json.loads((folder / "config.json").read_text())
    config["spec"]["prior"]["use"] = "os:system"
    (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(RunError, match="no prior is called 'os:system'"):
        LoadedRun.from_pretrained(folder)


def test_weights_of_another_shape_are_refused(loaded: LoadedRun, tmp_path: Path) -> None:
    folder = loaded.save_pretrained(tmp_path / "shared")
    config = json.loads((folder / "config.json").read_text())
    config["spec"]["bottleneck"]["levels"] = [3, 5]
    (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(RunError, match="the weights of stage 'prior' do not fit what is installed now"):
        LoadedRun.from_pretrained(folder).sample(1)


def test_a_run_from_before_shapes_were_kept_is_refused_with_what_to_do(loaded: LoadedRun) -> None:
    path = loaded.folder / ABOUT
    seal(path, {name: value for name, value in read_json(path).items() if name not in ("outline", "format")})

    with pytest.raises(RunError, match=r"expected the shape of a sample, .* move the folder"):
        load_run(loaded.folder)


def test_weights_that_were_damaged_are_refused(loaded: LoadedRun) -> None:
    path = find_stage(loaded.folder, "prior") / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(RunError, match=r"tensors.safetensors: the file was damaged"):
        _ = loaded.prior


def test_what_a_run_does_not_have_is_named(loaded: LoadedRun) -> None:
    with pytest.raises(RunError, match="got 'priors'; did you mean 'prior'"):
        loaded.trained("priors")
    for wrong in ([0, 1], [10], [0.5, 1]):
        with pytest.raises(RunError, match="expected a class for each of 1 samples, from 0 to 9"):
            loaded.sample(1, class_ids=wrong[: 1 + (wrong != [10])])


def test_beside_all_weights_a_configuration_says_what_they_are(loaded: LoadedRun) -> None:
    folder = find_stage(loaded.folder, "prior")
    config = json.loads((folder / "config.json").read_text())

    assert config["stage"] == "prior"
    assert config["prior"]["use"] == "table"
    assert config["after"]["tokenizer"]["bottleneck"]["levels"] == [3, 3]
    assert config["outline"] == {"shape": [1, 8, 8], "dtype": "float32", "classes": 10, "vocabulary": None}
    (folder / "config.json").write_text("{}")
    with pytest.raises(RunError, match=r"config.json: the file was damaged"):
        checkpoint.load(folder)


def test_the_core_hands_load_run_on(loaded: LoadedRun) -> None:
    assert crtcore.load_run is load_run
    assert crtcore.load_run(loaded.folder).results == loaded.results


@pytest.mark.parametrize("name", ["a.png", "a.jsonl", "a.safetensors"])
def test_samples_are_written_in_the_format_of_the_name(loaded: LoadedRun, tmp_path: Path, name: str) -> None:
    drawn, path = loaded.sample(5), tmp_path / name

    write(path, drawn, image=True)

    if name == "a.png":
        from PIL import Image

        picture = Image.open(path)
        assert picture.size == (3 * 65 + 1, 2 * 65 + 1)  # five images of 8 x 8, eight times as large, in rows of three
        first = torch.from_numpy(np.array(picture.convert("L").crop((1, 1, 65, 65))))[::8, ::8].long()
        assert drawn.data is not None
        assert torch.equal(first, ((drawn.data[0, 0] + 1) * 127.5).round().long())
    elif name == "a.jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["ids"] for line in lines] == drawn.ids.tolist()
        assert [line["class"] for line in lines] == [0, 1, 2, 3, 4]
    else:
        tensors = safetensors.torch.load_file(path)
        assert torch.equal(tensors["ids"], drawn.ids)
        assert tensors.keys() == {"ids", "class_ids", "data"}


@pytest.mark.parametrize(("name", "image"), [("a.gif", True), ("a", True), ("a.png", False)])
def test_another_end_of_a_name_is_refused(name: str, image: bool) -> None:
    with pytest.raises(RunError, match="expected a name that ends in"):
        check_suffix(Path(name), image)


def test_a_run_without_a_decoder_draws_nothing(toy_plan: Planned, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "discover", lambda: REGISTRY)
    plan = toy_plan("name=alone")
    document = {key: plan.document[key] for key in ("seed", "dataset", "tokenizer", "bottleneck", "regularizer")}
    training = {"tokenizer": plan.document["training"]["tokenizer"]}
    text = {**document, "name": "alone", "experiment": {"use": "compression"}, "training": training}
    execute(plans.plan_of(text, "here"), runs)
    run = LoadedRun(*_kept(load_run(find_run("alone", runs))))

    with pytest.raises(RunError, match="expected a run with a decoder, got one of the experiment 'compression'"):
        run.sample(1)
    with pytest.raises(RunError, match=r"expected a run with one prior, .* its stages are tokenizer"):
        _ = run.prior
    assert run.tokenizer.vocabulary == 9


def _kept(run: LoadedRun) -> Any:
    return run._parts.kept, run.result, run.folder

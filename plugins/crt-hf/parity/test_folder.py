"""Folders of models: what is in them that is not read, and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import small

import crt_hf
from crt_hf.folder import read_model
from crt_hf.spec import HuggingFace
from crtcore.errors import RunError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small("qwen3").save_pretrained(tmp_path)
    return tmp_path


def change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_code_in_a_folder_is_never_run(folder: Path) -> None:
    (folder / "modeling_own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    change(folder, auto_map={"AutoModelForCausalLM": "modeling_own.Own"}, model_type="own")

    with pytest.raises(RunError, match="expected a family of transformers, got one whose code is in the folder"):
        read_model(folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "mamba"}, "expected a model_type of .*, gemma, .* got 'mamba'"),
        ({"quantization_config": {"quant_method": "gptq"}}, "expected weights in floating point"),
        ({"hidden_size": "wide"}, "expected what AutoConfig of transformers reads, got"),
        ({"num_hidden_layers": 4}, "expected the weights that config.json describes, got missing keys: model.layers.3"),
        ({"num_hidden_layers": 2, "layer_types": None}, "got unexpected keys: model.layers.2"),
        ({"vocab_size": 60}, "got mismatched keys: .*lm_head.weight"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_error(folder: Path, values: dict[str, object], message: str) -> None:
    change(folder, **({"layer_types": None} | values))

    with pytest.raises(RunError, match=message):
        read_model(folder)


def test_rows_beyond_a_window_have_the_ids_of_the_model(tmp_path: Path) -> None:
    model = small("mistral, window")  # which sees 6 positions
    model.save_pretrained(tmp_path)
    row = torch.arange(3, 40)[None]

    (result,) = crt_hf.generate(tmp_path, row.tolist(), max_new_tokens=12)

    expected = model.generate(row, attention_mask=torch.ones_like(row), max_new_tokens=12, do_sample=False)
    assert result.ids == expected[0, row.shape[1] :].tolist()


def test_a_missing_tensor_is_named(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(RunError, match=r"got missing keys: model.norm.weight"):
        read_model(folder)


def test_the_type_is_that_of_the_folder_or_the_one_asked_for(tmp_path: Path) -> None:
    small("llama").bfloat16().save_pretrained(tmp_path)

    assert read_model(tmp_path).dtype == torch.bfloat16
    assert read_model(tmp_path, "float32").dtype == torch.float32
    (result,) = crt_hf.generate(tmp_path, [[5, 6]], max_new_tokens=1)
    assert result.ran.startswith("decoder lookup, target crt-ar (bfloat16; packed: ")
    with pytest.raises(RunError, match="dtype: expected one of auto, float32, bfloat16, float16, got 'int8'"):
        read_model(tmp_path, "int8")
    with pytest.raises(RunError, match="dtype: expected one of auto, float32, bfloat16, float16, got 'int8'"):
        crt_hf.Model(tmp_path, dtype="int8")


def test_another_vocabulary_than_the_folders_is_refused(folder: Path) -> None:
    with pytest.raises(RunError, match=r"expected a vocabulary of 61 ids, .* got 60"):
        HuggingFace(folder=str(folder)).build(60, 0, None)


def test_ids_need_no_tokenizer_and_texts_do(folder: Path) -> None:
    (result,) = crt_hf.generate(folder, [[5, 6]], max_new_tokens=2)

    assert (result.text, len(result.ids)) == (None, 2)
    with pytest.raises(RunError, match=r"expected a tokenizer \(tokenizer.json\), got none; give prompts as ids"):
        crt_hf.generate(folder, ["HELLO"])


@torch.no_grad()
def test_a_model_without_bos_and_eos_reads_rows_as_they_are(tmp_path: Path) -> None:
    model = small("llama", bos_token_id=None, eos_token_id=None)
    model.save_pretrained(tmp_path)
    ids = torch.tensor([[5, 6, 7]])

    logits = HuggingFace(folder=str(tmp_path)).build(61, 0, None)(ids)

    torch.testing.assert_close(logits[:, 1:], model(ids).logits, rtol=1e-4, atol=1e-4)
    assert (logits[:, 0] == 0).all()
    with pytest.raises(RunError, match="expected bos_token_id or eos_token_id, for classes to take its place"):
        HuggingFace(folder=str(tmp_path)).build(61, 0, 3)


def test_a_result_names_what_ran_and_why(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    llama = tmp_path_factory.mktemp("llama")
    small("llama").save_pretrained(llama)

    def ran(source: object) -> str:
        return crt_hf.generate(source, [[5], [6]], max_new_tokens=1)[0].ran

    assert ran(llama) == ran(crt_hf.Model(llama))
    assert ran(llama).startswith("decoder lookup, target crt-ar (float32; packed: ")
    assert ran(crt_hf.Model(llama, pack=False)) == "decoder lookup, target crt-ar (float32)"
    assert ran(folder).startswith("decoder lookup, target ")
    assert ran(small("llama")) == "decoder lookup, target transformers (float32; given as a model)"


@torch.no_grad()
def test_the_network_of_crt_ar_reads_prompts_as_transformers_does(tmp_path: Path) -> None:
    model = small("llama")
    model.save_pretrained(tmp_path)
    prior = crt_hf.Model(tmp_path).reader("target").prior
    ids = torch.randint(1, 61, (3, 12), generator=torch.Generator().manual_seed(0))

    whole = prior(ids)
    session = prior.open(ids[:, :4], capacity=12, room=8)
    opened = session.next_logits
    tree = session.extend(ids[:, 4:8], torch.tensor([[-1, 0, 1, 2]] * 3))
    session.commit(torch.tensor([[0, 1]] * 3))
    further = session.extend(ids[:, 6:12])

    expected = model(ids).logits
    for ours, theirs in (
        (whole[:, 1:], expected),
        (opened, expected[:, 3]),
        (tree, expected[:, 4:8]),
        (further, expected[:, 6:12]),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="expected rows of at least one id"):
        prior.open(torch.tensor([[5], [-1]]), capacity=3, room=1)

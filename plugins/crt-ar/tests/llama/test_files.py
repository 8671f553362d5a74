"""Folders of a Llama: parity with the published equations, and written folders."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional

from crt_ar import FrozenLlama, Llama, LlamaFolder
from crt_ar.llama.files import read_llama, write_llama
from crt_cost.blank import blank
from crtcore.errors import RunError

from .folders import CONFIG, HEADS, IDS_KNOWN, LAYERS, ROPE, START, TIED, WIDTH, laid, published, small

IDS = torch.tensor([[0, 3, 1, 10, 2, 2, 7, 5], [9, 2, 0, 1, 8, 8, 8, 4]])


def speeds(config: dict[str, Any]) -> list[float]:
    """Returns radians per position of each pair of channels, by wavelengths."""
    rope = config["rope_scaling"] or {"factor": 1, "low_freq_factor": 1, "high_freq_factor": 4}
    length = rope.get("original_max_position_embeddings", 1)
    size, result = WIDTH // HEADS, []
    for pair in range(size // 2):
        speed = config["rope_theta"] ** (-2 * pair / size)
        wave = 2 * math.pi / speed
        share = (length / wave - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
        share = min(max(share, 0), 1)
        result.append((1 - share) * speed / rope["factor"] + share * speed)
    return result


def rotated(vector: Tensor, angles: Tensor) -> Tensor:
    """A head's query or key, whose pairs are channels half a head apart."""
    first, second = vector.chunk(2)
    return torch.cat((first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()))


def normalised(stream: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    return stream * torch.rsqrt(stream.square().mean(-1, keepdim=True) + epsilon) * gain


def attended(stream: Tensor, part: dict[str, Tensor], config: dict[str, Any]) -> Tensor:
    """One position and head at a time; a key head serves neighbouring query heads."""
    query, key, value = (stream @ part[f"self_attn.{name}_proj.weight"].T for name in "qkv")
    size, slow = WIDTH // HEADS, torch.tensor(speeds(config))
    rows = []
    for here in range(len(stream)):
        parts = []
        for head in range(HEADS):
            mine = slice(head * size, (head + 1) * size)
            shared = head // (HEADS // config["num_key_value_heads"])
            theirs = slice(shared * size, (shared + 1) * size)
            asked = rotated(query[here, mine], here * slow)
            scores = [asked @ rotated(key[there, theirs], there * slow) / size**0.5 for there in range(here + 1)]
            parts.append(torch.stack(scores).softmax(0) @ value[: here + 1, theirs])
        rows.append(torch.cat(parts))
    return torch.stack(rows) @ part["self_attn.o_proj.weight"].T


def reference(weights: dict[str, Tensor], config: dict[str, Any], ids: list[int]) -> Tensor:
    """Llama in plain torch, one row.

    Source: huggingface/transformers, models/llama/modeling_llama.py.
    """
    epsilon, stream = config["rms_norm_eps"], weights["model.embed_tokens.weight"][ids]
    for layer in range(LAYERS):
        under = f"model.layers.{layer}."
        part = {name.removeprefix(under): value for name, value in weights.items() if name.startswith(under)}
        stream = stream + attended(normalised(stream, part["input_layernorm.weight"], epsilon), part, config)
        features = normalised(stream, part["post_attention_layernorm.weight"], epsilon)
        inner = functional.silu(features @ part["mlp.gate_proj.weight"].T) * (features @ part["mlp.up_proj.weight"].T)
        stream = stream + inner @ part["mlp.down_proj.weight"].T
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    logits: Tensor = normalised(stream, weights["model.norm.weight"], epsilon) @ head.T
    return logits


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        TIED,
        CONFIG | {"num_key_value_heads": 1},
        CONFIG | {"num_key_value_heads": HEADS, "rope_scaling": None},
    ],
    ids=["two heads of keys", "tied", "one head of keys", "neither shared nor stretched"],
)
def test_public_weights_give_the_logits_of_the_published_equations(
    tmp_path: Path, config: dict[str, Any], shards: int
) -> None:
    prior = read_llama(laid(tmp_path / "llama", config, shards=shards))

    with torch.no_grad():
        logits = prior(IDS)

    for row, ids in enumerate(IDS.tolist()):
        merged = ids[0] == START  # it is the first position then
        expected = reference(published(config), config, ids if merged else [START, *ids])
        expected = torch.cat((expected[:1], expected)) if merged else expected
        torch.testing.assert_close(logits[row], expected, rtol=1e-5, atol=1e-5)


def test_both_forms_of_rotary_settings_are_read(tmp_path: Path) -> None:
    later = {name: value for name, value in CONFIG.items() if not name.startswith("rope")}
    later["rope_parameters"] = ROPE | {"rope_theta": 10.0}

    prior = read_llama(laid(tmp_path / "later", later, published(CONFIG)))

    assert prior.shape == read_llama(laid(tmp_path / "earlier", CONFIG)).shape


@pytest.mark.parametrize("shard", [10**9, 2000])
@pytest.mark.parametrize("size", ["Llama-3.2-1B", "Llama-3.1-8B"])
def test_weights_are_written_and_read_bit_for_bit(tmp_path: Path, size: str, shard: int) -> None:
    prior = small(size=size)

    write_llama(tmp_path / "llama", prior, shard=shard)

    again = read_llama(tmp_path / "llama")
    assert again.shape == prior.shape
    assert torch.equal(again(IDS % 7), prior(IDS % 7))
    assert (tmp_path / "llama" / "model.safetensors.index.json").exists() == (shard == 2000)


def test_no_file_is_larger_than_asked_unless_it_holds_one_tensor(tmp_path: Path) -> None:
    write_llama(tmp_path / "llama", small(), shard=2000)

    for file in (tmp_path / "llama").glob("*.safetensors"):
        tensors = safetensors.torch.load_file(file)
        assert len(tensors) == 1 or sum(each.nbytes for each in tensors.values()) <= 2000


@pytest.mark.parametrize("config", [CONFIG, TIED], ids=["untied", "tied"])
def test_the_written_tensors_are_those_that_were_read(tmp_path: Path, config: dict[str, Any]) -> None:
    prior = read_llama(laid(tmp_path / "theirs", config))

    write_llama(tmp_path / "ours", prior)

    written = safetensors.torch.load_file(tmp_path / "ours" / "model.safetensors")
    assert written.keys() == published(config).keys()
    assert all(torch.equal(written[name], value) for name, value in published(config).items())
    assert config.items() <= json.loads((tmp_path / "ours" / "config.json").read_text()).items()


def test_a_prior_in_half_precision_is_written_in_half_precision(tmp_path: Path) -> None:
    write_llama(tmp_path / "llama", small().bfloat16())

    written = safetensors.torch.load_file(tmp_path / "llama" / "model.safetensors")
    assert {each.dtype for each in written.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "llama" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert read_llama(tmp_path / "llama").embedding.weight.dtype == torch.float32


@pytest.mark.parametrize("config", [CONFIG, TIED], ids=["untied", "tied"])
def test_a_larger_vocabulary_keeps_old_rows_and_starts_new_ones_at_their_mean(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    folder = laid(tmp_path / "llama", config)

    prior = read_llama(folder, IDS_KNOWN + 3)

    old = read_llama(folder)
    layers = [(prior.embedding, old.embedding)] + ([] if prior.head is None else [(prior.head, old.head)])
    for wider, narrow in layers:
        assert torch.equal(wider.weight[:IDS_KNOWN], narrow.weight)
        assert torch.equal(wider.weight[IDS_KNOWN:], narrow.weight.mean(0).expand(3, -1))
    torch.testing.assert_close(prior(IDS)[..., :IDS_KNOWN], old(IDS), rtol=1e-5, atol=1e-5)


def test_a_smaller_vocabulary_is_refused(tmp_path: Path) -> None:
    folder = laid(tmp_path / "llama", CONFIG)

    with pytest.raises(RunError, match=r"llama: expected a vocabulary of at least 11 ids, .* got 5; use data of that"):
        read_llama(folder, 5)


def test_every_class_starts_as_the_start_id(tmp_path: Path) -> None:
    prior = LlamaFolder(folder=str(laid(tmp_path / "llama", CONFIG))).build(IDS_KNOWN, 0, 3)

    ids = IDS.where(IDS != START, 0)

    logits = prior(ids, torch.tensor([0, 2]))

    assert torch.equal(logits, prior(ids))


def test_a_start_id_at_the_front_of_a_row_is_not_read_twice(tmp_path: Path) -> None:
    prior = read_llama(laid(tmp_path / "llama", CONFIG)).double()
    bare = torch.tensor([[4, 1, 7, 2]])
    begun = torch.tensor([[START, 4, 1, 7, 2]])

    with torch.no_grad():
        torch.testing.assert_close(prior(begun)[:, 1:], prior(bare), rtol=1e-12, atol=1e-12)
        session = prior.open(begun[:, :2], capacity=5, room=3)
        torch.testing.assert_close(session.extend(begun[:, 2:]), prior(bare)[:, 2:], rtol=1e-12, atol=1e-12)
        later = prior.open(begun[:, :0], capacity=5, room=5)
        torch.testing.assert_close(later.extend(begun), prior(bare), rtol=1e-12, atol=1e-12)
        later.commit(torch.tensor([[0, 1]]))
        torch.testing.assert_close(later.next_logits, prior(bare)[:, 1], rtol=1e-12, atol=1e-12)


def test_a_start_id_behind_a_class_or_another_id_is_read(tmp_path: Path) -> None:
    prior = LlamaFolder(folder=str(laid(tmp_path / "llama", CONFIG))).build(IDS_KNOWN, 0, 2)
    begun, inside = torch.tensor([[START, 4]]), torch.tensor([[4, START]])

    with torch.no_grad():
        classed = prior(begun, torch.tensor([1]))
        expected = reference(published(CONFIG), CONFIG, [START, START, 4])  # a class starts as the start id
        torch.testing.assert_close(classed[0], expected, rtol=1e-5, atol=1e-5)
        expected = reference(published(CONFIG), CONFIG, [START, 4, START])
        torch.testing.assert_close(prior(inside)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"bos_token_id": None, "eos_token_id": 5}, 5),
        ({"bos_token_id": None, "eos_token_id": [6, 5]}, 6),
        ({"bos_token_id": None}, 2),  # the default of LlamaConfig
        ({"bos_token_id": ...}, 1),
        ({"bos_token_id": 3, "eos_token_id": [6, 5]}, 3),
    ],
)
def test_the_first_position_is_the_start_id_or_else_the_first_end_id(
    tmp_path: Path, values: dict[str, Any], start: int
) -> None:
    config = {name: value for name, value in (CONFIG | values).items() if value is not ...}

    prior = read_llama(laid(tmp_path / "llama", config))

    with torch.no_grad():
        expected = reference(published(CONFIG), CONFIG, [start])[0]
        torch.testing.assert_close(prior(IDS[:, :0])[0, 0], expected, rtol=1e-5, atol=1e-5)


def test_without_start_and_end_ids_all_first_ids_are_equally_likely(tmp_path: Path) -> None:
    config = CONFIG | {"bos_token_id": None, "eos_token_id": None}
    prior = read_llama(laid(tmp_path / "llama", config))

    write_llama(tmp_path / "again", prior)

    with torch.no_grad():
        assert not prior(IDS)[:, 0].any()
        assert prior(IDS)[:, 1].any()
        assert torch.equal(read_llama(tmp_path / "again")(IDS), prior(IDS))


def test_a_prior_with_classes_is_not_written(tmp_path: Path) -> None:
    prior = Llama(layers=1, width=8, heads=2, key_heads=1, hidden=8).build(5, 0, 3)

    with pytest.raises(RunError, match="expected a prior without classes to write, got one with 3"):
        write_llama(tmp_path / "llama", prior)


def test_a_frozen_llama_is_pretrained_and_has_nothing_to_train(tmp_path: Path) -> None:
    spec = FrozenLlama(folder=str(laid(tmp_path / "llama", CONFIG)))

    prior = spec.build(IDS_KNOWN, 0, None)

    assert spec.pretrained
    assert not LlamaFolder.pretrained
    assert not any(weight.requires_grad for weight in prior.parameters())


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({"": torch.bfloat16}, torch.bfloat16),
        ({"": torch.float16}, torch.float16),
        ({"": torch.float64}, torch.float32),
        ({"": torch.bfloat16, "norm": torch.float32}, torch.float32),
    ],
    ids=["bfloat16", "float16", "float64", "several"],
)
def test_a_frozen_llama_keeps_the_type_of_the_files(
    tmp_path: Path, types: dict[str, torch.dtype], expected: torch.dtype
) -> None:
    weights = published(CONFIG)
    for part, dtype in types.items():
        weights |= {name: weight.to(dtype) for name, weight in weights.items() if part in name}
    folder = str(laid(tmp_path / "llama", CONFIG, weights))

    frozen, trained = (
        FrozenLlama(folder=folder).build(IDS_KNOWN, 0, None),
        LlamaFolder(folder=folder).build(11, 0, None),
    )

    assert {weight.dtype for weight in frozen.parameters()} == {expected}
    assert {weight.dtype for weight in trained.parameters()} == {torch.float32}
    assert frozen(IDS).dtype == expected


def test_tensors_that_readers_compute_are_ignored(tmp_path: Path) -> None:
    weights = published(CONFIG)
    computed = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}

    plain = read_llama(laid(tmp_path / "plain", CONFIG, weights))
    more = read_llama(laid(tmp_path / "more", CONFIG, weights | computed))

    assert all(torch.equal(*pair) for pair in zip(plain.parameters(), more.parameters(), strict=True))


def test_a_tied_output_layer_in_a_file_must_equal_the_embedding(tmp_path: Path) -> None:
    weights = published(TIED)
    head = weights["model.embed_tokens.weight"].clone()
    read_llama(laid(tmp_path / "tied", TIED, weights | {"lm_head.weight": head}))

    with pytest.raises(RunError, match=r"expected 'lm_head.weight' to be the embedding, as config.json ties them"):
        read_llama(laid(tmp_path / "untied", TIED, weights | {"lm_head.weight": head + 1}))


def test_costs_need_shapes_alone(tmp_path: Path) -> None:
    spec = LlamaFolder(folder=str(laid(tmp_path / "llama", TIED)))

    with blank():
        prior = spec.build(IDS_KNOWN + 2, 0, None)

    expected = sum(weight.numel() for weight in published(TIED).values()) + 2 * WIDTH
    assert sum(weight.numel() for weight in prior.parameters()) == expected

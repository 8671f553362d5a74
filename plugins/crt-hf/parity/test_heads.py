"""EAGLE-3 heads in the layout of speculators, on random weights, beside the head in plain torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import chisquare
from small_models import small
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention, silu

import crt_hf
from crt_hf.heads.config import read_head_config
from crt_hf.heads.files import read_head, write_head
from crt_hf.heads.readers import readers_with_head
from crt_hf.heads.watched import Features
from crt_hf.model import Model
from crtcore.errors import RunError

WIDTH, HEADS, KEYS, CHANNELS, HIDDEN, OWN, VOCABULARY = 32, 4, 2, 8, 40, 20, 61
LAYERS = (1, 2, 3)
CONFIG: dict[str, Any] = {
    "architectures": ["Eagle3Speculator"],
    "speculators_model_type": "eagle3",
    "speculators_config": {"algorithm": "eagle3", "verifier": {"name_or_path": "org/target"}},
    "draft_vocab_size": OWN,
    "norm_before_residual": True,
    "eagle_aux_hidden_state_layer_ids": list(LAYERS),
    "transformer_layer_config": {
        "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_hidden_layers": 1,
        "num_attention_heads": HEADS, "num_key_value_heads": KEYS, "head_dim": CHANNELS, "vocab_size": VOCABULARY,
        "rms_norm_eps": 1e-5,
    },
}  # fmt: skip


def tensors() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(5)
    shapes = {
        "embed_tokens.weight": (VOCABULARY, WIDTH), "fc.weight": (WIDTH, 3 * WIDTH), "norm.weight": (WIDTH,),
        "lm_head.weight": (OWN, WIDTH), "layers.0.input_layernorm.weight": (WIDTH,),
        "layers.0.hidden_norm.weight": (WIDTH,), "layers.0.post_attention_layernorm.weight": (WIDTH,),
        "layers.0.self_attn.q_proj.weight": (HEADS * CHANNELS, 2 * WIDTH),
        "layers.0.self_attn.k_proj.weight": (KEYS * CHANNELS, 2 * WIDTH),
        "layers.0.self_attn.v_proj.weight": (KEYS * CHANNELS, 2 * WIDTH),
        "layers.0.self_attn.o_proj.weight": (WIDTH, HEADS * CHANNELS),
        "layers.0.mlp.gate_proj.weight": (HIDDEN, WIDTH), "layers.0.mlp.up_proj.weight": (HIDDEN, WIDTH),
        "layers.0.mlp.down_proj.weight": (WIDTH, HIDDEN),
    }  # fmt: skip
    made = {name: 0.2 * torch.randn(shape, generator=draw) + (len(shape) == 1) for name, shape in shapes.items()}
    ids = torch.arange(2, 2 + 2 * OWN, 2)  # the head's id k is the target's 2 k + 2
    own = torch.zeros(VOCABULARY, dtype=torch.bool)
    own[ids] = True
    return made | {"d2t": ids - torch.arange(OWN), "t2d": own}


def write(folder: Path, weights: dict[str, Tensor] | None = None, **changed: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG | changed))
    save_file(tensors() if weights is None else weights, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("target")
    small("llama").save_pretrained(path)
    return path


@pytest.fixture
def head(tmp_path: Path) -> Path:
    return write(tmp_path / "head")


def norm(x: Tensor, gain: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain


def rotated(x: Tensor, places: Tensor) -> Tensor:
    """Rotates `h n d` by the angles of transformers' layout, halves of a head apart."""
    speeds = 10_000.0 ** (-torch.arange(0, CHANNELS, 2) / CHANNELS)
    angles = torch.cat((places[:, None] * speeds, places[:, None] * speeds), -1)
    first, second = x.chunk(2, -1)
    return x * angles.cos() + torch.cat((-second, first), -1) * angles.sin()


def plain(ids: Tensor, before: Tensor, *, normed: bool = True) -> tuple[Tensor, Tensor]:
    """States and logits of the head at ids `n`, which read `before` (n w): one pass, without a cache."""
    w = tensors()
    layer = {name.removeprefix("layers.0."): x for name, x in w.items()}
    states = norm(before, layer["hidden_norm.weight"])
    joint = torch.cat((norm(w["embed_tokens.weight"][ids], layer["input_layernorm.weight"]), states), -1)
    query, key, value = (
        linear(joint, layer[f"self_attn.{x}_proj.weight"]).view(len(ids), -1, CHANNELS).transpose(0, 1) for x in "qkv"
    )
    places = torch.arange(1, len(ids) + 1)
    key, value = (x.repeat_interleave(HEADS // KEYS, 0) for x in (rotated(key, places), value))
    mixed = scaled_dot_product_attention(rotated(query, places), key, value, is_causal=True)
    stream = (states if normed else before) + linear(mixed.transpose(0, 1).flatten(1), layer["self_attn.o_proj.weight"])
    fed = norm(stream, layer["post_attention_layernorm.weight"])
    gate, up = linear(fed, layer["mlp.gate_proj.weight"]), linear(fed, layer["mlp.up_proj.weight"])
    stream = stream + linear(silu(gate) * up, layer["mlp.down_proj.weight"])
    return stream, linear(norm(stream, w["norm.weight"]), w["lm_head.weight"])


@torch.no_grad()
def fused(target: Path, ids: Tensor) -> Tensor:
    """What stands for the target's hidden states, by transformers."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(target)
    states = model(ids[None], output_hidden_states=True).hidden_states  # before the last norm but for the last
    taken = [states[layer] for layer in LAYERS[:-1]]
    kept: list[Tensor] = []
    handle = model.model.layers[-1].register_forward_hook(lambda _, __, out: kept.append(out))
    model(ids[None])
    handle.remove()
    return linear(torch.cat([*taken, kept[0]], -1)[0], tensors()["fc.weight"])


IDS = torch.tensor([1, 7, 30, 12, 55, 4, 9])


@pytest.mark.parametrize("normed", [True, False])
@torch.no_grad()
def test_a_full_pass_is_that_of_the_head_in_plain_torch(normed: bool, target: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "head", norm_before_residual=normed)

    _, draft = readers_with_head(Model(target), folder)

    _, expected = plain(IDS[1:], fused(target, IDS)[:-1], normed=normed)
    logits = draft.prior(IDS[None])[0, 2:]
    torch.testing.assert_close(logits[:, 2 : 2 + 2 * OWN : 2], expected, rtol=1e-4, atol=1e-4)
    others = [x for x in range(VOCABULARY) if x not in range(2, 2 + 2 * OWN, 2)]
    assert bool((logits[:, others] == -torch.inf).all())


@torch.no_grad()
def test_drafted_ids_read_the_heads_own_states_and_committed_ones_the_targets(target: Path, head: Path) -> None:
    reader, draft = readers_with_head(Model(target), head)
    own = slice(2, 2 + 2 * OWN, 2)
    states = fused(target, IDS)
    # Rows of different lengths, beside each other: 4 and 3 ids of the same text.
    prompt = torch.tensor([IDS[:4].tolist(), [*IDS[:3].tolist(), -1]])
    main = reader.prior.open(prompt, capacity=9, room=6)
    session = draft.prior.open(prompt, capacity=9, room=6)
    torch.testing.assert_close(session.next_logits[0, own], plain(IDS[1:4], states[:3])[1][-1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(session.next_logits[1, own], plain(IDS[1:3], states[:2])[1][-1], rtol=1e-4, atol=1e-4)

    root = session.extend(torch.tensor([[int(IDS[4])], [int(IDS[3])]]))  # emitted, not yet read by the target
    tree = session.extend(torch.tensor([[40, 8], [40, 8]]), torch.tensor([[0, 0], [0, 0]]))  # drafted siblings
    below = session.extend(torch.tensor([[6], [6]]), torch.tensor([[2], [2]]))  # under the second

    for row, length in ((0, 4), (1, 3)):
        made, logits = plain(IDS[1 : length + 1], states[:length])
        torch.testing.assert_close(root[row, 0, own], logits[-1], rtol=1e-4, atol=1e-4)
        ids, before = torch.cat((IDS[1 : length + 1], torch.tensor([8]))), torch.cat((states[:length], made[-1:]))
        deeper, logits = plain(ids, before)
        torch.testing.assert_close(tree[row, 1, own], logits[-1], rtol=1e-4, atol=1e-4)
        _, logits = plain(torch.cat((ids, torch.tensor([6]))), torch.cat((before, deeper[-1:])))
        torch.testing.assert_close(below[row, 0, own], logits[-1], rtol=1e-4, atol=1e-4)

    # Row 0 commits the emitted id and the second sibling, row 1 the emitted id alone.
    main.extend(torch.tensor([[int(IDS[4]), 40, 8], [int(IDS[3]), 40, 8]]), torch.tensor([[-1, 0, 0], [-1, 0, 0]]))
    main.commit(torch.tensor([[0, 2], [0, -1]]))
    session.commit(torch.tensor([[0, 2], [0, -1]]))

    for row, text in ((0, [*IDS[:5].tolist(), 8]), (1, IDS[:4].tolist())):
        expected = plain(torch.tensor(text[1:]), fused(target, torch.tensor(text))[:-1])[1][-1]
        torch.testing.assert_close(session.next_logits[row, own], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_passes_of_drafted_ids_are_those_of_a_session(target: Path, head: Path) -> None:
    reader, draft = readers_with_head(Model(target), head)
    reader.prior.open(IDS[None, :4], capacity=9, room=6)
    session = draft.prior.open(IDS[None, :4], capacity=9, room=6)

    drafted = [session.extend(IDS[None, 4:5])]
    drafted += [session.extend(IDS[None, 4 + depth : 5 + depth]) for depth in (1, 2)]

    for depth, logits in enumerate(drafted):
        passes = list(draft.prior.passes(IDS[None, : 5 + depth], depth + 1))
        torch.testing.assert_close(passes[depth][0, -1], logits[0, 0], rtol=1e-4, atol=1e-4)
        if depth:  # what was not drafted reads other states
            assert float((passes[0][0, -1] - logits[0, 0]).nan_to_num(0).abs().max()) > 1e-2


@torch.no_grad()
def test_a_head_is_read_as_it_was_written(target: Path, head: Path, tmp_path: Path) -> None:
    weight = torch.zeros(VOCABULARY, WIDTH)
    made, own = read_head(head, weight, len(LAYERS))
    (tmp_path / "copy").mkdir()

    write_head(tmp_path / "copy", made, own)
    again, ids = read_head(tmp_path / "copy", weight, len(LAYERS))

    assert ids == own == list(range(2, 2 + 2 * OWN, 2))
    assert read_head_config(tmp_path / "copy") == read_head_config(head)
    for (name, before), after in zip(made.named_parameters(), again.parameters(), strict=True):
        if name != "embedding.weight":  # it is the target's
            assert torch.equal(before.bfloat16().float(), after), name


@torch.no_grad()
def test_a_session_that_reads_the_states_of_another_place_is_noticed(
    target: Path, head: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Features.at
    monkeypatch.setattr(Features, "at", lambda self, places: at(self, places - 1))
    reader, draft = readers_with_head(Model(target), head)
    reader.prior.open(IDS[None, :4], capacity=9, room=6)

    session = draft.prior.open(IDS[None, :4], capacity=9, room=6)

    expected = plain(IDS[1:4], fused(target, IDS)[:3])[1][-1]
    assert float((session.next_logits[0, 2 : 2 + 2 * OWN : 2] - expected).abs().max()) > 0.1


def test_a_head_without_a_session_of_its_target_is_refused(target: Path, head: Path) -> None:
    _, draft = readers_with_head(Model(target), head)

    with pytest.raises(ValueError, match="expected the target's session of the same rows to be opened before"):
        draft.prior.open(IDS[None, :4], capacity=9, room=6)


@pytest.mark.parametrize(
    "decoder", ["sd", "block", "rsd-c", "rsd-s", "spectr", "greedy-tree", "traversal", "likeliest-tree"]
)
def test_decoding_with_a_head_changes_no_greedy_id_in_ragged_rows(decoder: str, target: Path, head: Path) -> None:
    prompts = [[1, 7, 30, 12], [5], [9, 9, 9, 9, 9, 9, 2]]

    results = crt_hf.generate(target, prompts, decoder=decoder, draft=head, max_new_tokens=15, eos_token_id=None)

    plain_ids = crt_hf.generate(target, prompts, decoder="ancestral", max_new_tokens=15, eos_token_id=None)
    assert [each.ids for each in results] == [each.ids for each in plain_ids]
    assert "draft eagle3 head after 1, 2, 3 layers, 20 of the target's 61 ids; packed: 7 layers" in results[0].ran


def law(prompt: list[int], kept: int) -> dict[tuple[int, int], float]:
    """Chances of the next two ids, each among the likeliest `kept`, by transformers."""
    model, pairs = small("llama"), {}
    with torch.no_grad():
        first = model(torch.tensor([prompt])).logits[0, -1].double().topk(kept)
        for x, chance in zip(first.indices.tolist(), first.values.softmax(-1).tolist(), strict=True):
            second = model(torch.tensor([[*prompt, x]])).logits[0, -1].double().topk(kept)
            for y, then in zip(second.indices.tolist(), second.values.softmax(-1).tolist(), strict=True):
                pairs[x, y] = chance * then
    return pairs


def test_samples_with_a_head_follow_the_targets_distribution(target: Path, head: Path) -> None:
    """The first two ids of 3000 samples, the second of them drafted, by a chi-squared test at 1e-6."""
    count = 3000
    keywords = {"do_sample": True, "top_k": 20, "max_new_tokens": 3, "eos_token_id": None, "seed": range(count)}

    made = crt_hf.generate(target, [[1, 7, 30]] * count, decoder="sd", draft=head, **keywords)

    expected = law([1, 7, 30], 20)
    seen = dict.fromkeys(expected, 0)
    for each in made:
        seen[each.ids[0], each.ids[1]] += 1  # KeyError: an id that cannot come
    often = [pair for pair, chance in expected.items() if count * chance >= 5]
    cells = [(seen[pair], count * expected[pair]) for pair in often]
    cells.append((count - sum(n for n, _ in cells), count - sum(due for _, due in cells)))
    assert len(cells) > 50
    assert chisquare(*zip(*cells, strict=True)).pvalue > 1e-6
    assert sum(sum(each.accepted) for each in made) > 100


def test_a_head_without_an_embedding_has_the_targets(target: Path, tmp_path: Path) -> None:
    weights = tensors()
    del weights["embed_tokens.weight"]

    _, draft = readers_with_head(Model(target), write(tmp_path / "head", weights))

    assert torch.equal(
        draft.prior.embedding.weight, load_file(target / "model.safetensors")["model.embed_tokens.weight"]
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"speculators_model_type": "dflash"}, "speculators_model_type: expected 'eagle3', got 'dflash'"),
        ({"norm_before_fc": True}, "norm_before_fc: expected False, got True"),
        ({"draft_vocab_size": 70}, "draft_vocab_size: expected an integer from 1 to 61, got 70"),
        ({"draft_vocab_size": 19}, "expected 'd2t' to be 19 integers"),
        (
            {"eagle_aux_hidden_state_layer_ids": [1, 2, 9]},
            "expected layers from 0 to 3, the target's, got",
        ),
        ({"eagle_aux_hidden_state_layer_ids": [1, 2]}, r"expected 'fc.weight' to be \[32, 64\], got \[32, 96\]"),
        ({"norm_before_residual": "yes"}, "norm_before_residual: expected true or false, got 'yes'"),
        ({"transformer_layer_config": None}, "transformer_layer_config: expected an object, got None"),
        (
            {"transformer_layer_config": CONFIG["transformer_layer_config"] | {"num_hidden_layers": 2}},
            "num_hidden_layers: expected 1, got 2",
        ),
        (
            {"transformer_layer_config": CONFIG["transformer_layer_config"] | {"vocab_size": 60}},
            "expected a head for a target of 61 ids, got one for 60",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_one_error(
    changed: dict[str, Any], message: str, target: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=message):
        crt_hf.generate(target, [[1, 2]], decoder="sd", draft=write(tmp_path / "head", **changed), max_new_tokens=2)


def test_ids_that_lead_nowhere_are_one_error(target: Path, tmp_path: Path) -> None:
    weights = tensors()
    weights["d2t"][-1] += VOCABULARY

    with pytest.raises(RunError, match="expected 'd2t' to lead to distinct ids below 61"):
        readers_with_head(Model(target), write(tmp_path / "head", weights))


def test_a_target_that_crt_ar_does_not_read_is_one_error(head: Path) -> None:
    with pytest.raises(RunError, match="expected a target that crt-ar reads, whose hidden states a head can have"):
        crt_hf.generate(small("gpt2"), [[1]], decoder="sd", draft=head, max_new_tokens=1)

"""The language model with meta-tokens: against the base model, at first values, and in training."""

from __future__ import annotations

import copy
import math
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from crt_nn.attention import Attention
from crt_nn.context import AttentionContext
from crt_nn.yarn_settings import Yarn
from crt_vib.meta.attention import MetaAttention
from crt_vib.meta.spec import MetaTransformer
from crt_vib.meta.transformer import MetaLanguageModel
from crtcore.errors import RunError

SPEC = MetaTransformer(layers=2, width=8, heads=2, hidden=12)
META = 5
IDS = torch.tensor([[0, META, 1, META, 3, 4], [2, 2, META, 0, 1, META]])
TEXT = IDS.where(IDS != META, 1)
ROWS = st.lists(st.integers(0, META - 1), max_size=6).map(lambda row: torch.tensor([row + [-1] * (6 - len(row))]))
SEEDS = st.integers(0, 2**31 - 1)


def built(spec: MetaTransformer = SPEC, seed: int = 0) -> MetaLanguageModel:
    """Moved away from where it starts, as logits are all 0 there."""
    torch.manual_seed(seed)
    model = spec.build(META + 1, 8, None).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def shared(model: MetaLanguageModel) -> dict[str, Tensor]:
    """The weights except those of the second attention and its norm, named as in a model without."""
    weights = {}
    for name, value in model.state_dict().items():
        parts = name.split(".")
        if "blocks" in parts:
            place = {"0": "0", "1": "", "2": "1"}[parts[4]]
            parts[4] = place
        if all(parts):
            weights[".".join(parts)] = value
    return weights


@settings(deadline=None, max_examples=25)
@given(ids=ROWS, seed=SEEDS)
def test_without_meta_it_is_the_base_model_bit_for_bit(ids: Tensor, seed: int) -> None:
    model = built(seed=seed)
    base = attrs.evolve(SPEC, second="none").build(META + 1, 8, None).double()

    base.load_state_dict(shared(model))

    assert torch.equal(model(ids), base(ids))


def test_with_meta_it_is_not_the_base_model() -> None:
    model = built()
    base = attrs.evolve(SPEC, second="none").build(META + 1, 8, None).double()

    base.load_state_dict(shared(model))

    assert not torch.allclose(model(IDS)[:, 2:], base(IDS)[:, 2:])


def test_the_second_attention_changes_only_metas_within_its_block() -> None:
    model, other = built(), built()
    for weight in second(other).parameters():
        weight.mul_(2)
    stream = torch.randn(2, 7, 8, dtype=torch.float64)
    ids = functional.pad(IDS, (1, 0), value=-1)
    context = AttentionContext(torch.arange(7).expand(2, -1), ids=ids)

    one, two = (each.stack.blocks[0](stream, context) for each in (model, other))

    assert torch.equal(one[ids != META], two[ids != META])
    assert ((one - two).abs().amax(-1) > 1e-6)[ids == META].all()


def test_attending_to_all_changes_every_position_and_has_as_many_parameters() -> None:
    spec = attrs.evolve(SPEC, second="all")
    model, other = built(spec), built(spec)
    for weight in second(other).parameters():
        weight.mul_(2)

    moved = (model.hidden(TEXT) - other.hidden(TEXT)).abs().amax(-1) > 1e-6

    assert moved.all()
    assert size(model) == size(built())


def second(model: MetaLanguageModel) -> Any:
    return model.stack.blocks[0].get_submodule("sublayers.1")


def size(model: MetaLanguageModel) -> int:
    return sum(weight.numel() for weight in model.parameters())


def test_arms_start_with_the_same_shared_values() -> None:
    arms = {}
    for arm in ("meta", "all", "none"):
        torch.manual_seed(0)
        arms[arm] = attrs.evolve(SPEC, second=arm).build(META + 1, 8, 3)

    plain, meta, paused = arms["none"].state_dict(), shared(arms["meta"]), shared(arms["all"])
    assert plain.keys() == meta.keys() == paused.keys()
    assert all(torch.equal(plain[name], meta[name]) and torch.equal(plain[name], paused[name]) for name in plain)
    ours, theirs = (
        arms[arm].get_parameter(f"stack.blocks.1.sublayers.1.{inside}outward.weight")
        for arm, inside in (("meta", "inner."), ("all", ""))
    )
    assert torch.equal(ours, theirs)


def positions(spec: MetaTransformer) -> list[Tensor]:
    """The positions that each attention of a model receives."""
    model, seen = built(spec), list[Tensor]()
    for module in model.modules():
        if isinstance(module, Attention | MetaAttention):
            module.register_forward_pre_hook(lambda _, given: seen.append(given[1].positions))
    model(IDS)
    return seen


def test_positions_are_those_of_the_row_and_the_prefix_is_0() -> None:
    first, second, inner = positions(SPEC)[:3]

    assert first.tolist() == second.tolist() == [list(range(7))] * 2
    assert inner.tolist() == [[2, 4], [3, 6]]


def test_positions_at_meta_can_be_left_out() -> None:
    first, second, inner = positions(attrs.evolve(SPEC, positions_at_meta=False))[:3]

    assert first.tolist() == second.tolist() == [[0, 1, 0, 3, 0, 5, 6], [0, 1, 2, 0, 4, 5, 0]]
    assert inner.tolist() == [[0, 0], [0, 0]]


def test_yarn_reaches_both_attentions() -> None:
    plain, stretched = (built(attrs.evolve(SPEC, yarn=Yarn(scale=scale, original_length=8))) for scale in (1, 4))

    assert torch.equal(plain(IDS), built()(IDS))
    assert not torch.allclose(plain(IDS), stretched(IDS))
    context, stream = (
        AttentionContext(torch.arange(6).expand(2, -1), ids=IDS),
        torch.randn(2, 6, 8, dtype=torch.float64),
    )
    assert not torch.allclose(second(plain)(stream, context), second(stretched)(stream, context))


def test_the_loss_starts_at_ln_v() -> None:
    model = SPEC.build(META + 1, 8, None)

    assert torch.equal(model(IDS), torch.zeros(2, 7, META + 1))


def test_tied_weights_are_stored_once() -> None:
    model = built(attrs.evolve(SPEC, embedding="tied"))

    other = copy.deepcopy(model)
    other.embedding.weight.zero_()

    assert not [name for name in model.state_dict() if name.startswith("head")]
    assert size(model) == size(built(attrs.evolve(SPEC, embedding="plain"))) - (META + 1) * 8
    assert torch.equal(model(IDS), model.forward_states(IDS, None) @ model.embedding.weight.T)
    assert other(IDS).eq(0).all()
    assert not model(IDS).eq(0).all()


def test_tied_weights_start_near_ln_v() -> None:
    """A state of unit mean square predicts its own id with a logit of 0.02 * 64 at most, one of 4,000."""
    torch.manual_seed(0)
    model = MetaTransformer(layers=1, width=64, heads=2, embedding="tied").build(4000, 8, None)
    ids = torch.randint(4000, (8, 8))

    loss = functional.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids.flatten())

    # logits of deviation 0.02 * 8 = 0.16 add 0.013, and 64 targets have a standard error of 0.02
    assert loss.item() == pytest.approx(math.log(4000) + 0.013, abs=0.1)


def test_a_shift_adds_a_map_of_the_previous_position() -> None:
    shift, stream = built().shift, torch.randn(1, 4, 8, dtype=torch.float64)
    assert shift is not None

    output = shift(stream, AttentionContext(torch.arange(4)[None]))

    added = torch.cat((torch.zeros(1, 1, 8), stream[:, :-1] @ shift.map.weight.T), 1)
    torch.testing.assert_close(output, stream + added, rtol=1e-12, atol=1e-12)


def recall(count: int, seed: int) -> Tensor:
    """Rows of four names with an item each, one of the names again, and its item."""
    generator = torch.Generator().manual_seed(seed)
    names = torch.rand(count, 8, generator=generator).argsort(1)[:, :4]
    items = torch.randint(8, 16, (count, 4), generator=generator)
    asked = torch.randint(4, (count, 1), generator=generator)
    lists = torch.stack((names, items), 2).flatten(1)
    return torch.cat((lists, names.gather(1, asked), items.gather(1, asked)), 1)


@pytest.mark.parametrize(("embedding", "low", "high"), [("shifted", 0.95, 1.0), ("plain", 0.0, 0.5)])
def test_two_layers_learn_to_recall_within_200_updates_if_ids_are_shifted(
    embedding: Any, low: float, high: float
) -> None:
    """A random one of the four items is correct in 0.25 + 0.75 / 8 = 0.34 of the rows."""
    torch.manual_seed(0)
    model = MetaTransformer(embedding=embedding).build(17, 10, None)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)

    for step in range(200):
        rows = recall(64, step)
        optimizer.zero_grad()
        functional.cross_entropy(model(rows)[:, -2], rows[:, -1]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    rows = recall(1000, 1000)
    assert low <= (model(rows)[:, -2].argmax(-1) == rows[:, -1]).float().mean() <= high


@pytest.mark.parametrize(("feed_forward", "hidden", "width"), [("relu", 0, 256), ("swiglu", 0, 176), ("relu", 12, 12)])
def test_the_feed_forward_layer_is_the_chosen_one(feed_forward: Any, hidden: int, width: int) -> None:
    spec = MetaTransformer(layers=1, width=64, feed_forward=feed_forward, hidden=hidden)

    weights = spec.build(META + 1, 8, None).state_dict()

    assert weights["stack.blocks.0.sublayers.2.up.weight"].shape == (width, 64)
    assert ("stack.blocks.0.sublayers.2.gate.weight" in weights) == (feed_forward == "swiglu")


def test_a_rectified_layer_is_that_of_the_equation() -> None:
    model = built(attrs.evolve(SPEC, feed_forward="relu"))
    layer: Any = model.stack.blocks[0].get_submodule("sublayers.2")
    features = torch.randn(1, 3, 8, dtype=torch.float64)

    output = layer(features, AttentionContext(torch.arange(3)[None]))

    inner = features @ layer.up.weight.T
    torch.testing.assert_close(output, (inner * (inner > 0)) @ layer.down.weight.T)


def test_half_precision_trains() -> None:
    torch.manual_seed(0)
    model = MetaTransformer(layers=1, width=16, heads=2).build(META + 1, 8, None)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(model(IDS)[:, :-1].flatten(0, 1), IDS.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())

    assert losses[0] == pytest.approx(math.log(6), rel=1e-6)
    assert losses[-1] < losses[0] / 2


def test_a_session_in_half_precision_agrees_with_the_full_pass() -> None:
    model = built().bfloat16()

    session = model.open(IDS[:, :3], capacity=6, room=3)
    logits = session.extend(IDS[:, 3:])

    torch.testing.assert_close(logits, model(IDS)[:, 4:], rtol=6e-2, atol=6e-2)


def test_hidden_states_give_the_logits_after_their_ids() -> None:
    model = built()

    torch.testing.assert_close(model.logits(model.hidden(IDS)), model(IDS)[:, 1:])


def test_a_vocabulary_of_meta_alone_is_refused() -> None:
    with pytest.raises(RunError, match="expected a vocabulary of at least 2 ids, META the last, got 1"):
        SPEC.build(1, 8, None)

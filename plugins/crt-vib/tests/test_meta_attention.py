"""Attention among METAs: three ways to compute it, the output at each position, and the cost."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crt_nn.attention import Attention
from crt_nn.context import AttentionContext, KVCache
from crt_vib.meta.attention import MetaAttention

META, WIDTH, HEADS = 2, 8, 2
IDS = st.lists(st.lists(st.sampled_from([-1, 0, META]), min_size=7, max_size=7), min_size=1, max_size=3)
SEEDS = st.integers(0, 2**31 - 1)
case = given(ids=IDS.map(torch.tensor), seed=SEEDS)
brief = settings(deadline=None, max_examples=50)


def layer(seed: int = 0) -> MetaAttention:
    torch.manual_seed(seed)
    return MetaAttention(Attention(WIDTH, heads=HEADS, backend="sdpa"), META).double()


def features_like(ids: Tensor, seed: int) -> Tensor:
    return torch.randn(*ids.shape, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(ids: Tensor) -> AttentionContext:
    return AttentionContext(torch.arange(ids.shape[1]).expand(len(ids), -1), ids=ids)


def dense(ids: Tensor) -> AttentionContext:
    return whole(ids)._replace(visible=torch.ones(ids.shape[1], ids.shape[1]).tril().bool().expand(len(ids), -1, -1))


def turned(vector: Tensor, position: int) -> Tensor:
    pairs = torch.view_as_complex(vector.view(-1, 2))
    angles = position * 10000.0 ** -(torch.arange(len(pairs), dtype=torch.float64) * 2 / len(vector))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten()


def reference(attention: MetaAttention, features: Tensor, ids: list[int]) -> Tensor:
    """One row by the formula: softmax(QK/sqrt(d) + causal + P) V, P being 0 for two METAs; 0 where all is -inf."""
    weights = attention.state_dict()
    width = WIDTH // HEADS
    query, key, value = (features @ weights["inner.inward.weight"].T).chunk(3, -1)
    rows = []
    for here in range(len(ids)):
        parts = []
        for head in range(HEADS):
            at = slice(head * width, (head + 1) * width)
            seen = [there for there in range(here + 1) if ids[here] == META and ids[there] == META]
            if not seen:
                parts.append(torch.zeros(width, dtype=torch.float64))
                continue
            scores = [
                turned(query[here, at], here) @ turned(key[there, at], there) / math.sqrt(width) for there in seen
            ]
            parts.append(torch.stack(scores).softmax(0) @ value[seen][:, at])
        rows.append(torch.cat(parts))
    return torch.stack(rows) @ weights["inner.outward.weight"].T


@brief
@case
@torch.no_grad()
def test_gathered_attention_is_that_of_a_dense_mask_and_of_the_formula(ids: Tensor, seed: int) -> None:
    attention, features = layer(), features_like(ids, seed)

    gathered, masked = attention(features, whole(ids)), attention(features, dense(ids))

    torch.testing.assert_close(gathered, masked, rtol=1e-9, atol=1e-9)
    for row, row_ids in enumerate(ids.tolist()):
        torch.testing.assert_close(gathered[row], reference(attention, features[row], row_ids), rtol=1e-9, atol=1e-9)


@brief
@case
@torch.no_grad()
def test_the_output_at_every_other_position_is_0(ids: Tensor, seed: int) -> None:
    attention, features = layer(), features_like(ids, seed)

    for context in (whole(ids), dense(ids)):
        assert attention(features, context)[ids != META].eq(0).all()


@brief
@given(ids=IDS.map(torch.tensor), seed=SEEDS, place=st.integers(0, 6))
@torch.no_grad()
def test_later_positions_do_not_matter(ids: Tensor, seed: int, place: int) -> None:
    attention, features = layer(), features_like(ids, seed)
    other, others = features.clone(), ids.clone()
    other[:, place:] += 1
    others[:, place:] = torch.where(others[:, place:] == META, 0, META)

    torch.testing.assert_close(
        attention(other, whole(others))[:, :place], attention(features, whole(ids))[:, :place], rtol=1e-9, atol=1e-9
    )


@brief
@case
@torch.no_grad()
def test_a_session_reads_its_cached_flags(ids: Tensor, seed: int) -> None:
    attention, features = layer(), features_like(ids, seed)
    cache = KVCache(slots=7)
    together = attention(features, whole(ids))

    first = attention(features[:, :4], whole(ids[:, :4])._replace(cache=cache))
    cache.offset = 4
    later = AttentionContext(torch.arange(4, 7).expand(len(ids), -1), dense(ids).visible[:, 4:], cache, ids=ids[:, 4:])  # type: ignore[index]
    rest = attention(features[:, 4:], later)

    torch.testing.assert_close(torch.cat((first, rest), 1), together, rtol=1e-9, atol=1e-9)


def taking(keep: Callable[[Tensor], Tensor]) -> nn.Module:
    """A layer that takes other positions for METAs."""
    attention = layer()
    forward = attention.forward
    attention.forward = lambda features, context: forward(features, context._replace(ids=keep(context.ids)))  # type: ignore[method-assign]
    return attention


def without_the_first(ids: Tensor) -> Tensor:
    metas = ids == META
    return ids.masked_fill(metas & (metas.cumsum(1) == 1), 0)


OFFENDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "all are METAs": lambda ids: torch.full_like(ids, META),
    "the first META is none": without_the_first,
    "the next one is META": lambda ids: ids.roll(1, 1),
}


@pytest.mark.parametrize("name", OFFENDERS)
@torch.no_grad()
def test_another_choice_of_positions_is_caught(name: str) -> None:
    ids = torch.tensor([[0, META, 0, META, META]])
    features = features_like(ids, 0)

    output = taking(OFFENDERS[name])(features, whole(ids))

    assert not torch.allclose(output[0], reference(layer(), features[0], ids[0].tolist()))


def test_without_metas_the_output_is_0_and_the_gradient_finite() -> None:
    ids = torch.tensor([[0, 1, -1]])
    attention, features = layer(), features_like(ids, 0).requires_grad_()

    output = attention(features, whole(ids))

    output.sum().backward()
    assert torch.equal(output, torch.zeros_like(output))
    assert all(weight.grad is not None and weight.grad.eq(0).all() for weight in attention.parameters())
    assert features.grad is not None
    assert features.grad.eq(0).all()


@pytest.mark.parametrize(("places", "most"), [([], 1), ([3], 1), ([0, 7, 63], 3)])
@torch.no_grad()
def test_its_cost_is_that_of_the_metas(places: list[int], most: int) -> None:
    ids = torch.zeros(2, 64, dtype=torch.int64)
    ids[1, places] = META
    attention, widths = layer(), list[int]()
    attention.inner.register_forward_pre_hook(lambda _, given: widths.append(given[0].shape[1]))

    attention(features_like(ids, 0), whole(ids))

    assert widths == [most]


@torch.no_grad()
def test_half_precision_is_kept() -> None:
    ids = torch.tensor([[0, META, 0, META]])
    attention, features = layer(), features_like(ids, 0)
    exact_frontier = attention(features, whole(ids))

    for context in (whole(ids), dense(ids)):
        rough = attention.bfloat16()(features.bfloat16(), context)
        assert rough.dtype == torch.bfloat16
        torch.testing.assert_close(rough.double(), exact_frontier, rtol=6e-2, atol=6e-2)


def test_a_context_without_ids_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a context with ids, got one without"):
        layer()(torch.zeros(1, 2, WIDTH).double(), AttentionContext(torch.arange(2)[None]))

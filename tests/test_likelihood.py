"""The cost of ids under a prior, and their weights."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_basics.priors.table import TablePrior
from crt_run.likelihood import CHUNK, counted, nats, scored
from crtcore.kinds import Prior

settings.register_profile("likelihood", deadline=None)
settings.load_profile("likelihood")


def drawn(seed: int, rows: int = 5) -> tuple[TablePrior, Tensor, Tensor]:
    """A random table over 4 ids, rows of up to 6 of them, and a weight for each."""
    generator = torch.Generator().manual_seed(seed)
    prior = TablePrior(torch.randn(1, 5, 4, generator=generator)).requires_grad_(False)
    ids = torch.randint(4, (rows, 6), generator=generator)
    lengths = torch.randint(7, (rows, 1), generator=generator)
    return prior, ids.where(torch.arange(6) < lengths, -1), torch.rand(rows, 6, generator=generator)


@given(st.integers(0, 999))
def test_the_cost_of_an_id_is_multiplied_by_its_weight(seed: int) -> None:
    prior, ids, weight = drawn(seed)

    weighted = nats(prior, ids, None, weight)

    log_probabilities = prior(ids)[:, :-1].log_softmax(-1)
    cost = -log_probabilities.gather(2, ids.clamp(min=0)[..., None])[..., 0]
    expected = [sum(cost[b, n] * weight[b, n] for n in range(6) if ids[b, n] >= 0) for b in range(5)]
    torch.testing.assert_close(weighted, torch.tensor(expected))


@given(st.integers(0, 999))
def test_no_weights_are_equal_weights(seed: int) -> None:
    prior, ids, _ = drawn(seed)

    assert torch.equal(nats(prior, ids, None), nats(prior, ids, None, torch.ones(5, 6)))
    assert counted(ids) == counted(ids, torch.ones(5, 6)) == (ids >= 0).sum()


@given(st.integers(0, 999))
def test_absent_ids_do_not_count_at_any_weight(seed: int) -> None:
    _, ids, weight = drawn(seed)

    assert counted(ids, weight) == counted(ids, weight.masked_fill(ids < 0, 9))


def test_weights_are_cut_as_the_ids_are() -> None:
    prior, ids, weight = drawn(0, 2 * CHUNK + 3)

    torch.testing.assert_close(scored(prior, ids, None, weight), nats(prior, ids, None, weight))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_nats_of_logits_in_half_precision_are_not_rounded_to_it(dtype: torch.dtype) -> None:
    """Rows of 500 ids cost about 700 nats, between which bfloat16 has steps of 4."""
    generator = torch.Generator().manual_seed(0)
    table = TablePrior(torch.randn(1, 5, 4, generator=generator)).requires_grad_(False)
    ids = torch.randint(4, (8, 500), generator=generator)

    def prior(ids: Tensor, class_ids: Tensor | None = None, **_: Any) -> Tensor:
        return table(ids, class_ids).to(dtype)

    exact = -prior(ids)[:, :-1].double().log_softmax(-1).gather(2, ids[..., None])[..., 0].sum(1)

    cost = nats(cast(Prior, prior), ids, None)
    torch.testing.assert_close(cost.double(), exact, rtol=1e-5, atol=0)
    assert cost.dtype == torch.float32

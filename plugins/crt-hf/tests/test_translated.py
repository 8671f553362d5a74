"""A draft of another vocabulary: what it proposes, what it reads, and that decoding with it stays exact."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_basics.priors.table import TablePrior
from crt_hf.translated import Intersection, Translated
from crt_run.sampling import probabilities
from crt_verify.specs import RSDC, BlockVerification, SpecTr, SpeculativeDecoding
from crtcore import Limits, Sampling
from crtcore.kinds import Request

DECODERS = (
    SpeculativeDecoding(length=2),
    BlockVerification(length=2),
    SpecTr(paths=2, length=1),
    RSDC(branching=(2, 1)),
)


def table(seed: int, vocabulary: int) -> TablePrior:
    generator = torch.Generator().manual_seed(seed)
    return TablePrior(2 * torch.randn(1, vocabulary + 1, vocabulary, generator=generator, dtype=torch.float64))


def names(ids: list[int]) -> dict[str, int]:
    """A vocabulary in which token `t3` is at the place of the 3 in the list."""
    return {f"t{x}": place for place, x in enumerate(ids)}


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**20),
    draft=st.lists(st.integers(0, 6), unique=True, min_size=1, max_size=5).filter(lambda ids: min(ids) < 3),
    decoder=st.sampled_from(DECODERS),
    temperature=st.sampled_from([0.5, 1.0]),
)
def test_decoding_with_it_has_the_distribution_of_the_target(
    seed: int, draft: list[int], decoder: Any, temperature: float
) -> None:
    target = table(seed, 3)
    common = Intersection(names([0, 1, 2]), names(draft), vocabulary=3, unknown=0)
    request = Request(torch.tensor([[2]]), Limits(length=2), Sampling(temperature=temperature))

    drafted = decoder.build().distribution(target, request, draft=Translated(table(seed + 1, len(draft)), common))

    rows = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    p = probabilities(target(torch.cat((torch.full((9, 1), 2), rows), 1)), request.sampling).detach()  # b 4 v
    expected = {(int(x), int(y)): float(p[row, 1, x] * p[row, 2, y]) for row, (x, y) in enumerate(rows.tolist())}
    assert drafted == pytest.approx(expected, abs=1e-12)


def test_it_proposes_by_the_draft_what_both_have() -> None:
    # The target has a b c d; the draft has c x a.
    common = Intersection({"a": 0, "b": 1, "c": 2, "d": 3}, {"c": 0, "x": 1, "a": 2}, vocabulary=4, unknown=1)
    draft = table(0, 3)

    logits = Translated(draft, common)(torch.tensor([[2, 1, -1]]))

    theirs = draft(torch.tensor([[0, 1, -1]]))  # c, and b as an unknown token
    assert torch.equal(logits[..., [0, 2]], theirs[..., [2, 0]])
    assert bool((logits[..., [1, 3]] == -torch.inf).all())
    assert common.size == 2


def test_a_draft_with_its_ids_in_another_order_is_the_draft() -> None:
    target = table(3, 5)
    order = torch.tensor([3, 0, 4, 1, 2])  # the draft's id k is the target's order[k]
    after = torch.cat((order, torch.tensor([5])))  # the last row is that of no id
    draft = TablePrior(target.logits.detach()[:, after][..., order])
    common = Intersection(names([0, 1, 2, 3, 4]), names(order.tolist()), vocabulary=5, unknown=0)
    request = Request(torch.tensor([[1], [4]]), Limits(length=24), Sampling())

    generation = SpeculativeDecoding(length=3).build().generate(target, request, draft=Translated(draft, common))

    assert generation.accepted[:, 1:-1].tolist() == [[3] * 5] * 2  # every drafted id


def test_its_session_goes_on_as_its_own_pass() -> None:
    common = Intersection(names([0, 1, 2, 3]), names([3, 7, 1]), vocabulary=4, unknown=1)
    prior = Translated(table(5, 3), common)
    ids = torch.tensor([[3, 0, 1, 2], [1, 1, 3, 0]])

    session = prior.open(ids[:, :1], capacity=4, room=4)
    assert torch.equal(session.next_logits, prior(ids[:, :1])[:, 1])
    assert torch.equal(session.extend(ids[:, 1:3]), prior(ids[:, :3])[:, 2:])
    session.commit(torch.tensor([[0], [0]]))
    assert torch.equal(session.next_logits, prior(ids[:, :2])[:, 2])
    tree = session.extend(ids[:, 2:4], torch.tensor([[-1, -1]] * 2))
    assert torch.equal(tree[:, 1], prior(torch.cat((ids[:, :2], ids[:, 3:]), 1))[:, 3])


def test_where_the_draft_excludes_all_common_tokens_they_are_equally_likely() -> None:
    common = Intersection(names([0, 1]), names([0, 1, 9]), vocabulary=3, unknown=0)
    logits = torch.tensor([[-torch.inf, -torch.inf, 0.0], [1.0, torch.nan, 0.0]])

    written = common.written(logits)

    assert written[0].tolist() == [0, 0, -torch.inf]
    assert bool(written[1].isnan().any())  # stays for the decoder to report


def test_vocabularies_without_a_common_token_are_refused() -> None:
    with pytest.raises(ValueError, match="expected vocabularies with a common token, got none"):
        Intersection(names([0, 1]), names([2, 3]), vocabulary=2, unknown=0)


@pytest.mark.parametrize("x", [4, -2])
def test_ids_out_of_range_are_refused(x: int) -> None:
    prior = Translated(table(5, 3), Intersection(names([0, 1, 2, 3]), names([3, 7, 1]), vocabulary=4, unknown=1))

    with pytest.raises(ValueError, match="expected ids from 0 to 3, or -1, got"):
        prior(torch.tensor([[0, x]]))

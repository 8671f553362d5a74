"""Claims on decoders, the names of late branching, and distributions behind prompts."""

from __future__ import annotations

import math

import pytest
import torch
from test_paired import BLOCK, SD, TREE, trials

from crt_basics.priors.table import TablePrior
from crt_run.sampling import probabilities
from crt_verify.decoding.behind import Behind
from crt_verify.decoding.claims import gains, verdicts
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.spec import Claim
from crt_verify.decoding.table import numbers
from crt_verify.decoding.trial import Pair
from crt_verify.specs import TraversalVerification
from crtcore import Sampling
from crtcore.kinds import Measurement

AHEAD = Claim(decoder="block", over="sd", budget=3)
LEVEL = Claim(decoder="rsd-c", over="sd", budget=3)


def test_a_claim_holds_where_every_sample_agrees_and_not_where_they_differ() -> None:
    made = trials(
        {
            SD.key: [[0, 0, 0], [0, 2, 2], [0, 0, 2]],
            BLOCK.key: [[0, 1, 1], [0, 5, 5], [0, 1, 5]],  # twice as many ids of each sample
            TREE.key: [[0, 0, 1], [0, 1, 2], [0, 0, 2]],
        }
    )

    measured = gains(made, [SD, BLOCK, TREE], [AHEAD, LEVEL])

    assert measured["gain_block_over_sd_at_3"] == (2.0, "times sd", 3, 2.0, 2.0)
    (sentence,) = verdicts(measured)
    assert "corrected for 2 of this run" in sentence
    assert "gain block over sd at 3: 2.000 (2.000 to 2.000), p 0, holds" in sentence
    assert sentence.endswith("not shown")


def test_a_claim_that_holds_alone_may_not_hold_among_others() -> None:
    """With 21 samples and t of 2.3 the probability is 0.032 alone, and above 0.05 beside another claim."""
    half = 2.085963  # Student's quantile of 95 % for 20 degrees of freedom
    gain = Measurement(math.exp(2.3), "times sd", 21, math.exp(2.3 - half), math.exp(2.3 + half))
    none = Measurement(1.0, "times sd", 21, 0.5, 2.0)

    (alone,), (beside,) = verdicts({"gain_a": gain}), verdicts({"gain_a": gain, "gain_b": none})

    assert "p 0.032, holds" in alone
    assert "p 0.065, not shown" in beside


def test_a_gain_below_1_is_no_claim_that_holds() -> None:
    worse = Measurement(0.5, "times sd", 21, 0.45, 0.55)

    assert verdicts({"gain_a": worse})[0].endswith("not shown")
    assert verdicts({}) == []


@pytest.mark.parametrize(
    ("branching", "name"),
    [
        ([1, 1, 2], "traversal-delayed"),
        ([2, 1, 1], "traversal"),
        ([1, 1], "traversal"),
        ([1, 3, 1], "traversal-delayed"),
    ],
)
def test_a_tree_that_branches_late_has_a_name_of_its_own(branching: list[int], name: str) -> None:
    spec = TraversalVerification(branching=tuple(branching))

    assert Entry.of({"use": "traversal", "branching": branching, "verification": "auto"}, spec).name == name


def test_distributions_behind_prompts_are_those_of_the_whole_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    target, draft = (TablePrior(torch.randn(1, 5, 4, generator=generator)).requires_grad_(False) for _ in range(2))
    pair = Pair(target, draft, Sampling(temperature=0.7), 0)
    samples = Samples(torch.tensor([[0, 1, 2, 3], [3, 2, -1, -1]]), torch.tensor([3, 1]), None)
    behind = Behind(pair, samples, 4)

    for emitted in ([[1, 2], [0, 0, 3]], [[3], [2]]):  # the second after the first
        rows = behind.after(emitted)

        for row, (prompt, ids) in enumerate(zip(([0, 1, 2], [3]), emitted, strict=True)):
            for prior, here in ((target, rows.p), (draft, rows.q)):
                whole = probabilities(prior(torch.tensor([[*prompt, *ids]])), pair.sampling)[0, len(prompt) :]
                torch.testing.assert_close(here[row, : len(ids) + 1], whole)


def test_a_draft_that_excludes_ids_has_no_number_of_nats() -> None:
    made = trials({"ancestral": [[0, 0], [0, 0]], SD.key: [[0, 0], [0, 0]]}, {"ancestral": [1.0, 1.0]})
    logits = torch.zeros(1, 5, 4)
    logits[..., 0] = -torch.inf
    pair = made.pair._replace(draft=TablePrior(logits).requires_grad_(False))

    found, usual = numbers(made._replace(pair=pair)), numbers(made)

    assert usual["draft_nats_per_id"].value == pytest.approx(math.log(4))
    assert "draft_nats_per_id" not in found
    assert found["target_nats_per_id"] == usual["target_nats_per_id"]

"""Decoders of one budget beside each other on the same samples."""

from __future__ import annotations

import math

import pytest
import torch

from crt_basics.priors.table import TablePrior
from crt_verify.decoding.accuracy import overlap
from crt_verify.decoding.claims import gains, verdicts
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.paired import compared, gain, over_chain
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.spec import Claim
from crt_verify.decoding.table import numbers
from crt_verify.decoding.trial import Pair
from crt_verify.decoding.trials import Timed, Trials
from crt_verify.lookup.spec import Lookup
from crt_verify.specs import RSDC, BlockVerification, SpeculativeDecoding
from crtcore import Sampling
from crtcore.kinds import Measurement

SD = Entry("sd", {"length": 3}, SpeculativeDecoding(length=3))
BLOCK = Entry("block", {"length": 3}, BlockVerification(length=3))
TREE = Entry("rsd-c", {"branching": [2, 1]}, RSDC(branching=(2, 1)))
COPY = Entry("lookup", {"nodes": 3}, Lookup(nodes=3))
AHEAD = Claim(decoder="block", over="sd", budget=3)
LEVEL = Claim(decoder="lookup", over="sd", budget=3)


def trials(accepted: dict[str, list[list[int]]], seconds: dict[str, list[float]] | None = None) -> Trials:
    """Trials whose rows emitted what their calls accepted, an id more for each call."""
    prior = TablePrior(torch.zeros(1, 5, 4)).requires_grad_(False)
    outputs = {
        key: {"accepted": rows, "ids": [[0] * (sum(row) + len(row)) for row in rows]} for key, rows in accepted.items()
    }
    count = len(next(iter(accepted.values())))
    samples = Samples(torch.zeros(count, 30, dtype=torch.int64), torch.full((count,), 4), None)
    timed = {
        key: [Timed(each, len(ids)) for each, ids in zip(values, outputs[key]["ids"], strict=True)]
        for key, values in (seconds or {}).items()
    }
    return Trials(Pair(prior, prior, Sampling(), 0), samples, 16, outputs, timed, 0.5, overlap)


def test_a_gain_that_is_equal_for_all_samples_has_no_width() -> None:
    """Samples differ widely, yet each has twice the ids a call: 2 and 6 over 1 and 3."""
    made = trials(
        {SD.key: [[0, 0, 0], [0, 2, 2]], BLOCK.key: [[0, 1, 1], [0, 5, 5]]},
        {SD.key: [4.0, 14.0], BLOCK.key: [3.0, 13.0]},
    )

    gain = over_chain(made, BLOCK, SD)

    assert gain["over_chain"] == (2.0, "times sd", 2, 2.0, 2.0)
    # ids: 3 and 7, 5 and 13; seconds an id: 4/3 and 14/7 over 3/5 and 13/13
    assert gain["token_rate_over_chain"].value == (4 / 3 + 2) / (3 / 5 + 1)
    assert over_chain(made, SD, SD) == over_chain(made, BLOCK, None) == {}


def test_neighbours_are_named_from_the_best() -> None:
    made = trials(
        {
            SD.key: [[0, 0, 0], [0, 2, 2]],
            BLOCK.key: [[0, 1, 1], [0, 5, 5]],
            TREE.key: [[0, 0, 0], [0, 0, 1]],
            COPY.key: [[0, 4, 0], [0, 0, 6]],
        }
    )

    (first,) = compared(made, [SD, BLOCK, TREE, COPY])

    # lookup 5 + 1 + 1 + 7 = 14 ids, block 2 + 2 + 6 + 6 = 16, sd 1 + 1 + 3 + 3 = 8, of 4 calls each
    assert first.startswith("ids a call at 3 drafted ids, paired by sample: block 1.143 times lookup (")
    assert "lookup 1.750 times sd (" in first
    assert "no difference shown); lookup" in first


def test_intervals_are_corrected_for_all_pairs_that_could_be_neighbours() -> None:
    made = trials(
        {
            SD.key: [[0, 0, 0], [0, 2, 2], [0, 1, 1]],
            BLOCK.key: [[0, 1, 1], [0, 5, 5], [0, 1, 2]],
            COPY.key: [[0, 4, 0], [0, 0, 6], [0, 1, 0]],
        }
    )
    exact = gain(made, BLOCK, COPY, 1 - 0.05 / 3)  # three pairs, of which two are neighbours

    (sentence,) = compared(made, [SD, BLOCK, COPY])

    assert f"block {exact.value:.3f} times lookup ({exact.low:.4g} to {exact.high:.4g}" in sentence


def test_one_decoder_of_a_budget_has_no_sentence() -> None:
    made = trials({SD.key: [[0, 0, 0], [0, 2, 2]], TREE.key: [[0, 0], [0, 1]]})

    assert compared(made, [SD, TREE]) == []


def test_a_claim_holds_where_every_sample_agrees_and_not_where_they_differ() -> None:
    made = trials(
        {
            SD.key: [[0, 0, 0], [0, 2, 2], [0, 0, 2]],
            BLOCK.key: [[0, 1, 1], [0, 5, 5], [0, 1, 5]],  # twice as many ids of each sample
            COPY.key: [[0, 0, 1], [0, 1, 2], [0, 0, 2]],
        }
    )

    measured = gains(made, [SD, BLOCK, COPY], [AHEAD, LEVEL])

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


def test_a_draft_that_excludes_ids_has_no_number_of_nats() -> None:
    made = trials({"ancestral": [[0, 0], [0, 0]], SD.key: [[0, 0], [0, 0]]}, {"ancestral": [1.0, 1.0]})
    logits = torch.zeros(1, 5, 4)
    logits[..., 0] = -torch.inf
    pair = made.pair._replace(draft=TablePrior(logits).requires_grad_(False))

    excluding, usual = numbers(made._replace(pair=pair)), numbers(made)

    assert usual["draft_nats_per_id"].value == pytest.approx(math.log(4))
    assert "draft_nats_per_id" not in excluding
    assert excluding["target_nats_per_id"] == usual["target_nats_per_id"]

"""Decoders of one budget beside each other on the same samples."""

from __future__ import annotations

import torch

from crt_basics.priors.table import TablePrior
from crt_verify.decoding.accuracy import overlap
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.paired import compared, over_chain
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.trial import Pair
from crt_verify.decoding.trials import Trials
from crt_verify.lookup.spec import Lookup
from crt_verify.specs import RSDC, BlockVerification, SpeculativeDecoding
from crtcore import Sampling

SD = Entry("sd", {"length": 3}, SpeculativeDecoding(length=3))
BLOCK = Entry("block", {"length": 3}, BlockVerification(length=3))
TREE = Entry("rsd-c", {"branching": [2, 1]}, RSDC(branching=(2, 1)))
COPY = Entry("lookup", {"nodes": 3}, Lookup(nodes=3))


def trials(accepted: dict[str, list[list[int]]], seconds: dict[str, list[float]] | None = None) -> Trials:
    """Trials whose rows emitted what their calls accepted, an id more for each call."""
    prior = TablePrior(torch.zeros(1, 5, 4)).requires_grad_(False)
    outputs = {
        key: {"accepted": rows, "ids": [[0] * (sum(row) + len(row)) for row in rows]} for key, rows in accepted.items()
    }
    count = len(next(iter(accepted.values())))
    samples = Samples(torch.zeros(count, 30, dtype=torch.int64), torch.full((count,), 4), None)
    return Trials(Pair(prior, prior, Sampling(), 0), samples, 16, outputs, seconds or {}, 0.5, overlap)


def test_a_gain_that_is_equal_for_all_samples_has_no_width() -> None:
    """Samples differ widely, yet each has twice the ids a call: 2 and 6 over 1 and 3."""
    made = trials(
        {SD.key: [[0, 0, 0], [0, 2, 2]], BLOCK.key: [[0, 1, 1], [0, 5, 5]]}, {SD.key: [4.0], BLOCK.key: [3.0]}
    )
    made.seconds[SD.key].append(14.0)
    made.seconds[BLOCK.key].append(13.0)

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


def test_one_decoder_of_a_budget_has_no_sentence() -> None:
    made = trials({SD.key: [[0, 0, 0], [0, 2, 2]], TREE.key: [[0, 0], [0, 1]]})

    assert compared(made, [SD, TREE]) == []

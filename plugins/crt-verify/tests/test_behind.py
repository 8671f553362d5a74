"""Distributions behind prompts, and the names of trees that branch late."""

from __future__ import annotations

import pytest
import torch

from crt_basics.priors.table import TablePrior
from crt_run.sampling import probabilities
from crt_verify.decoding.behind import Behind
from crt_verify.decoding.entry import Entry
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.trial import Pair
from crt_verify.specs import TraversalVerification
from crtcore import Sampling


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
    pair, samplings = Pair(target, draft, Sampling(), 0), (Sampling(temperature=0.7), Sampling(top_k=2))
    samples = Samples(torch.tensor([[0, 1, 2, 3], [3, 2, -1, -1]]), torch.tensor([3, 1]), None)
    behind = Behind(pair, samples, 4)

    for emitted in ([[1, 2], [0, 0, 3]], [[3], [2]]):  # the second after the first
        rows = behind.after(emitted, *samplings)

        for row, (prompt, ids) in enumerate(zip(([0, 1, 2], [3]), emitted, strict=True)):
            for prior, here, sampling in zip((target, draft), rows, samplings, strict=True):
                whole = probabilities(prior(torch.tensor([[*prompt, *ids]])), sampling)[0, len(prompt) :]
                torch.testing.assert_close(here[row, : len(ids) + 1], whole)

"""Every way of attention computes a plain sum on trees, and a step verifies the same ids with each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from ways import CACHED, DEVICE, WAYS, WIDTH, Step, by_sdpa, plain, random_step

from crt_nn.native.compiler import NotBuilt
from crt_verify.kernels import host
from crt_verify.rules.tree_batch import ACCEPT, FINAL
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict
from crt_verify.verifier import Verifier

ROUNDINGS = 16
"""The largest error allowed, in units of float32's rounding, for values around 1."""
VOCABULARY = 12
ALLOWED = 1
"""Rows of 200 that may differ: an error of 1e-6 in a probability crosses one of some 7 bars of a row with a chance of
1e-5, so two rows differ with a chance below 2e-6 and a third with none to speak of."""


every_way = pytest.mark.parametrize(
    "way", [pytest.param(name, marks=pytest.mark.slow) if name == "flex" else name for name in WAYS]
)
"""What compiles is slow."""


def off(way: str, step: Step) -> float:
    """The largest error, in roundings of float32."""
    return float((WAYS[way](step).double() - plain(step)).abs().amax() / torch.finfo(torch.float32).eps)


def verdict_of(mixed: Tensor, step: Step, verification: str) -> Verdict:
    """What a rule keeps of each row's tree, where the values of attention give the target's logits."""
    generator = torch.Generator().manual_seed(5)
    batch, nodes = step.parents.shape
    head = torch.randn(mixed.shape[2] * WIDTH, VOCABULARY, generator=generator)
    q = torch.randn(batch, nodes, VOCABULARY, generator=generator).softmax(-1)
    tokens = torch.multinomial(
        q[torch.arange(batch)[:, None], step.parents.cpu().clamp(min=0)].flatten(0, 1), 1, generator=generator
    ).view(batch, nodes)
    tokens[:, 0] = -1
    uniforms = [torch.randint(top, (batch, nodes), generator=generator).to(DEVICE) for top in (ACCEPT, FINAL)]
    p = (mixed.flatten(2) @ head.to(DEVICE)).softmax(-1)
    trees = Trees(step.parents, tokens.to(DEVICE), torch.full((batch,), nodes, device=DEVICE))
    verifier = Verifier("multiround", {}, nodes=nodes, requested=verification)
    verdict = verifier.verify(trees, p, q.to(DEVICE), *uniforms)
    assert verifier.backend.startswith(verification)
    return verdict


def different(one: Verdict, other: Verdict) -> int:
    """The number of rows in which verdicts differ."""
    same = [x == y if x.dim() == 1 else (x == y).all(-1) for x, y in zip(one, other, strict=True)]
    return int((~torch.stack(same).all(0)).sum())


@pytest.fixture(params=["torch", "kernels"])
def verification(request: pytest.FixtureRequest) -> str:
    """A backend of verification that runs here."""
    if request.param == "kernels" and DEVICE.type == "cpu":
        try:
            host.library()
        except NotBuilt as problem:
            pytest.skip(f"no kernels: {problem}")
    return str(request.param)


@every_way
def test_attention_is_a_plain_sum_on_trees(way: str) -> None:
    assert off(way, random_step(1)) <= ROUNDINGS


@every_way
def test_a_node_that_reads_no_ancestor_is_noticed(way: str) -> None:
    step = random_step(1)
    spoiled = step.visible.clone()
    spoiled[:, 1, CACHED] = False  # the root, which is an ancestor of every node

    assert float((WAYS[way](step._replace(visible=spoiled)).double() - plain(step)).abs().amax()) > 1e-2


@every_way
def test_a_step_keeps_the_ids_of_the_reference(way: str, verification: str) -> None:
    step = random_step(2)
    expected = verdict_of(by_sdpa(step), step, "torch")

    verdict = verdict_of(WAYS[way](step), step, verification)

    assert (expected.fault == 0).all()
    assert {0, 1, 2} <= set(expected.length.tolist())
    assert different(expected, verdict) <= ALLOWED


def test_a_step_with_another_mask_keeps_other_ids(verification: str) -> None:
    step = random_step(2)
    alone = torch.eye(step.query.shape[1], step.key.shape[1] - CACHED, dtype=torch.bool, device=DEVICE)
    blind = torch.nn.functional.pad(alone, (CACHED, 0), value=False).expand(len(step.query), -1, -1)

    verdict = verdict_of(by_sdpa(step._replace(visible=blind)), step, verification)

    assert different(verdict_of(by_sdpa(step), step, "torch"), verdict) > 20

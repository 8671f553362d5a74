"""The kernels of serving engines as arms beside ours: FlashInfer's chain and SGLang's tree, also after a softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from drafted import TOP_P, Arms, whole
from machine import here
from torch import Tensor


def flashinfer_arms(inputs: list[Any], distributions: list[Any]) -> Arms:
    """The chain kernel of serving engines, and a softmax before it."""
    from flashinfer import sampling  # type: ignore[import-not-found, unused-ignore]

    ids = [each[0].tokens[:, 1:].int() for each in inputs]
    drafts = [q[:, :-1].contiguous() for _, q in distributions]
    logits = [(each[1].flatten(0, 1), each[2][:, :-1].flatten(0, 1)) for each in inputs]

    def verify(place: int) -> Any:
        turn = place % len(inputs)
        return sampling.chain_speculative_sampling(drafts[turn], ids[turn], distributions[turn][0])

    def after(softmax: Callable[[Tensor], Tensor]) -> Callable[[int], Any]:
        def arm(place: int) -> Any:
            turn = place % len(inputs)
            p, q = map(softmax, logits[turn])
            return sampling.chain_speculative_sampling(
                q.view_as(drafts[turn]), ids[turn], p.view_as(distributions[turn][0])
            )

        return arm

    return {
        "FlashInfer": verify,
        "FlashInfer, torch's softmax first": after(whole),
        "FlashInfer, its softmax first": after(lambda rows: sampling.softmax(rows.float(), temperature=1.0)),
    }


def cut_first(name: str, inputs: list[Any]) -> Arms:
    """Our verdict after FlashInfer's softmax and top-p of all rows."""
    from flashinfer import sampling  # type: ignore[import-not-found, unused-ignore]

    ours = here().rule(name)

    def cut_softmax(logits: Tensor) -> Tensor:
        rows = sampling.softmax(logits.flatten(0, 1).float(), temperature=1.0)
        cut: Tensor = sampling.top_p_renorm_probs(rows, TOP_P)
        return cut.view(logits.shape)

    def arm(place: int) -> Any:
        trees, target, draft, accept, final = inputs[place % len(inputs)]
        return ours.verify(trees, cut_softmax(target), cut_softmax(draft), accept, final)

    return {f"{name}, FlashInfer's softmax and top-p first": arm}


def sglang_arms(inputs: list[Any], distributions: list[Any]) -> Arms:
    """The tree kernel of serving engines, which is our `target-only`."""
    from sgl_kernel import (  # type: ignore[import-not-found, unused-ignore]
        tree_speculative_sampling_target_only,
    )

    size, most, vocabulary = distributions[0][0].shape
    parents = inputs[0][0].parents[0].tolist()
    child = [next((x for x in range(most) if parents[x] == node), -1) for node in range(most)]
    younger = [next((x for x in range(node + 1, most) if parents[x] == parents[node]), -1) for node in range(most)]
    links = [torch.tensor(each, device=here().device).expand(size, -1).contiguous() for each in (child, younger)]
    index = torch.arange(size * most, device=here().device).view(size, most)
    uniforms = [(each[3] / 2**24, each[4][:, 0] / 2**32) for each in inputs]
    predicts, accepted = torch.empty(size * most, dtype=torch.int32, device=here().device), index.int()
    counts = torch.empty(size, dtype=torch.int32, device=here().device)
    drafts = torch.zeros(size, most, vocabulary, device=here().device)  # of which it writes a few entries

    def verify(place: int, p: Tensor) -> Any:
        tokens = inputs[place % len(inputs)][0].tokens
        outputs = (predicts, accepted, counts)
        tree_speculative_sampling_target_only(
            *outputs, tokens, index, *links, *uniforms[place % len(inputs)], p, drafts
        )

    return {
        "SGLang": lambda place: verify(place, distributions[place % len(distributions)][0]),
        "SGLang, softmax first": lambda place: verify(place, whole(inputs[place % len(inputs)][1])),
    }

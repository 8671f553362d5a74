"""The text tokenizer beside bottlenecks and regularisers of other plugins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_laws.laws.tokenizer import traces
from crt_run.training.losses import penalised
from crtcore import discover


def made(bottleneck: str, **fields: Any) -> Any:
    """A small tokenizer over that bottleneck."""
    find = discover().find
    torch.manual_seed(0)
    spec: Any = find("tokenizer", "text-chunks").spec
    book: Any = find("bottleneck", bottleneck).spec
    return spec(chunk=2, rate=1, width=8, heads=2).build(book(**fields).build(), batch(2), 11)


def batch(count: int) -> Tensor:
    """Traces, the same ones every time."""
    return traces(torch.Generator().manual_seed(5), count)


def regularizer(tokenizer: Any) -> Any:
    spec: Any = discover().find("regularizer", "causal").spec
    torch.manual_seed(1)
    return spec(layers=1, width=8, heads=2, ramp=0.0).build(tokenizer)


def test_causal_sends_gradient_to_the_present_codes_only() -> None:
    tokenizer = made("vq", codes=16)
    encoded = tokenizer(batch(4))

    penalty = regularizer(tokenizer)(batch(4), encoded, 1.0)

    (gradient,) = torch.autograd.grad(penalty.loss, encoded.latents)
    assert gradient[encoded.mask].abs().max() > 0
    assert not gradient[~encoded.mask].any()


def test_causal_makes_codes_easier_to_predict() -> None:
    """The same 150 steps at weight 0 and at weight 5."""
    errors = []
    for weight in (0.0, 5.0):
        tokenizer = made("vq", codes=16)
        head = regularizer(tokenizer)
        optimizer = torch.optim.AdamW([*tokenizer.parameters(), *head.parameters()], lr=3e-3)
        for _ in range(150):
            optimizer.zero_grad()
            loss = penalised(batch(64), tokenizer(batch(64)), {"causal": (head, weight)}, 1.0)
            loss.total.backward()
            optimizer.step()
        errors.append(loss.metrics["causal.prediction_error"])

    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize(("bottleneck", "fields"), [("residual-vq", {"codes": 8, "depth": 3}), ("lfq", {"width": 4})])
def test_the_tokenizer_works_over_any_bottleneck(bottleneck: str, fields: dict[str, Any]) -> None:
    tokenizer = made(bottleneck, **fields)

    encoded = tokenizer(batch(4))

    assert torch.equal(tokenizer.encode(batch(4)), encoded.ids)
    assert torch.equal(tokenizer.decode(encoded.ids), encoded.reconstruction)
    assert torch.equal(encoded.ids >= 0, encoded.mask)

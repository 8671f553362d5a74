"""A trained transformer is built with more ids and keeps its logits of the old ones."""

from __future__ import annotations

from pathlib import Path

import torch

from crt_ar import Transformer
from crt_basics.priors.saved import write_run
from crt_basics.priors.specs import Saved
from crt_latent.widening import widened

SPEC = Transformer(layers=2, width=16, heads=2)


def test_a_saved_transformer_keeps_its_distribution_over_more_ids(tmp_path: Path) -> None:
    torch.manual_seed(0)
    prior = SPEC.build(7, 20, None)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))  # changed, because its first logits are 0
    run = write_run(tmp_path, {f"part.prior.{name}": each for name, each in prior.state_dict().items()})
    weights = Saved(run=str(run), prior=SPEC).build(7, 20, None).state_dict()

    wide = widened(SPEC, weights, before=7, after=7 + 64 + 2, length=20, classes=None)

    ids = torch.randint(7, (3, 12))
    torch.testing.assert_close(wide(ids)[..., :7], prior(ids))
    assert wide(torch.tensor([[1, 72, 40, 3]])).isfinite().all()
    middle = prior(ids).mean(-1, keepdim=True)
    torch.testing.assert_close(wide(ids)[..., 7:], middle.expand(-1, -1, 66), rtol=1e-4, atol=1e-4)

"""Matched rate: the entropy of a batch's ids held at a target, whatever their order.

Axes: b batch, n codes of a sample, v codes.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from crt_nn.ranks import batch_mean
from crt_vq.regularizers.assignment import CodeTable, hard_assignment, soft_assignment
from crt_vq.regularizers.batch_metrics import batch_metrics
from crt_vq.regularizers.joint_specs import MatchedRate
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


def code_entropy(assignments: Float[Tensor, "b n v"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, ""]:
    """The entropy of the mean assignment of the codes of the whole batch that are present; 0 if none is.

    Units: nats an id. With N ids in a batch it is below that of all ids by up to about (v - 1) / 2N nats.
    """
    present = torch.where(mask.unsqueeze(-1), assignments, 0).flatten(0, 1)
    shares = batch_mean(present) / batch_mean(mask.flatten().to(present.dtype)).clamp(
        min=torch.finfo(present.dtype).tiny
    )
    # At 0 the slope is infinite; the value there is 0 in both cases.
    return -(shares * shares.clamp(min=torch.finfo(shares.dtype).eps).log()).sum()


class MatchedRateRegularizer:
    """Penalises the distance of the entropy of ids from a target."""

    def __init__(self, spec: MatchedRate, tokenizer: Tokenizer) -> None:
        self.spec = spec
        self.table = CodeTable(tokenizer, "matched-rate")

    def __call__(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The absolute difference of entropy and target; the value counts ids, the gradient is of soft assignments.

        Units: bits an id.
        Raises: ValueError if there are no ids.
        """
        if encoded.ids is None:
            raise ValueError("expected ids, got codes that are continuous")
        soft = soft_assignment(encoded.latents, self.table(encoded.latents.device), self.spec.temperature)
        bits = code_entropy(hard_assignment(encoded.ids, soft), encoded.mask) / math.log(2)
        loss = (bits - self.spec.bits).abs()
        metrics = {"code_entropy_bits": bits.item(), **batch_metrics(encoded)}
        return RegularizerOutput(loss=loss, own_loss=loss.new_zeros(()), metrics=metrics)

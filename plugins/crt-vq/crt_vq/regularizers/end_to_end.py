"""End-to-end training: the next-id loss of a generator, with its gradient to the tokenizer.

Axes: b batch, n codes of a sample, d latent width, v codes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_nn.ranks import whole_norm
from crt_vq.regularizers.assignment import CodeTable, hard_assignment, soft_assignment
from crt_vq.regularizers.batch_metrics import batch_metrics
from crt_vq.regularizers.generator import Generator, next_id_loss
from crt_vq.regularizers.joint_specs import EndToEnd
from crt_vq.regularizers.split_gradients import attach_gradients
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


class EndToEndRegularizer(nn.Module):
    """Penalises ids that a generator, trained beside the tokenizer, does not predict."""

    def __init__(self, spec: EndToEnd, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.spec = spec
        self.table = CodeTable(tokenizer, "end-to-end")
        self.generator = Generator(spec, self.table.vocabulary, tokenizer.length)

    def error(
        self, latents: Float[Tensor, "b n d"], table: Float[Tensor, "v d"], encoded: Encoded
    ) -> Float[Tensor, ""]:
        """The mean next-id loss, whose gradient goes where the spec says.

        Units: nats an id.
        """
        assert encoded.ids is not None
        read = soft_assignment(latents, table, self.spec.temperature)
        if self.spec.read_out == "straight-through":
            read = hard_assignment(encoded.ids, read)
        context = read.detach() if self.spec.through == "target" else read
        target = read.detach() if self.spec.through == "context" else read
        return next_id_loss(self.generator.logits(self.generator.hidden(context)), target, encoded.mask)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The loss twice: once for the tokenizer with the generator fixed, once the reverse.

        Raises: ValueError if there are no ids.
        Source: Lin et al. (2026), arXiv:2606.32039, the straight-through baseline.
        """
        if encoded.ids is None:
            raise ValueError("expected ids, got codes that are continuous")
        table, parameters = self.table(encoded.latents.device), list(self.parameters())
        with torch.enable_grad():
            latents, codes = encoded.latents.detach().requires_grad_(), table.detach().requires_grad_()
            value = self.error(latents, codes, encoded)
            at_latents, at_table, *at_parameters = torch.autograd.grad(value, [latents, codes, *parameters])
        value = value.detach()
        factor = self.spec.rise(progress)
        metrics = {
            "cross_entropy": value.item(),
            "latent_gradient_norm": factor * whole_norm(at_latents).item(),
            **batch_metrics(encoded),
        }
        loss = attach_gradients(value, [encoded.latents, table], [at_latents, at_table])
        own = attach_gradients(value, parameters, at_parameters)
        return RegularizerOutput(loss=factor * loss, own_loss=own, metrics=metrics)

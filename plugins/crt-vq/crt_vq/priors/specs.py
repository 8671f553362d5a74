"""Specs of the priors, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs

from crtcore.kinds import PriorSpec


@attrs.frozen(kw_only=True)
class CausalHead(PriorSpec):
    """The head of `causal` as a prior: an id is the likelier, the nearer its code is to the predicted latent.

    q(k) is proportional to exp(-|T(codes of the ids before) - code k|^2 / temperature), where T is the head. The
    temperature is the one under which training ids are likeliest. It needs a tokenizer that was trained with `causal`.
    """

    implementation: ClassVar[str] = "crt_vq.priors.causal_head:CausalHeadPrior"
    pretrained: ClassVar[bool] = True

    class_bias: bool = False
    """Adds a logit for each class and id, fitted together with the temperature, as the head reads no class."""

    def example_in(self, folder: Path) -> CausalHeadExample:
        """A prior of this form from a head and codes that nothing has trained."""
        return CausalHeadExample(class_bias=self.class_bias)


@attrs.frozen(kw_only=True)
class CausalHeadExample(CausalHead):
    """A `causal-head` of random codes and a new head, where laws are tried."""

    implementation: ClassVar[str] = "crt_vq.priors.example:example"

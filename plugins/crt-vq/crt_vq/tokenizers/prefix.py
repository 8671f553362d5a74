"""A prefix: a few ids in front of an image's own that help a prior, and that no decoder reads.

Axes: b batch, c image channels, y rows and x columns of an image, p ids of the prefix, k ids of a sample, prefix first,
d code width, v codes of the prefix.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_ids
from crt_vq.bottlenecks.nearest import nearest
from crt_vq.regularizers.assignment import hard_assignment
from crt_vq.tokenizers.causal_decoder import grid_tokenizer
from crt_vq.tokenizers.wrapper_specs import Prefix
from crtcore.errors import RunError
from crtcore.kinds import Bottleneck, Encoded
from crtcore.noise import Noise


class Prefixed(nn.Module):
    """Another tokenizer, with ids in front that are made of its features."""

    def __init__(self, spec: Prefix, bottleneck: Bottleneck, sample: Tensor, vocabulary: int | None = None) -> None:
        super().__init__()
        self.spec = spec
        inner = grid_tokenizer(spec.tokenizer, bottleneck, sample, "prefix")
        if inner.vocabulary is None or inner.vocabulary < spec.codes:
            raise RunError(
                f"prefix: expected a bottleneck with at least {spec.codes} ids, as many as `codes` of the prefix, "
                f"got {inner.vocabulary or 'one whose codes are continuous'}; use fewer `codes`"
            )
        self.width, self.vocabulary, self.length = inner.width, inner.vocabulary, spec.count + inner.length
        self.code = inner.code_width * inner.cells // inner.length
        features = inner.cells * inner.width
        self.summarise = nn.Sequential(
            nn.Flatten(), nn.Linear(features, features), nn.SiLU(), nn.Linear(features, spec.count * self.code)
        )
        self.entries = nn.Parameter(torch.randn(spec.codes, self.code) / self.code**0.5)
        self.inner = inner  # last, as `adversarial` takes the last weight for that of the images' decoder

    def forward(
        self,
        data: Float[Tensor, "b c y x"],
        class_ids: Int[Tensor, " b"] | None = None,
        *,
        noise: Noise | None = None,
    ) -> Encoded:
        """The other tokenizer's output with the prefix in front; its loss is the other tokenizer's.

        Codes of the prefix have the gradient of a softmax over cosines, those of cells have none.
        Units: rate in nats, ln v for each id of the prefix and the other tokenizer's for the cells.
        Source: Zheng et al. (2026), arXiv:2605.06137, and models.py of the authors' code (quantiser `ProbQ`).
        """
        encoded: Encoded = self.inner(data, noise=noise)
        assert encoded.ids is not None
        latents, table = self._latents(encoded.features), self._table()
        with torch.autocast(data.device.type, enabled=False):
            ids = nearest(latents, table)  # of equal lengths: the nearest has the largest cosine
            soft = (latents @ table.T / self.spec.temperature).softmax(-1)
            codes = hard_assignment(ids, soft) @ table
        return encoded._replace(
            latents=torch.cat([latents, encoded.latents], 1),
            codes=torch.cat([codes, encoded.codes.detach()], 1),
            ids=torch.cat([ids, encoded.ids], 1),
            mask=encoded.mask.new_ones(len(data), self.length),
            rate=encoded.rate + self.spec.count * math.log(self.spec.codes),
        )

    def _latents(self, features: Float[Tensor, "b n w"]) -> Float[Tensor, "b p d"]:
        with torch.autocast(features.device.type, enabled=False):
            made: Tensor = self.summarise(features.to(self.entries.dtype))
            return functional.normalize(made.view(len(features), self.spec.count, self.code), dim=-1)

    def _table(self) -> Float[Tensor, "v d"]:
        return functional.normalize(self.entries, dim=-1)

    def after_step(self, encoded: Encoded) -> None:
        """Updates the bottleneck's statistics by the cells, if it keeps any.

        Raises: ValueError if there are no ids.
        """
        if encoded.ids is None:
            raise ValueError("expected the ids of the latents, got None")
        skip = self.spec.count
        self.inner.after_step(
            encoded._replace(
                latents=encoded.latents[:, skip:],
                codes=encoded.codes[:, skip:],
                ids=encoded.ids[:, skip:],
                mask=encoded.mask[:, skip:],
            )
        )

    def encode(self, data: Float[Tensor, "b c y x"], class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b k"]:
        """The ids of the prefix and of the cells."""
        with torch.no_grad():
            encoded: Encoded = self(data)
        assert encoded.ids is not None
        return encoded.ids

    def decode(self, ids: Int[Tensor, "b k"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b c y x"]:
        """The images of the cells' ids; those of the prefix are checked, not read.

        Raises: ValueError if an id is absent or out of range, or there are not `length` of them.
        """
        check_ids(ids, self.vocabulary)
        if ids.dim() != 2 or ids.shape[1] != self.length:
            raise ValueError(f"expected {self.length} ids a row, none of them absent, got {tuple(ids.shape)}")
        image: Tensor = self.inner.decode(ids[:, self.spec.count :])
        return image

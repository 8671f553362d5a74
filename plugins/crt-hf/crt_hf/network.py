"""A causal language model of transformers as a prior.

Axes: b batch, n ids of a sample, t positions, s positions seen, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from crt_hf import families
from crt_hf.cache import LayerCache
from crt_nn.causal import Causal
from crt_nn.context import AttentionContext
from crtcore.errors import RunError
from crtcore.noise import Noise

ATTENTION = ("sdpa", "eager")
"""Backends of transformers that honour a mask of any form."""


class LanguageModel(Causal):
    """The distribution of the next id; logits are float32, as those that transformers' generation reads.

    The first position is that of a start id, which is not read twice where it begins a row, or of a class. Without a
    start id a row is read as it is: a position that nothing sees stands before it, after which all ids are equally
    likely. Nothing is random, and it stays in evaluation.
    """

    def __init__(self, model: Any, *, start: int | None, classes: int | None = None) -> None:
        """`model` is a `PreTrainedModel` with an output layer.

        Raises: RunError if its sessions could not equal its own pass; ValueError for classes without a start id.
        """
        super().__init__()
        config = model.config
        if config._attn_implementation not in ATTENTION:
            raise RunError(
                f"huggingface: expected attention by {' or '.join(ATTENTION)}, as others do not honour the masks of "
                f"trees, got {config._attn_implementation!r}; load the model with attn_implementation='sdpa'"
            )
        if model.training:
            raise RunError("huggingface: expected a model in evaluation, as dropout is random; call model.eval()")
        if classes and start is None:
            raise ValueError("expected a model with bos_token_id or eos_token_id, whose position a class takes")
        self.model = model
        self.vocabulary = config.vocab_size
        self.classes = classes or 0
        self.first = self.merged = start
        self.longest = None if (most := families.positions(config)) is None else most - (start is not None)
        self.embedding = model.get_input_embeddings()
        self.prefixes = nn.Embedding(self.classes, self.embedding.embedding_dim) if self.classes else None
        if self.prefixes is not None:
            self.prefixes.requires_grad_(False).to(self.embedding.weight.device, self.embedding.weight.dtype)
            with torch.no_grad():
                self.prefixes.weight[:] = self.embedding.weight[start]
        self._masks = families.masks(config)
        self._kinds = sorted(set(families.kinds(config)))
        self._window = families.window(config)
        self._layers: list[nn.Module] = list(
            model.base_model.h if config.model_type == "gpt2" else model.base_model.layers
        )
        self._places = nn.Identity()  # names the positions in the cache
        self.eval()

    def train(self, mode: bool = True) -> LanguageModel:
        """Stays in evaluation, as dropout has no noise of its own here."""
        super().train(False)
        return self

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Returns features of the start id or the class, and of the ids."""
        first = self.embed(ids.new_full((len(ids), 1), self.first or 0))  # b 1 w
        if class_ids is not None and self.prefixes is not None:
            prefix = self.prefixes(class_ids.clamp(min=0))[:, None]
            first = torch.where((class_ids >= 0)[:, None, None], prefix, first)
        return torch.cat((first, self.embed(ids)), 1)

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the normalised last states of positions within a context."""
        positions = context.positions
        places = context.update(self._places, positions[..., None])[0][..., 0]  # b s
        visible = places[:, None] <= positions[..., None] if context.visible is None else context.visible
        if self.first is None:  # the first position is seen by itself alone, and is not counted
            visible = visible & ((places > 0)[:, None] | (positions == 0)[..., None])
        own = positions if self.first is not None else (positions - 1).clamp(min=0)
        if (most := families.positions(self.model.config)) is not None:
            own = own.clamp(max=most - 1)  # of tentative nodes beyond all rows, which are never committed
        cache = None if context.cache is None else LayerCache(context.cache, self._layers)
        states: Tensor = self.model.base_model(
            inputs_embeds=features, attention_mask=self._all_masks(visible, places, positions, features.dtype),
            position_ids=own, past_key_values=cache, use_cache=cache is not None,
        ).last_hidden_state  # fmt: skip
        return states if self.first is not None else states.masked_fill((positions == 0)[..., None], 0)

    def _all_masks(
        self, visible: Bool[Tensor, "b t s"], places: Int[Tensor, "b s"], positions: Int[Tensor, "b t"],
        dtype: torch.dtype,
    ) -> Tensor | dict[str, Tensor]:  # fmt: skip
        """The mask of all layers, or of each kind; positions behind a window are those at least its size before."""
        near = visible
        if self._window is not None:
            near = visible & (places[:, None] > positions[..., None] - self._window)
        made = {"full_attention": visible, "sliding_attention": near}
        if self._masks == "by layer":
            return {kind: self._mask(made[kind], dtype) for kind in self._kinds}
        return self._mask(near if self._masks == "one window" else visible, dtype)

    def _mask(self, visible: Bool[Tensor, "b t s"], dtype: torch.dtype) -> Tensor:
        if self.model.config._attn_implementation == "sdpa":
            return visible[:, None]
        # What adds its mask to scores takes the lowest number for what is not seen.
        return torch.zeros_like(visible, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)[:, None]

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Returns logits after each position, in float32."""
        logits = self.model.get_output_embeddings()(states)
        if (scale := families.scale(self.model.config)) != 1:
            logits = logits * scale
        if (cap := getattr(self.model.config, "final_logit_softcapping", None)) is not None:
            logits = torch.tanh(logits / cap) * cap
        return logits.float()  # type: ignore[no-any-return]

    def forward_states(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 w"]:
        """Returns the normalised last states at the first position and at each id."""
        features = self.begin(ids, class_ids)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        return self.states(features, AttentionContext(positions))

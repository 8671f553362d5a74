"""A draft that `crt distill` made, as a prior over its target's ids.

Axes: b batch, n ids of a sample, t positions, s positions seen, w width, v the target's vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_ar.llama.files import read_llama, write_llama
from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.spec import Llama
from crt_hf.draft_ids import NAME, DraftIds, read_draft_ids
from crt_hf.spec import DistilledDraft
from crt_hf.translated import Intersection
from crt_nn.causal import Causal
from crt_nn.context import AttentionContext
from crt_run.runs import files
from crtcore.errors import RunError
from crtcore.noise import Noise


class Distilled(Causal):
    """The distribution of the next id among those that the draft has; the others are never proposed.

    A row is read as it is, as in training: nothing sees the first position, after which the draft's ids are equally
    likely. Classes are accepted and change nothing.
    """

    def __init__(self, network: LlamaTransformer, own: DraftIds, classes: int | None = None) -> None:
        """`network` is over the draft's ids; its id 0 stands for all ids that it does not have."""
        super().__init__()
        self.network = network
        self.vocabulary = own.vocabulary
        self.classes = classes or 0
        self.longest = network.longest
        self.embedding = network.embedding
        self._common = Intersection(*own.common, vocabulary=own.vocabulary, unknown=0)

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Returns zeros, then features of the ids."""
        embedded = self.embed(ids)
        return torch.cat((embedded.new_zeros(len(ids), 1, embedded.shape[-1]), embedded), 1)

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Returns features of the target's ids."""
        return self.network.embed(self._common.twin(ids))

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the normalised last states of positions within a context; zeros at the first position."""
        first = (context.positions == 0)[..., None]  # b t 1
        visible = context.visible
        if visible is None:
            size = features.shape[1]
            visible = torch.ones(size, size, dtype=torch.bool, device=features.device).tril()
        unseen = torch.arange(visible.shape[-1], device=features.device) > 0
        states = self.network.states(features, context._replace(visible=visible & (unseen | first)))
        return states.masked_fill(first, 0)

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Returns logits after each position; -inf for ids that the draft does not have."""
        return self._common.written(self.network.logits(states))

    def forward_states(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 w"]:
        """Returns the normalised last states at the first position and at each id."""
        features = self.begin(ids, class_ids)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        return self.states(features, AttentionContext(positions))


def build(spec: DistilledDraft, vocabulary: int, length: int, classes: int | None) -> Distilled:
    """Reads the draft in a folder, with frozen weights.

    Raises: RunError if the folder holds no draft that was distilled, or its target has another vocabulary.
    """
    folder = Path(spec.folder).absolute()
    network = read_llama(folder, attention=spec.attention, dtype=None).requires_grad_(False)
    own = read_draft_ids(folder, network.vocabulary)
    if own is None:
        raise RunError(
            f"distilled-draft: {folder}: expected a draft of `crt distill`, with {NAME}, got none; a model over the "
            "target's own ids is a 'frozen-llama'"
        )
    if own.vocabulary != vocabulary:
        raise RunError(
            f"distilled-draft: expected data of a tokenizer with {own.vocabulary} ids, as the model has from which "
            f"{folder} was distilled, got {vocabulary}"
        )
    return Distilled(network, own, classes)


def small(folder: Path) -> str:
    """Writes a small draft of three among five ids to a new folder, and returns its path."""
    network: Any = Llama(layers=2, width=16, heads=4, key_heads=2, hidden=24).build(4, 0, None)
    write_llama(folder, network)
    files.write(folder / NAME, files.dumped(DraftIds(5, (0, 3, 4))._asdict()))
    return str(folder)

"""The transformer of Llama and of related families: the start id, or a class in its place, then ids.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_ar.llama.grown import GrownRows
from crt_ar.llama.rotary import scaled_rotations
from crt_ar.llama.shape import LlamaShape
from crt_nn.attention import Attention, AttentionForm
from crt_nn.backends import Backend
from crt_nn.block import Builder, Stack
from crt_nn.causal import Causal
from crt_nn.context import AttentionContext
from crt_nn.packed import Packed, Place
from crt_nn.swiglu import SwiGLU
from crtcore.errors import RunError
from crtcore.noise import Noise


class LlamaTransformer(Causal):
    """Distribution of the next id given those before; the first position is the embedding of a start id.

    Built for classes, it has a row for each class to take that place; class id -1 is the start id. Without a start id
    the first position is a vector of zeros, after which all ids are equally likely.
    Related families differ by biases, norms of queries and keys, and the width of heads, as `LlamaShape` has them. One
    with a sliding window has rows within a window alone, where it changes nothing.
    """

    def __init__(
        self,
        shape: LlamaShape,
        vocabulary: int,
        classes: int | None,
        *,
        start: int | None,
        merge: bool = False,
        attention: Backend = "auto",
        recompute: bool = False,
    ) -> None:
        """With `merge`, start ids at the front of a row are the first position itself, and not read a second time."""
        super().__init__()
        if start is not None and not 0 <= start < vocabulary:
            raise RunError(f"llama: expected a start id from 0 to {vocabulary - 1}, got {start}")
        self.shape = shape
        self.vocabulary = vocabulary
        self.classes = classes or 0
        self.first = start
        self.merged = start if merge else None
        self.longest = None if shape.window is None else shape.window - 1  # the first position takes one of the window
        self.embedding = nn.Embedding(vocabulary, shape.width)
        self.prefixes = nn.Embedding(self.classes, shape.width) if self.classes else None
        attention_layer = partial(
            Attention,
            heads=shape.heads,
            key_heads=shape.key_heads,
            backend=attention,
            rope=partial(scaled_rotations, base=shape.base, scaling=shape.scaling),
            form=AttentionForm(
                channels=shape.channels,
                inward_bias=shape.bias != "none",
                outward_bias=shape.bias == "both",
                norm_epsilon=shape.epsilon if shape.head_norms else None,
            ),
        )
        feed_layer = partial(SwiGLU, hidden=shape.hidden, bias=shape.feed_bias)
        builders: list[Builder] = [attention_layer, feed_layer]
        self.stack = Stack(shape.width, shape.layers, builders, recompute=recompute, epsilon=shape.epsilon)
        self._packed: list[Packed] = []
        self.head: nn.Linear | GrownRows | None = None if shape.tied else nn.Linear(shape.width, vocabulary, bias=False)

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Returns features of the start id or the class, and of the ids."""
        features = self.embed(ids)  # b n w
        if self.first is None:
            first = features.new_zeros(len(ids), 1, self.shape.width)
        else:
            first = self.embedding(ids.new_full((len(ids), 1), self.first))  # b 1 w
        if class_ids is not None:
            assert self.prefixes is not None
            prefix = self.prefixes(class_ids.clamp(min=0))[:, None]
            first = torch.where((class_ids >= 0)[:, None, None], prefix, first)
        return torch.cat((first, features), 1)

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the normalised last states of positions within a context."""
        states: Tensor = self.stack(features, context)
        return states

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Returns logits after each position."""
        if self._packed and not torch.is_grad_enabled():
            first, *more = (each(states) for each in self._packed)
            return torch.cat((first, *more), -1) if more else first
        return (
            self._output.scores(states)
            if isinstance(self._output, GrownRows)
            else functional.linear(states, self._output.weight)
        )

    @property
    def _output(self) -> nn.Embedding | nn.Linear:
        return self.embedding if self.head is None else self.head

    def pack(self) -> int:
        """Packs the weights of the output layer, and returns their bytes."""
        layer = "embedding" if self.head is None else "head"
        names = ("known", "new") if isinstance(self._output, GrownRows) else ("weight",)
        places = [Place(self, f"{layer}.{name}") for name in names]
        self._packed = [Packed([place]) for place in places if len(place.parameter)]
        return sum(each.size for each in self._packed)

    def freeze(self, known: int, blocks: int) -> None:
        """Freezes all but the last `blocks`, the final norm, and the rows of classes and of ids from `known` on.

        Raises: RunError if there are fewer blocks.
        """
        if blocks > len(self.stack.blocks):
            raise RunError(
                f"llama: expected at most {len(self.stack.blocks)} trained blocks, as there are, got {blocks}"
            )
        self.embedding = GrownRows(self.embedding.weight, known)
        self.head = None if self.head is None else GrownRows(self.head.weight, known)
        self.stack.blocks[: len(self.stack.blocks) - blocks].requires_grad_(False)

    def forward_states(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 w"]:
        """Returns the normalised last states at the first position and at each id."""
        features = self.begin(ids, class_ids)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        return self.states(features, AttentionContext(positions, noise=noise))

    def reset_parameters(self) -> None:
        """Draws first values of all weights; an untied output layer is 0, so that the loss starts at ln v."""
        for module in self.modules():
            if isinstance(module, nn.Embedding | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)  # LlamaConfig, `initializer_range`
        if self.head is not None:
            nn.init.zeros_(self.head.weight)

"""The head of causal regularisation as a prior over ids.

Axes: b batch, n ids of a sample, t positions, s positions seen, k codes, v vocabulary (k is v), d code width, h heads,
w hidden width. Id -1 means absent.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.causal import Causal
from crt_nn.context import AttentionContext
from crt_vq.priors.biased import BiasedSession
from crt_vq.priors.fitting import fitted
from crt_vq.priors.specs import CausalHead
from crt_vq.regularizers.causal import CausalRegularizer
from crt_vq.regularizers.head import Head
from crtcore.errors import RunError
from crtcore.kinds import DiscreteBottleneck, Regularizer, Session, Tokenizer
from crtcore.noise import Noise

ENTRIES = 2**22
"""The most logits (ids times codes) that the temperature is fitted on: 32 MiB in float64."""


class CausalHeadPrior(Causal):
    """Distribution of the next id by the distance of its code from the latent that a head predicts.

    The first id, which a head that skips it does not predict, has the mean of the first codes as its prediction.
    """

    longest: int

    def __init__(self, spec: CausalHead, vocabulary: int, length: int, classes: int | None) -> None:
        """It is empty until `derive` or `take`.

        Raises: RunError if a bias of classes is asked for, and there are none.
        """
        super().__init__()
        if spec.class_bias and classes is None:
            raise RunError("causal-head: expected data with classes for `class_bias`, got data without")
        self.spec = spec
        self.vocabulary, self.longest, self.classes = vocabulary, length, classes or 0
        self.head: nn.Module | None = None
        self.bias: nn.Parameter | None = None

    def derive(
        self,
        tokenizer: Tokenizer,
        regularizers: Sequence[Regularizer],
        ids: Int[Tensor, "b n"],
        class_ids: Int[Tensor, " b"] | None,
    ) -> None:
        """Takes a copy of the regulariser's head and of the codes, and fits the temperature on training ids.

        Raises: RunError if there is not one regulariser `causal` whose head predicts codes in raster order, or the
        tokenizer has not one code for each position and id.
        """
        heads = [each for each in regularizers if isinstance(each, CausalRegularizer)]
        if len(heads) != 1:
            raise RunError(f"causal-head: expected one regulariser 'causal', whose head it is, got {len(heads)}")
        spec = heads[0].spec
        wanted: dict[str, tuple[Any, ...]] = {
            "error": ("l2",), "first": ("skip",), "order": ((),), "space": ("compared", "straight-through"),
            "head": ("transformer",),
        }  # fmt: skip
        for field, allowed in wanted.items():
            if (got := getattr(spec, field)) not in allowed:
                shown = " or ".join(map(repr, allowed))
                raise RunError(f"causal-head: expected a regulariser 'causal' with {field} = {shown}, got {got!r}")
        self.take(heads[0].foreteller.head, codes_of(tokenizer, self.vocabulary), ids, class_ids)

    @torch.no_grad()
    def take(
        self,
        head: nn.Module,
        codes: Float[Tensor, "k d"],
        ids: Int[Tensor, "b n"],
        class_ids: Int[Tensor, " b"] | None,
    ) -> None:
        """Takes a copy of a head and of codes, and fits the temperature on ids.

        It reads evenly spaced samples, so many that there are at most `ENTRIES` logits.
        """
        self.head = copy.deepcopy(head)
        self.codes = nn.Parameter(codes.detach().clone())  # k d
        first = ids[:, 0][ids[:, 0] >= 0]
        self.start = nn.Parameter(self.codes[first].mean(0))  # d
        self.inverse = nn.Parameter(self.codes.new_ones(()))
        few = max(1, ENTRIES // (ids.shape[1] * self.vocabulary))
        rows = torch.arange(min(few, len(ids)), device=ids.device) * len(ids) // min(few, len(ids))
        ids, class_ids = ids[rows], None if class_ids is None else class_ids[rows]
        nearness = self._nearness(self.forward_states(ids[:, :-1], None)[:, 1:])  # b n-1 k
        present = ids[:, 1:] >= 0
        by_class = None
        if self.spec.class_bias and class_ids is not None:
            by_class = class_ids[:, None].expand_as(present)[present]
        inverse, bias = fitted(nearness[present], ids[:, 1:][present], by_class, self.classes)
        self.inverse.copy_(inverse)
        self.bias = None if bias is None else nn.Parameter(bias.to(self.codes))  # c k
        self.requires_grad_(False)

    def _check(self, ids: Tensor, class_ids: Tensor | None, *, entry: bool | None = None) -> None:
        if self.head is None:
            raise RunError(
                "causal-head: expected a tokenizer's head, got none yet; it is taken by the experiments 'two-stage' "
                "and 'drafting' as their prior or draft, not inside another prior"
            )
        super()._check(ids, class_ids, entry=entry)

    def forward(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Returns logits before the first id and after each; nothing is random.

        Raises: ValueError if rows or class ids are not as `check_rows` demands; RunError before a head is taken.
        """
        logits = super().forward(ids, class_ids, noise=noise)
        return logits if self.bias is None else logits + self._of_class(self.bias, ids, class_ids)[:, None]

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> Session:
        """Opens a session with a KV cache.

        Raises: ValueError if rows or class ids are not as `check_rows` demands, or the capacity is beyond the rows';
        RunError before a head is taken.
        """
        session = super().open(ids, class_ids, capacity=capacity, room=room)
        return session if self.bias is None else BiasedSession(session, self._of_class(self.bias, ids, class_ids))

    def _of_class(self, bias: Tensor, ids: Tensor, class_ids: Tensor | None) -> Float[Tensor, "b k"]:
        if class_ids is None:
            return bias[-1].expand(len(ids), -1)
        beyond = class_ids >= self.classes  # where values are not read, no class must have the row of none
        return bias[class_ids.where(class_ids >= 0, self.classes) + beyond]

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 d"]:
        """Returns zeros for the first position, which the head does not read, and the codes of ids."""
        return functional.pad(self.embed(ids), (0, 0, 1, 0))

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """Returns codes. An absent id has the code of id 0, which no present position attends to."""
        return functional.embedding(ids.clamp(min=0), self.codes)

    def forward_states(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 d"]:
        """Returns the predicted latents of whole samples."""
        features = self.begin(ids, class_ids)
        positions = torch.arange(features.shape[1], device=ids.device).expand(len(ids), -1)
        return self.states(features, AttentionContext(positions))

    def states(self, features: Float[Tensor, "b t d"], context: AttentionContext) -> Float[Tensor, "b t d"]:
        """Returns the latent that is predicted to follow each position."""
        head = self.head
        assert head is not None
        if isinstance(head, Head):
            places = (context.positions - 1).clamp(0, len(head.positions) - 1)  # b t
            hidden = head.embed(features) + head.positions[places]
            visible = seen(context)
            for layer in head.layers:
                hidden = layered(layer, hidden, visible, context)
            predicted = head.predict(hidden)
        else:
            predicted = head(features)
        return torch.where((context.positions == 0)[..., None], self.start, predicted)

    def logits(self, states: Float[Tensor, "b t d"]) -> Float[Tensor, "b t k"]:
        """Returns logits by the distance of each code from a predicted latent."""
        return self.inverse * self._nearness(states)

    def _nearness(self, states: Float[Tensor, "b t d"]) -> Float[Tensor, "b t k"]:
        """Less the squared distance to each code, without the term that is the same for all."""
        return 2 * states @ self.codes.T - self.codes.square().sum(-1)


def codes_of(tokenizer: Any, vocabulary: int) -> Float[Tensor, "k d"]:
    """The code of each id.

    Raises: RunError if the tokenizer's ids are not each one code of one codebook.
    """
    bottleneck = getattr(tokenizer, "bottleneck", None)
    expected = "causal-head: expected a bottleneck with one code for each id, such as 'vq'"
    if not isinstance(bottleneck, DiscreteBottleneck):
        raise RunError(f"{expected}, got {type(bottleneck).__name__}")
    places = next(iter(tokenizer.parameters())).new_zeros(1, 1, bottleneck.width)
    with torch.no_grad():
        if bottleneck(places).codes.shape[1] != 1:
            raise RunError(f"{expected}, got {type(bottleneck).__name__} with several for each feature")
        return bottleneck.lookup(torch.arange(vocabulary, device=places.device)[None])[0]


def seen(context: AttentionContext) -> Bool[Tensor, "b 1 t s"]:
    """What each position attends to: never the first one, unless there is nothing else."""
    batch, new = context.positions.shape
    visible = context.visible
    if visible is None:
        visible = torch.ones(batch, new, new, dtype=torch.bool, device=context.positions.device).tril()
    others = visible[..., 1:]
    return torch.cat((~others.any(-1, keepdim=True), others), -1)[:, None]


def layered(
    layer: nn.Module, hidden: Float[Tensor, "b t w"], visible: Bool[Tensor, "b 1 t s"], context: AttentionContext
) -> Float[Tensor, "b t w"]:
    """A `torch.nn.TransformerEncoderLayer` that normalises first, with keys and values of earlier calls."""
    assert isinstance(layer, nn.TransformerEncoderLayer)
    attention = layer.self_attn
    joint = functional.linear(layer.norm1(hidden), attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = joint.chunk(3, -1)
    key, value = context.update(layer, key, value)
    heads = attention.num_heads
    query, key, value = (part.view(*part.shape[:2], heads, -1).transpose(1, 2) for part in (query, key, value))
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)  # b h t w/h
    hidden = hidden + attention.out_proj(mixed.transpose(1, 2).flatten(2))
    added: Tensor = layer.linear2(functional.relu(layer.linear1(layer.norm2(hidden))))
    return hidden + added

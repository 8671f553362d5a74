"""The tokenizer of traces: chunks of their steps to codes, and codes to text.

Axes: b batch, n ids of a row, c chunks of a row, m chunks of the batch that are there, l ids of a chunk, f features of
a chunk, q features of a row (c f), k codes of a row, all of a feature's in a row, w feature width, d code width,
h hidden width, v vocabulary of the text. Id -1 means absent, only at the right end of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from crt_latent.text_chunks.networks import Gist, Mixer, Reader
from crt_latent.traces import Trace, joined, parted
from crtcore.kinds import Bottleneck, BottleneckOutput, Encoded

if TYPE_CHECKING:
    from crt_latent.text_chunks.spec import TextChunks


class ChunkTokenizer(nn.Module):
    """A feature for every `rate` ids of the steps, from their chunk alone, and text from the codes of a chunk."""

    def __init__(
        self, spec: TextChunks, bottleneck: Bottleneck, sample: Int[Tensor, "b n"], vocabulary: int | None
    ) -> None:
        super().__init__()
        if vocabulary is None or vocabulary < 4:
            raise ValueError(f"expected a vocabulary of text and three delimiters, got {vocabulary}")
        if sample.shape[1] < 4:
            raise ValueError(f"expected rows of at least 4 ids, of which three are delimiters, got {sample.shape[1]}")
        self.spec = spec
        self.text = vocabulary
        self.span = sample.shape[1]
        self.chunks = -(-(self.span - 3) // spec.chunk)
        self.width = bottleneck.width
        self.vocabulary = bottleneck.vocabulary or 0  # continuous codes have no ids
        self.bottleneck = bottleneck
        self.share, code = self._codes()
        self.length = self.chunks * spec.chunk // spec.rate * self.share
        self.reader = Reader(spec, vocabulary)
        self.inward = nn.Linear(spec.rate * spec.width, self.width)
        self.gist = Gist(spec, vocabulary)
        self.outward = nn.Linear(self.share * code, spec.rate * spec.width)
        self.mixer = Mixer(spec)
        self.head = nn.Linear(spec.width, vocabulary)

    def _codes(self) -> tuple[int, int]:
        """How many codes the bottleneck gives for a feature, and the channels of each."""
        with torch.no_grad():
            codes = self.bottleneck(torch.zeros(1, 2, self.width)).codes
        if codes.shape[1] < 2 or codes.shape[1] % 2:
            raise ValueError(f"expected a bottleneck with as many codes for each of 2 features, got {codes.shape[1]}")
        return codes.shape[1] // 2, codes.shape[2]

    def _cut(self, data: Int[Tensor, "b n"]) -> tuple[Int[Tensor, "b p"], Int[Tensor, "b c l"]]:
        """The prompts, and the steps in chunks.

        Raises: ValueError if the rows are not as wide as those it was built for, or none of them has steps.
        """
        if data.shape[1] != self.span:
            raise ValueError(f"expected rows of {self.span} ids, got {data.shape[1]}")
        prompt, steps, _ = parted(data, self.text)
        if (steps < 0).all() and len(data):
            raise ValueError("expected traces with steps, got none that has any")
        steps = functional.pad(steps, (0, self.chunks * self.spec.chunk - steps.shape[1]), value=-1)
        return prompt, torch.unflatten(steps, 1, (self.chunks, -1))

    def _features(self, steps: Int[Tensor, "b c l"]) -> tuple[Float[Tensor, "b q w"], Bool[Tensor, "b q"]]:
        """The features of the steps, and which of them are there."""
        here = (steps >= 0).any(-1)  # b c
        states = self.reader(steps[here])  # m l h
        found = self.inward(states.unflatten(1, (-1, self.spec.rate)).flatten(2))  # m f w
        mask = torch.unflatten(steps >= 0, 2, (-1, self.spec.rate)).any(-1).flatten(1)  # b q
        return _spread(found, here).flatten(1, 2).where(mask[..., None], 0), mask

    def _squeezed(self, features: Float[Tensor, "b q w"], mask: Bool[Tensor, "b q"]) -> BottleneckOutput:
        """What the bottleneck makes of the features that are there, in their rows again."""
        found: BottleneckOutput = self.bottleneck(features[mask][None])
        wide = mask.repeat_interleave(self.share, 1)  # b k
        count = mask.sum(1)
        return BottleneckOutput(
            codes=_spread(found.codes[0], wide),
            latents=_spread(found.latents[0], wide),
            ids=None if found.ids is None else _spread(found.ids[0] + 1, wide) - 1,
            rate=found.rate * count / count.sum().clamp(min=1),
            loss=found.loss,
        )

    def _logits(
        self, codes: Float[Tensor, "b k d"], mask: Bool[Tensor, "b q"], gist: Float[Tensor, "b h"]
    ) -> Float[Tensor, "b c l v"]:
        """Of every id that the codes stand for; 0 in chunks that are not there."""
        cells = torch.unflatten(mask, 1, (self.chunks, -1))  # b c f
        here = cells.any(-1)  # b c
        side = codes.reshape(*cells.shape, -1)[here]  # m f share*d
        stream = self.outward(side).unflatten(2, (self.spec.rate, -1)).flatten(1, 2)  # m l h
        told = gist[:, None].expand(-1, self.chunks, -1)[here]  # m h
        states = self.mixer(stream + told[:, None], cells[here].repeat_interleave(self.spec.rate, 1))
        return _spread(self.head(states), here)

    def _text(self, logits: Float[Tensor, "b c l v"], mask: Bool[Tensor, "b q"]) -> Int[Tensor, "b n"]:
        """The likeliest text, in a trace without prompt and solution; never a delimiter."""
        likeliest = logits[..., : self.text - 3].argmax(-1).flatten(1)  # b c*l
        steps = likeliest.where(mask.repeat_interleave(self.spec.rate, 1), -1)[:, : self.span - 3]
        rows = joined(Trace(steps[:, :0], steps, steps[:, :0]), self.text)
        return functional.pad(rows, (0, self.span - rows.shape[1]), value=-1)

    def forward(self, data: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Encoded:
        """The trace to codes, and to what they say of its steps when the prompt is not known.

        Units: distortion in nats an id of the steps, from a decoder that is told the prompt if `prompted`; the
        reconstruction is that of `decode`.
        Raises: ValueError if a row is no trace.
        """
        prompt, steps = self._cut(data)
        features, mask = self._features(steps)
        squeezed = self._squeezed(features, mask)
        none = self.gist.none.expand(len(data), -1)
        held = squeezed.codes.detach() if self.spec.prompted else squeezed.codes
        blind = self._logits(held, mask, none)
        told = self._logits(squeezed.codes, mask, self.gist(prompt)) if self.spec.prompted else blind
        distortion = nats_an_id(told, steps)
        aside = nats_an_id(blind, steps).mean() if self.spec.prompted else 0
        return Encoded(
            features=features,
            latents=squeezed.latents,
            codes=squeezed.codes,
            ids=squeezed.ids,
            mask=mask.repeat_interleave(self.share, 1),
            reconstruction=self._text(blind, mask),
            distortion=distortion,
            rate=squeezed.rate,
            loss=distortion.mean() + aside + squeezed.loss,
        )

    def encode(self, data: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b k"]:
        """The ids of the steps' codes.

        Raises: ValueError if a row is no trace, or the bottleneck's codes are continuous.
        """
        with torch.no_grad():
            ids = self._squeezed(*self._features(self._cut(data)[1])).ids
        if ids is None:
            raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")
        return ids

    def decode(self, ids: Int[Tensor, "b k"], class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b n"]:
        """The steps that `ids` stand for, in a trace without prompt and solution."""
        codes, mask = self._looked_up(ids)
        return self._text(self._logits(codes, mask, self.gist.none.expand(len(ids), -1)), mask)

    def read(self, ids: Int[Tensor, "b k"], prompt: Int[Tensor, "b p"]) -> Int[Tensor, "b n"]:
        """As `decode`, for someone who knows the prompts; the same where the decoder is not told them."""
        if not self.spec.prompted:
            return self.decode(ids)
        codes, mask = self._looked_up(ids)
        return self._text(self._logits(codes, mask, self.gist(prompt)), mask)

    def _looked_up(self, ids: Int[Tensor, "b given"]) -> tuple[Float[Tensor, "b k d"], Bool[Tensor, "b q"]]:
        """The codes of rows of ids, and the features they are of.

        Raises: ValueError if there are more ids than a trace has, or some but not all of a feature's.
        """
        if ids.shape[1] > self.length:
            raise ValueError(f"expected at most {self.length} ids a row, got {ids.shape[1]}")
        whole = functional.pad(ids, (0, self.length - ids.shape[1]), value=-1)
        there = torch.unflatten(whole >= 0, 1, (-1, self.share))  # b q share
        mask = there.any(-1)
        if not torch.equal(mask, there.all(-1)):
            raise ValueError(f"expected all {self.share} ids of a feature or none of them")
        return _spread(self.bottleneck.lookup(whole[whole >= 0][None])[0], whole >= 0), mask


def _spread(found: Shaped[Tensor, "m *rest"], here: Bool[Tensor, "*places"]) -> Shaped[Tensor, "*places *rest"]:
    """What was found for the places that are there, in its place among them all; 0 elsewhere."""
    rest = found.shape[1:]
    where = here.reshape(*here.shape, *[1] * len(rest))
    return found.new_zeros(*here.shape, *rest).masked_scatter(where, found)


def nats_an_id(logits: Float[Tensor, "b c l v"], steps: Int[Tensor, "b c l"]) -> Float[Tensor, " b"]:
    """The cross-entropy of each sample's steps, a mean over the ids that are there."""
    cost = functional.cross_entropy(logits.flatten(0, 2), steps.flatten(), ignore_index=-1, reduction="none")
    return cost.view(len(steps), -1).sum(1) / (steps >= 0).flatten(1).sum(1).clamp(min=1)

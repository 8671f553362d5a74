"""The tokenizer of traces: chunks of their steps to codes, and codes to text.

Axes: b batch, n ids of a row, c chunks of a row, m present chunks of the batch, l ids of a chunk, f features of
a chunk, q features of a row (c f), k codes of a row, all of a feature's in a row, w feature width, d code width,
h hidden width, v vocabulary of the text. Id -1 means absent, only at the right end of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from crt_latent.text_chunks.networks import Mixer, PromptEncoder, Reader
from crt_latent.traces import Trace, join_trace, split_trace
from crt_nn.ranges import check_ids, check_rows
from crt_nn.ranks import portion
from crtcore.kinds import Bottleneck, BottleneckOutput, DiscreteBottleneck, Encoded, KeepsStatistics
from crtcore.noise import Noise

if TYPE_CHECKING:
    from crt_latent.text_chunks.spec import TextChunks


class ChunkTokenizer(nn.Module):
    """Encodes `rate` ids of the steps to a feature, from their chunk alone, and decodes a chunk's codes to text."""

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
        self.vocabulary = bottleneck.vocabulary
        self.bottleneck = bottleneck
        self.share, code = code_shape(bottleneck)
        self.length = self.chunks * spec.chunk // spec.rate * self.share
        self.reader = Reader(spec, vocabulary)
        self.inward = nn.Linear(spec.rate * spec.width, self.width)
        self.gist = PromptEncoder(spec, vocabulary)
        self.outward = nn.Linear(self.share * code, spec.rate * spec.width)
        self.mixer = Mixer(spec)
        self.head = nn.Linear(spec.width, vocabulary)

    def _cut(self, data: Int[Tensor, "b n"]) -> tuple[Int[Tensor, "b p"], Int[Tensor, "b c l"]]:
        """Returns the prompts, and the steps in chunks.

        Raises: ValueError if an id is out of range, the rows have another width than those at construction, or no row
        has steps.
        """
        check_rows(data, None, self.text, 0)
        if data.shape[1] != self.span:
            raise ValueError(f"expected rows of {self.span} ids, got {data.shape[1]}")
        prompt, steps, _ = split_trace(data, self.text)
        if (steps < 0).all() and len(data):
            raise ValueError("expected traces with steps, got none that has any")
        steps = functional.pad(steps, (0, self.chunks * self.spec.chunk - steps.shape[1]), value=-1)
        return prompt, torch.unflatten(steps, 1, (self.chunks, -1))

    def _features(self, steps: Int[Tensor, "b c l"]) -> tuple[Float[Tensor, "b q w"], Bool[Tensor, "b q"]]:
        """Returns features of the steps, and a mask of the present ones."""
        here = (steps >= 0).any(-1)  # b c
        states = self.reader(steps[here])  # m l h
        features = self.inward(states.unflatten(1, (-1, self.spec.rate)).flatten(2))  # m f w
        mask = torch.unflatten(steps >= 0, 2, (-1, self.spec.rate)).any(-1).flatten(1)  # b q
        return _scatter(features, here).flatten(1, 2).where(mask[..., None], 0), mask

    def _bottleneck_output(
        self, features: Float[Tensor, "b q w"], mask: Bool[Tensor, "b q"], noise: Noise | None = None
    ) -> BottleneckOutput:
        """Applies the bottleneck to present features, each a sample of its own, and moves the output to their rows."""
        own = None
        if noise is not None:
            places = torch.arange(mask.shape[1], device=mask.device)[:, None]  # q 1
            own = Noise(noise.seeds(places).mT[mask], noise.stream)  # m
        output: BottleneckOutput = self.bottleneck(features[mask][:, None], noise=own)
        wide, present = mask.repeat_interleave(self.share, 1), mask.sum()  # b k
        return BottleneckOutput(
            codes=_scatter(output.codes.flatten(0, 1), wide),
            latents=_scatter(output.latents.flatten(0, 1), wide),
            ids=None if output.ids is None else _scatter(output.ids.flatten() + 1, wide) - 1,
            rate=_scatter(output.rate, mask).sum(1),
            loss=output.loss * (present / portion(present, mask.numel())),
        )

    def _logits(
        self, codes: Float[Tensor, "b k d"], mask: Bool[Tensor, "b q"], gist: Float[Tensor, "b h"]
    ) -> Float[Tensor, "m l v"]:
        """Returns logits of the ids of present chunks, whose vocabulary may be large."""
        cells = torch.unflatten(mask, 1, (self.chunks, -1))  # b c f
        here = cells.any(-1)  # b c
        side = codes.reshape(*cells.shape, -1)[here]  # m f share*d
        stream = self.outward(side).unflatten(2, (self.spec.rate, -1)).flatten(1, 2)  # m l h
        prompts = gist[:, None].expand(-1, self.chunks, -1)[here]  # m h
        logits: Tensor = self.head(
            self.mixer(stream + prompts[:, None], cells[here].repeat_interleave(self.spec.rate, 1))
        )
        return logits

    def _text(self, logits: Float[Tensor, "m l v"], mask: Bool[Tensor, "b q"]) -> Int[Tensor, "b n"]:
        """Returns the most likely text without delimiters, as a trace without prompt and solution."""
        here = torch.unflatten(mask, 1, (self.chunks, -1)).any(-1)  # b c
        likeliest = _scatter(logits[..., : self.text - 3].argmax(-1), here).flatten(1)  # b c*l
        steps = likeliest.where(mask.repeat_interleave(self.spec.rate, 1), -1)[:, : self.span - 3]
        rows = join_trace(Trace(steps[:, :0], steps, steps[:, :0]), self.text)
        return functional.pad(rows, (0, self.span - rows.shape[1]), value=-1)

    def forward(
        self, data: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Encoded:
        """Encodes traces, and decodes their steps without the prompt.

        Units: distortion in nats for each id of the steps, of a decoder that reads the prompt if `prompted`; the
        reconstruction is that of `decode`.
        Raises: ValueError if a row is no trace.
        """
        prompt, steps = self._cut(data)
        features, mask = self._features(steps)
        output = self._bottleneck_output(features, mask, noise)
        none = self.gist.none.expand(len(data), -1)
        held = output.codes.detach() if self.spec.prompted else output.codes
        blind = self._logits(held, mask, none)
        informed = self._logits(output.codes, mask, self.gist(prompt)) if self.spec.prompted else blind
        distortion = nats_an_id(informed, steps)
        blind_loss = nats_an_id(blind, steps).mean() if self.spec.prompted else 0
        return Encoded(
            features=features,
            latents=output.latents,
            codes=output.codes,
            ids=output.ids,
            mask=mask.repeat_interleave(self.share, 1),
            reconstruction=self._text(blind, mask),
            distortion=distortion,
            rate=output.rate,
            loss=distortion.mean() + blind_loss + output.loss,
        )

    def after_step(self, encoded: Encoded) -> None:
        """Updates the bottleneck's statistics, if it keeps any."""
        if isinstance(self.bottleneck, KeepsStatistics):
            self.bottleneck.after_step(encoded)

    def encode(self, data: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b k"]:
        """Returns the ids of the steps' codes.

        Raises: ValueError if a row is no trace, or the bottleneck is continuous.
        """
        with torch.no_grad():
            ids = self._bottleneck_output(*self._features(self._cut(data)[1])).ids
        if ids is None:
            raise ValueError("expected a discrete bottleneck, got a continuous one")
        return ids

    def decode(self, ids: Int[Tensor, "b k"], class_ids: Int[Tensor, " b"] | None = None) -> Int[Tensor, "b n"]:
        """Decodes `ids` to steps, in a trace without prompt and solution.

        Raises: ValueError if an id is out of range, or follows an absent one.
        """
        codes, mask = self._look_up(ids)
        return self._text(self._logits(codes, mask, self.gist.none.expand(len(ids), -1)), mask)

    def decode_with_prompt(self, ids: Int[Tensor, "b k"], prompt: Int[Tensor, "b p"]) -> Int[Tensor, "b n"]:
        """Decodes with prompts; equal to `decode` if the tokenizer is not `prompted`.

        Raises: ValueError if an id of `ids` or of a prompt is out of range.
        """
        if not self.spec.prompted:
            return self.decode(ids)
        check_ids(prompt, self.text, name="prompt ids", least=-1)
        codes, mask = self._look_up(ids)
        return self._text(self._logits(codes, mask, self.gist(prompt)), mask)

    def _look_up(self, ids: Int[Tensor, "b given"]) -> tuple[Float[Tensor, "b k d"], Bool[Tensor, "b q"]]:
        """Returns the codes of rows of ids, and a mask of their features.

        Raises: ValueError if an id is out of range, there are more than a trace has or only some of a feature's, or
        codes are continuous.
        """
        if not isinstance(self.bottleneck, DiscreteBottleneck):
            raise ValueError("expected a discrete bottleneck, got a continuous one")
        check_rows(ids, None, self.bottleneck.vocabulary, 0, longest=self.length)
        whole = functional.pad(ids, (0, self.length - ids.shape[1]), value=-1)
        there = torch.unflatten(whole >= 0, 1, (-1, self.share))  # b q share
        mask = there.any(-1)
        if not torch.equal(mask, there.all(-1)):
            raise ValueError(f"expected all {self.share} ids of a feature or none of them, got some")
        return _scatter(self.bottleneck.lookup(whole[whole >= 0][None])[0], whole >= 0), mask


def _scatter(values: Shaped[Tensor, "m *rest"], here: Bool[Tensor, "*places"]) -> Shaped[Tensor, "*places *rest"]:
    """Places values where `here` is true, in order; 0 elsewhere."""
    rest = values.shape[1:]
    mask = here.reshape(*here.shape, *[1] * len(rest))
    return values.new_zeros(*here.shape, *rest).masked_scatter(mask, values)


def nats_an_id(logits: Float[Tensor, "m l v"], steps: Int[Tensor, "b c l"]) -> Float[Tensor, " b"]:
    """Returns the cross-entropy of each sample's steps, a mean over present ids."""
    here = (steps >= 0).any(-1)  # b c
    cost = functional.cross_entropy(logits.flatten(0, 1), steps[here].flatten(), ignore_index=-1, reduction="none")
    whole = _scatter(cost.view(logits.shape[:2]), here)  # b c l
    return whole.flatten(1).sum(1) / (steps >= 0).flatten(1).sum(1).clamp(min=1)


def code_shape(bottleneck: Bottleneck) -> tuple[int, int]:
    """Returns the number of codes that a bottleneck has for each feature, and the channels of a code.

    Raises: ValueError if features have different numbers of codes.
    """
    with torch.no_grad():
        codes = bottleneck(torch.zeros(1, 2, bottleneck.width)).codes
    if codes.shape[1] < 2 or codes.shape[1] % 2:
        raise ValueError(f"expected a bottleneck with equally many codes for 2 features, got {codes.shape[1]}")
    return codes.shape[1] // 2, codes.shape[2]

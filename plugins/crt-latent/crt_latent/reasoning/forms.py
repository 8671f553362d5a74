"""Forms of a trace in training.

Axes: b batch, n ids of a row, c ids of the steps, z codes of the steps. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.mixing.mixed import Chunking, mixed, whole_chunks
from crt_latent.mixing.replacement import Occasion, curriculum, everything, poisson, randomised
from crt_latent.traces import Trace, between, compact, join_trace, lengths
from crtcore import Noise

FIRST, LAST = 0.1, 0.7
"""Implicit reasoning loses its steps between these shares of the training."""


class Form(NamedTuple):
    """The form of one arm."""

    trace: str
    """As in `LatentReasoning.trace`."""
    replacement: str
    """As in `LatentReasoning.replacement`."""
    ceilings: tuple[int, ...]
    chunking: Chunking
    alphabet: Alphabet
    fillers: Sequence[int]
    """Ids of filler words."""
    noise: Noise
    width: int
    """Ids of the longest row of the data."""

    def rows(self, trace: Trace, codes: Int[Tensor, "b z"], occasion: Occasion) -> Int[Tensor, "b n"]:
        """Returns the rows to train on at an occasion; `codes` are those of all steps, used by forms with codes."""
        return join_trace(trace._replace(steps=self._steps(trace, codes, occasion)), self.alphabet.text)

    def _steps(self, trace: Trace, codes: Int[Tensor, "b z"], occasion: Occasion) -> Int[Tensor, "b c"]:
        steps = trace.steps
        match self.trace:
            case "answer-only":
                return steps[:, :0]
            case "stripped":
                return stripped(steps, self.fillers)
            case "pause":
                return paused(trace, self.chunking, self.alphabet)
            case "icot":
                return internalised(steps, occasion.progress)
            case "latent":
                chosen = self._chosen(trace, occasion)
                return mixed(trace, codes, chosen, chunking=self.chunking, alphabet=self.alphabet).steps
        return steps

    def _chosen(self, trace: Trace, occasion: Occasion) -> Bool[Tensor, "b j"]:
        """Chooses the chunks that become codes."""
        whole, length, ceilings = whole_chunks(trace.steps, self.chunking), self.chunking.length, self.ceilings
        match self.replacement:
            case "all":
                return everything(whole, occasion)
            case "curriculum":
                return curriculum(whole, occasion)
            case "poisson":
                return poisson(whole, occasion, noise=self.noise, length=length, ceilings=ceilings)
        return randomised(whole, occasion, noise=self.noise, length=length, ceilings=ceilings)


def stripped(steps: Int[Tensor, "b c"], fillers: Sequence[int]) -> Int[Tensor, "b left"]:
    """Removes filler words from the steps."""
    return compact(steps.masked_fill(torch.isin(steps, steps.new_tensor(list(fillers))), -1))


def paused(trace: Trace, chunking: Chunking, alphabet: Alphabet) -> Int[Tensor, "b c"]:
    """Returns one symbol in place of each code, in brackets, without text."""
    whole = whole_chunks(trace.steps, chunking)
    chosen = torch.arange(int(whole.max())) < whole[:, None]
    symbols = torch.zeros_like(trace.steps)
    steps = mixed(trace, symbols, chosen, chunking=chunking, alphabet=alphabet).steps
    return compact(steps.masked_fill(steps < alphabet.text, -1))


def internalised(steps: Int[Tensor, "b c"], progress: float) -> Int[Tensor, "b left"]:
    """Removes steps from the left, none at first and all at the end.

    Source: Deng et al. (2024), arXiv:2405.14838, without smoothing of removals and resets of the optimiser.
    """
    removed = min(max((progress - FIRST) / (LAST - FIRST), 0.0), 1.0)
    count = lengths(steps)
    return between(steps, (removed * count).round().long(), count)

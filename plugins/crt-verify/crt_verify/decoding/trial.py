"""One trial: samples continued by one decoder, with its calls and its time.

Axes: n ids of a prompt.
"""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

from crt_verify.decoding.samples import Samples
from crtcore import Limits, Noise, Sampling
from crtcore.kinds import Decoder, Json, Prior, Request


class Pair(NamedTuple):
    """A target and its draft, and how both are sampled."""

    target: Prior
    draft: Prior
    sampling: Sampling
    seed: int

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of parameters."""
        return parameters(self.target), parameters(self.draft)

    @property
    def name(self) -> str:
        """As `19.2M/0.3M`."""
        return "/".join(f"{size / 1e6:.3g}M" for size in self.sizes)


def parameters(prior: Prior) -> int:
    """The number of a prior's parameters."""
    return sum(each.numel() for each in prior.parameters()) if isinstance(prior, nn.Module) else 0


def run_trial(pair: Pair, decoder: Decoder, samples: Samples, limits: Limits, first: int = 0) -> Json:
    """Ids after each prompt, as plain values; sample i has seed `first + i`."""
    places = torch.arange(first, first + len(samples.ids))
    seeds = Noise(pair.seed, "continuations").seeds(places).to(samples.ids.device)
    request = Request(samples.prompts, limits, pair.sampling, samples.class_ids, seeds)
    generation = decoder.generate(pair.target, request, draft=pair.draft)
    ids, accepted = ([[x for x in row if x >= 0] for row in each.tolist()] for each in generation[:2])
    trial = {"ids": ids, "accepted": accepted, "seconds": generation.seconds}
    return trial | ({"notes": list(generation.notes)} if generation.notes else {})


class Round(NamedTuple):
    """A target call that verified drafted ids."""

    emitted: int
    """Ids emitted before it."""
    levels: int
    """Drafted ids that it could have accepted."""
    accepted: int


def rounds(accepted: list[int], count: int, length: int, levels: int) -> list[Round]:
    """The rounds of a row of `count` ids, `length` at most; the first call reads the prompt and is not one."""
    played, emitted = [], 1
    for each in accepted[1:]:
        could = min(levels, length - emitted - 1)
        if emitted + each + 1 > count:  # the last id that was accepted is one to stop at
            could = each
        if could > 0:
            played.append(Round(emitted, could, each))
        emitted += each + 1
    return played


def step_time(prior: Prior, prompt: Int[Tensor, "1 n"], class_ids: Int[Tensor, "1"] | None, times: int = 30) -> float:
    """The median time of a call for one more id, in seconds."""
    session, seconds = prior.open(prompt, class_ids, capacity=prompt.shape[1] + times, room=1), []
    for _ in range(times):
        began = time.perf_counter()
        float(session.extend(prompt[:, -1:])[0, 0, 0])  # waits for the device
        seconds.append(time.perf_counter() - began)
        session.commit(torch.zeros_like(prompt[:, :1]))
    return statistics.median(seconds)

"""Texts that a target writes, with its likeliest next ids at each place.

Axes: b rows, n ids of a row, m new ids, k likeliest ids, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_basics.decoders.ancestral import AncestralDecoder
from crt_hf.heads.watched import Features
from crtcore.errors import RunError
from crtcore.kinds import Prior, Request, Session
from crtcore.noise import Noise
from crtcore.settings import Limits, Sampling

ROWS = 32
"""Texts that are written at once, and kept in one file: the most that a kill loses."""
NEW = 128
"""New ids of a text at most."""
LIKELIEST = 32
"""Next ids whose chance is kept at each place."""
TEMPERATURES = (1.0, 0.5, 0.5, 0.5)
"""Of the texts of parts, in turn: most text is asked for at a low temperature, and a part at 1 has more of the rest."""
HELD_OUT = 16
"""One prompt of so many, or one text if there are fewer prompts, is not trained on."""


class Recorded:
    """A prior that keeps the likeliest next ids after the prompts and after each commit."""

    def __init__(self, prior: Prior) -> None:
        self.prior, self.vocabulary = prior, prior.vocabulary
        self.longest: int | None = getattr(prior, "longest", None)
        self.kept: list[tuple[Tensor, Tensor]] = []

    def __call__(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Returns the prior's logits."""
        return self.prior(ids, class_ids, noise=noise)

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> RecordedSession:
        """Opens a session of the prior.

        Raises: ValueError as the prior does.
        """
        return RecordedSession(self.prior.open(ids, class_ids, capacity=capacity, room=room), self.kept)


class RecordedSession:
    """A session that keeps the likeliest ids of its `next_logits`, and the logarithms of their chances."""

    next_logits: Float[Tensor, "b v"]

    def __init__(self, session: Session, kept: list[tuple[Tensor, Tensor]]) -> None:
        self._session, self._kept = session, kept
        self._keep()

    def _keep(self) -> None:
        self.next_logits = self._session.next_logits
        count = min(LIKELIEST, self.next_logits.shape[1])
        scores, ids = self.next_logits.float().log_softmax(-1).topk(count)
        self._kept.append((ids.to("cpu", torch.int32), scores.to("cpu", torch.float16)))

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        Raises: ValueError as the session does.
        """
        return self._session.extend(ids, parents)

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Commits columns of a path, and drops every other tentative node.

        Raises: ValueError as the session does.
        """
        self._session.commit(path)
        self._keep()


def prompts_of(part: int, prompts: int, seed: int) -> list[int]:
    """Returns the numbers of the prompts that the rows of a part go on from: all in turn, in an order by the seed."""
    numbers = []
    for row in range(part * ROWS, (part + 1) * ROWS):
        order = torch.Generator().manual_seed(seed + row // prompts)
        numbers.append(int(torch.randperm(prompts, generator=order)[row % prompts]))
    return numbers


def held_out(part: int, numbers: Sequence[int], prompts: int) -> list[bool]:
    """Returns which rows of a part are not trained on: those of every 16th prompt, or every 16th row."""
    first = part * ROWS
    places = numbers if prompts >= HELD_OUT else range(first, first + len(numbers))
    return [place % HELD_OUT == HELD_OUT - 1 for place in places]


def write_part(
    prior: Prior, prompts: Sequence[Sequence[int]], part: int, *, stop: Sequence[int], seed: int, device: torch.device
) -> dict[str, Tensor]:
    """Samples texts after prompts, at the temperature of the part.

    Returns `ids` (b n), the length of each `prompt` (b), `best` ids and their `scores` in nats before each new id, at
    temperature 1 (b m k), and `held_out` (b); of a target that keeps hidden states, those at all ids but the last new
    one of the longest row, `states` (b n u), in bfloat16. They depend on the seed and the part alone.
    Raises: RunError if the model has no positions for them.
    """
    numbers = prompts_of(part, len(prompts), seed)
    rows = [list(prompts[number]) for number in numbers]
    widest, longest = max(map(len, rows)), getattr(prior, "longest", None)
    new = NEW if longest is None else min(NEW, longest - widest)
    if new < 1:
        raise RunError(f"distill: expected prompts of less than {longest} ids, as the target has positions for so "
                       f"many, got one of {widest}; give shorter ones")  # fmt: skip
    prompt = torch.tensor([[*row, *[-1] * (widest - len(row))] for row in rows], device=device)
    seeds = seed * 2**32 + part * ROWS + torch.arange(len(rows), device=device)
    recorded = Recorded(prior)
    sampling = Sampling(temperature=TEMPERATURES[part % len(TEMPERATURES)])
    request = Request(prompt, Limits(length=new, stop=tuple(stop)), sampling, seeds=seeds)
    made = AncestralDecoder().generate(recorded, request).ids.cpu()
    written = [[*row, *[x for x in own if x >= 0]] for row, own in zip(rows, made.tolist(), strict=True)]
    width = max(map(len, written))
    features: Features | None = getattr(prior, "features", None)
    states = {} if features is None else {"states": features.kept[:, : width - 1].to("cpu", torch.bfloat16)}
    return {
        "ids": torch.tensor([[*row, *[-1] * (width - len(row))] for row in written], dtype=torch.int32),
        "prompt": torch.tensor([len(row) for row in rows], dtype=torch.int32),
        "best": torch.stack([ids for ids, _ in recorded.kept], 1),
        "scores": torch.stack([scores for _, scores in recorded.kept], 1),
        "held_out": torch.tensor(held_out(part, numbers, len(prompts))),
        **states,
    }

"""How much of a target's text a draft would have written: acceptance, and ids a call of chains.

Axes: m new ids of a text, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.statistics import ratio
from crtcore.kinds import Measurement, Prior

CHAINS = (1, 2, 3, 4, 6, 8)
"""Lengths of chains whose ids a call are expected."""


@runtime_checkable
class Deepens(Protocol):
    """A draft whose chances differ where ids before are drafted, as it has not read the target's states there."""

    def passes(self, ids: Int[Tensor, "b n"], depth: int) -> Iterator[Float[Tensor, "b n+1 v"]]:
        """Logits after each part of a row, where one id is drafted, then where that before it is too, and so on."""


class Score(NamedTuple):
    """A draft on texts of its target, at temperature 1."""

    acceptance: Measurement
    """Chance that a drafted id is accepted, in the mean over new ids; the interval is over texts."""
    ids_a_call: dict[int, float]
    """Expected new ids of a call of the target, by the length of the drafted chain."""


class Agreement(NamedTuple):
    """A draft beside its target along a text."""

    accepted: Float[Tensor, " m"]
    """The sum over ids of the smaller of both chances: that a drafted id is accepted."""
    kept: Float[Tensor, " m"]
    """The smaller of 1 and the draft's chance of the id that came over the target's."""


def agreement(p: Float[Tensor, "m v"], q: Float[Tensor, "m v"], ids: Int[Tensor, " m"]) -> Agreement:
    """Returns how a draft's chances `q` stand to the target's `p` before each of `ids`.

    Source: Leviathan et al. (2023), arXiv:2211.17192, definition 3.1 and theorem 3.5.
    """
    accepted = torch.minimum(p, q).sum(1)
    own, theirs = (each.gather(1, ids[:, None])[:, 0] for each in (p, q))
    return Agreement(accepted, (theirs / own.clamp(min=torch.finfo(own.dtype).tiny)).clamp(max=1))


@torch.inference_mode()
def scores(
    target: Prior, drafts: Sequence[Prior], texts: Sequence[tuple[Int[Tensor, "..."], int]], device: torch.device
) -> list[Score]:
    """Returns the score of each draft on texts, each with the length of its prompt, by full passes.

    Raises: ValueError if there is no text.
    """
    if not texts:
        raise ValueError("expected at least one text, got none")
    made: list[list[list[Agreement]]] = [[] for _ in drafts]
    for row, start in texts:
        ids = row[None].to(device)
        p = target(ids)[0, start:-1].double().softmax(-1)
        for draft, own in zip(drafts, made, strict=True):
            passes = draft.passes(ids, max(CHAINS)) if isinstance(draft, Deepens) else [draft(ids)]
            own.append([agreement(p, each[0, start:-1].double().softmax(-1), ids[0, start:]) for each in passes])
    return [_score(each) for each in made]


def _score(rows: Sequence[Sequence[Agreement]]) -> Score:
    accepted = [float(row[0].accepted.sum()) for row in rows]
    counts = [float(len(row[0].accepted)) for row in rows]
    if len(rows) > 1:
        mean = ratio(accepted, counts, "probability")
    else:
        mean = Measurement(accepted[0] / counts[0], "probability", 1)
    by_depth = [_depth(rows, depth) for depth in range(1, max(CHAINS) + 1)]
    return Score(mean, {length: 1 + sum(by_depth[:length]) for length in CHAINS})


def _depth(rows: Sequence[Sequence[Agreement]], depth: int) -> float:
    """Returns the chance that so many drafted ids in a row are accepted.

    Each row has one agreement, or one for each drafted id in a row. The text is the target's: weighted by `kept`, its
    ids are those that a draft would have written and had accepted.
    """
    chances = []
    for row in rows:
        places = len(row[0].accepted) - depth + 1
        if places > 0:
            before = torch.ones(places, dtype=row[0].kept.dtype, device=row[0].kept.device)
            for step in range(depth - 1):
                before = before * row[min(step, len(row) - 1)].kept[step : step + places]
            chances.append(before * row[min(depth, len(row)) - 1].accepted[depth - 1 : depth - 1 + places])
    return float(torch.cat(chances).mean()) if chances else 0.0

"""Two functions that are a decoder.

Axes: b batch, n ids of a row, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch

from crt_run.decoding import check_request, inferring, next_distributions
from crt_run.sampling import pick, probabilities
from crtcore import Noise
from crtcore.errors import PriorError
from crtcore.kinds import Generation, Prior, Request


def decoder(spec: Any) -> Any:
    """The decoder of a spec."""
    return SimpleNamespace(generate=generate, distribution=partial(distribution, spec.most))


@inferring
def generate(target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
    """Ids after the prompt of each row, each from a full pass over all ids before it.

    Raises: ValueError if the request does not fit, PriorError if the target returns no distribution.
    """
    began = time.perf_counter()
    check_request(request, target)
    prompt, length = request.prompt, request.limits.length
    noise = Noise(request.row_seeds, "recompute")
    stop = prompt.new_tensor(request.limits.stop)
    row = torch.arange(len(prompt), device=prompt.device)
    place = (prompt >= 0).sum(-1)  # b: where the next id of a row goes
    whole = torch.cat((prompt, prompt.new_full((len(prompt), length), -1)), 1)
    ids = prompt.new_full((len(prompt), length), -1)
    active = torch.ones_like(place, dtype=torch.bool)
    for step in range(length):
        logits = target(whole[:, : prompt.shape[1] + step], request.class_ids)[row, place]  # b v
        weights = probabilities(logits, request.sampling)
        for wrong in (active & weights[:, 0].isnan()).nonzero()[:1, 0].tolist():
            raise PriorError(f"target, row {wrong}, step {step}: expected logits with a finite maximum, got none")
        ids[:, step] = pick(weights, noise.bits(place)).where(active, -1)
        whole[row[active], place[active]] = ids[active, step]
        place = place + active
        active = active & ~torch.isin(ids[:, step], stop)
    calls = (ids >= 0).sum(-1)
    none = torch.zeros_like(calls)
    return Generation(ids, ids.clamp(max=0), calls, none, none.clone(), time.perf_counter() - began)


@torch.no_grad()
def distribution(
    most: int, target: Prior, request: Request, *, draft: Prior | None = None
) -> dict[tuple[int, ...], float]:
    """The exact distribution of what `generate` emits for one row.

    Raises: ValueError or PriorError as `generate` does, or ValueError if there are more than `most` rows.
    """
    check_request(request, target)
    if target.vocabulary**request.limits.length > most:
        raise ValueError(f"expected at most {most} rows, got {target.vocabulary}**{request.limits.length}")

    def after(row: tuple[int, ...], weight: float) -> dict[tuple[int, ...], float]:
        if len(row) == request.limits.length or (row and row[-1] in request.limits.stop):
            return {row: weight}
        ids = torch.cat((request.prompt[request.prompt >= 0], request.prompt.new_tensor(row)))[None]
        (following,) = next_distributions(target, "target", ids, request.class_ids, request.sampling).tolist()
        rows: dict[tuple[int, ...], float] = {}
        for each, probability in enumerate(following):
            rows |= after((*row, each), weight * probability) if probability > 0 else {}
        return rows

    return after((), 1.0)

"""All answers of an arm to its test problems: free ones, and ones with a forced number of codes.

Axes: b problems, n ids of a prompt, e emitted ids.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from crt_latent.mixing.replacement import Occasion
from crt_latent.reasoning.answers import Answers, Solver
from crt_latent.reasoning.forms import Form
from crt_latent.traces import Trace, between, join_trace, lengths
from crtcore.errors import Stopped

FREE = -1
"""Stands for free answers, where others have the number of ids that are replaced by force."""


def ways(form: Form, trace: Trace) -> list[int]:
    """The numbers of ids that are replaced by force: whole chunks that every problem has; first the free answers."""
    if form.trace != "latent":
        return [FREE]
    length = form.chunking.length
    return [FREE, *range(0, int(lengths(trace.steps).min()) + 1, length)]


def evaluated(
    solver: Solver, form: Form, trace: Trace, device: torch.device, stopping: Callable[[], bool] = lambda: False
) -> dict[int, Answers]:
    """Answers to problems in each way, in the order of `ways`.

    Raises: Stopped if `stopping` returns True between two ways.
    Cost: the text of a problem's own trace is the guess for what follows forced codes, and forced answers are guesses
    for free ones. As far as guesses are right, the prior reads them in one pass (`bench/latent_evaluation.py`).
    """
    own = join_trace(trace, form.alphabet.text).to(device)
    start = lengths(trace.prompt).to(device) + 1  # behind <think>
    prompts, text = between(own, torch.zeros_like(start), start), between(own, start, lengths(own))
    every, rate = ways(form, trace), form.chunking.rate
    most = max(every) // rate
    codes = solver.most_likely_codes(prompts, most) if most > 0 else prompts[:, :0]
    answers: dict[int, Answers] = {}
    for replaced in reversed(every):
        if stopping():
            raise Stopped
        if replaced == FREE:
            guesses = [each.ids for each in answers.values()] or [_own(form, trace).to(device)]
            answers[replaced] = solver.answers(prompts, guesses)
        else:
            rest = between(text, torch.full_like(start, replaced), lengths(text))
            answers[replaced] = solver.answer_with_codes(prompts, codes[:, : replaced // rate], [rest])
    return {replaced: answers[replaced] for replaced in every}


def _own(form: Form, trace: Trace) -> Int[Tensor, "b e"]:
    """Returns what follows <think> in rows of a form without codes, as at the end of training."""
    samples = torch.arange(len(trace.steps))
    rows = form.rows(trace, trace.steps[:, :0], Occasion(samples, torch.zeros_like(samples), 1.0))
    return between(rows, lengths(trace.prompt) + 1, lengths(rows))

"""All answers of an arm to its test problems: free ones, and ones with a forced number of codes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from crt_latent.reasoning.answers import Answers, Solver
from crt_latent.reasoning.forms import Form
from crt_latent.traces import Trace, between, join_trace, lengths
from crtcore.errors import RunError, Stopped

FREE = -1
"""Stands for free answers, where others have the number of ids that are replaced by force."""


def ways(form: Form, trace: Trace) -> list[int]:
    """The numbers of ids that are replaced by force: whole chunks that every problem has; first the free answers."""
    if form.trace != "latent":
        return [FREE]
    length = form.chunking.length
    return [FREE, *range(0, int(lengths(trace.steps).min()) + 1, length)]


def check_positions(positions: int | None, trace: Trace, width: int) -> None:
    """Nothing, if prompts and answers of `width` ids fit a prior's positions; None: it has any number of them.

    Raises: RunError if they do not; the decoder would say so only after the training.
    """
    prompt = int(lengths(trace.prompt).max()) + 1  # with <think>
    if positions is not None and prompt + width > positions:
        raise RunError(
            f"latent-reasoning: expected a prior with positions for {prompt + width} ids, {prompt} of a prompt and "
            f"{width} of an answer, which may be as long as the longest row, got {positions}; take a prior without "
            "such a limit, or problems with shorter rows"
        )


def evaluated(
    solver: Solver, form: Form, trace: Trace, device: torch.device, stopping: Callable[[], bool] = lambda: False
) -> dict[int, Answers]:
    """Answers to problems in each way, in the order of `ways`.

    Raises: Stopped if `stopping` returns True between two ways.
    Cost: codes are generated once, as fewer of them are the first of more.
    """
    own = join_trace(trace, form.alphabet.text).to(device)
    start = lengths(trace.prompt).to(device) + 1  # behind <think>
    prompts = between(own, torch.zeros_like(start), start)
    every, rate = ways(form, trace), form.chunking.rate
    most = max(every) // rate
    codes = solver.most_likely_codes(prompts, most) if most > 0 else prompts[:, :0]
    answers: dict[int, Answers] = {}
    for replaced in reversed(every):
        if stopping():
            raise Stopped
        if replaced == FREE:
            answers[replaced] = solver.answers(prompts)
        else:
            answers[replaced] = solver.answer_with_codes(prompts, codes[:, : replaced // rate])
    return {replaced: answers[replaced] for replaced in every}

"""Text in and out: prompts are decoded by any decoder from the distribution that transformers would sample.

Axes: b batch, n ids of a sample, s target calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from crt_hf.model import Model, Reader
from crt_hf.processed import Processed
from crt_hf.processors import processes, stop_at
from crt_hf.prompts import Prompt, as_ids
from crt_hf.settings import Settings, settings
from crtcore.errors import RunError
from crtcore.kinds import DecoderSpec, Generation, Request
from crtcore.registry import NotInstalled, discover


class Result(NamedTuple):
    """What was generated after one prompt, and what it took."""

    ids: list[int]
    """New ids, the one that ended the row included."""
    text: str | None
    """Their text, without special tokens; None without a tokenizer."""
    accepted: list[int]
    """Drafted ids that were accepted at each call of the target, the first of which read the prompt."""
    proposed: int
    """Drafted ids that the target verified."""
    draft_calls: int
    """Sequential calls of the draft model."""
    seconds: float
    """Wall time of the whole batch."""
    ran: str
    """The decoder, and what ran target and draft."""

    @property
    def calls(self) -> int:
        """Calls of the target."""
        return len(self.accepted)


def generate(
    model: Any, prompts: Sequence[Prompt], *, decoder: str | DecoderSpec = "lookup", draft: Any = None,
    dtype: str = "auto", tokenizer: Any = None, seed: int | Sequence[int] = 0,
    follow: Callable[[int, Sequence[int]], None] | None = None, **generation_kwargs: Any,
) -> list[Result]:  # fmt: skip
    """One result for each prompt: a text, a chat (messages with role and content), or ids.

    `model` and `draft` are folders, models of transformers or `Model`s; keywords are those of transformers' `generate`,
    and those of the folder's generation config hold where they are not given. A prompt's ids depend on its own seed,
    which is `seed`, or one of as many, and not on its neighbours. `follow` is called with the place of a prompt and
    the ids that are committed, as they come.
    Raises: RunError with the name of what is unknown or cannot be kept exact; ValueError for a request that no model of
    these positions can serve.
    """
    target = model if isinstance(model, Model) else Model(model, dtype=dtype, tokenizer=tokenizer)
    helper = draft if draft is None or isinstance(draft, Model) else Model(draft, dtype=dtype)
    asked = settings(generation_kwargs, target.defaults)
    if isinstance(prompts, str) or not isinstance(prompts, Sequence):
        raise RunError("generate: expected a list of prompts, got one; put it in a list")
    vocabulary = target.config.vocab_size
    rows = [as_ids(each, vocabulary, lambda: target.tokenizer, f"prompt {i}") for i, each in enumerate(prompts)]
    if not rows:
        return []
    chosen = _decoder(decoder, helper)
    firsts = {row[0] for row in rows}
    first = firsts.pop() if len(firsts) == 1 else None
    readers = [each.reader(first) for each in (target, helper) if each is not None]
    if asked.strings:
        _ = target.tokenizer  # which is missed before anything runs
    seeds = _seeds(seed, len(rows))
    generation = _decode(chosen, readers, rows, seeds, asked, target, follow)
    ran = ", ".join((f"decoder {decoder if isinstance(decoder, str) else type(decoder).__name__}",
                     *(f"{role} {each.ran}" for role, each in zip(("target", "draft"), readers, strict=False))))  # fmt: skip
    texts = target if target.has_tokenizer else None
    return [_result(generation, row, asked, texts, ran) for row in range(len(rows))]


def _decoder(decoder: str | DecoderSpec, draft: Model | None) -> DecoderSpec:
    """The spec of a decoder.

    Raises: RunError if there is none of that name, or a draft is missing or one too many.
    """
    if isinstance(decoder, str):
        try:
            spec: Any = discover().find("decoder", decoder).spec()
        except NotInstalled as error:
            raise RunError(f"generate: {error.args[0]}") from error
    else:
        spec = decoder
    if spec.drafts and draft is None:
        raise RunError(f"generate: expected draft=..., as {decoder!r} drafts with a second model; 'lookup' needs none")
    if draft is not None and not spec.drafts:
        raise RunError(f"generate: expected no draft, as {decoder!r} does not use one; decoder='sd' does")
    return spec  # type: ignore[no-any-return]


def _decode(
    decoder: DecoderSpec, readers: Sequence[Reader], rows: Sequence[list[int]], seeds: torch.Tensor, asked: Settings,
    target: Model, follow: Callable[[int, Sequence[int]], None] | None,
) -> Generation:  # fmt: skip
    """Decodes a ragged batch."""
    widest = max(map(len, rows))
    device = readers[0].prior.embedding.weight.device  # type: ignore[attr-defined]
    prompt = torch.tensor([[*row, *[-1] * (widest - len(row))] for row in rows], device=device)
    steps = processes(asked, [len(row) for row in rows], target.tokenizer if asked.strings else None)
    priors = [reader.prior for reader in readers]
    if follow is not None or any(steps):
        hooks = (follow, None)
        priors = [Processed(prior, steps, follow=hook) for prior, hook in zip(priors, hooks, strict=False)]
    request = Request(prompt, asked.limits, asked.sampling, seeds=seeds.to(device))
    with torch.inference_mode():
        return decoder.build().generate(priors[0], request, draft=priors[1] if priors[1:] else None)


def _result(generation: Generation, row: int, asked: Settings, target: Model | None, ran: str) -> Result:
    """One row's result; what was emitted to end it behind a stop string is left out."""
    ids = [x for x in generation.ids[row].tolist() if x >= 0]
    tokenizer = None if target is None else target.tokenizer
    if asked.strings and (end := stop_at(tokenizer, ids, asked.strings)) is not None:
        ids = ids[:end]
    return Result(
        ids=ids,
        text=None if tokenizer is None else tokenizer.decode(ids, skip_special_tokens=True),
        accepted=[x for x in generation.accepted[row].tolist() if x >= 0],
        proposed=int(generation.proposed[row]),
        draft_calls=int(generation.draft_calls[row]),
        seconds=generation.seconds,
        ran=ran,
    )


def _seeds(seed: int | Sequence[int], rows: int) -> torch.Tensor:
    seeds = [seed] * rows if isinstance(seed, int) else list(seed)
    if len(seeds) != rows or not all(type(x) is int and -(2**63) <= x < 2**63 for x in seeds):
        raise RunError(f"generate: seed: expected an integer, or one for each of {rows} prompts, got {seed!r:.80}")
    return torch.tensor(seeds)

"""Text in and out: prompts are decoded by any decoder from the distribution that transformers would sample.

Axes: b batch, n ids of a sample, s target calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import torch
from jaxtyping import Int
from torch import Tensor

from crt_hf.heads.config import is_head
from crt_hf.heads.readers import readers_with_head
from crt_hf.kept import Kept
from crt_hf.model import Model, Reader
from crt_hf.processed import Follow, Processed
from crt_hf.processors import processes
from crt_hf.prompts import Prompt, as_ids
from crt_hf.settings import Settings, settings
from crt_hf.stop_strings import stop_at, until_stop
from crt_verify.lookup.spec import Lookup, Suffix
from crtcore.errors import RunError
from crtcore.kinds import DecoderSpec, Generation, Prior, Request
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
    logprobs: list[float] | None
    """Log-probability of each id by the model alone, in nats: before processors, temperature and filters."""
    notes: tuple[str, ...]
    """What the decoder says of the batch, such as the cost of steps that it drafted by."""

    @property
    def calls(self) -> int:
        """Calls of the target."""
        return len(self.accepted)


def generate(
    model: Any, prompts: Sequence[Prompt], *, decoder: str | DecoderSpec = "lookup", draft: Any = None,
    tokenizer: Any = None, seed: int | Sequence[int] = 0, follow: Follow | None = None, logprobs: bool = False,
    **generation_kwargs: Any,
) -> list[Result]:  # fmt: skip
    """One result for each prompt: a text, a chat (messages with role and content), or ids.

    `decoder` is a spec, or a name; by name, `lookup` and `suffix` draft as much as pays by the cost of a step, which is
    measured once a model and machine, in seconds.
    `model` and `draft` are folders, models of transformers or `Model`s; a draft of another vocabulary drafts the tokens
    that both have, and a draft's folder may hold an EAGLE-3 head in the layout of speculators. Keywords are those of
    transformers' `generate`, and those of the folder's generation config hold where they are not given. A prompt's ids
    depend on its own seed, which is `seed`, or one of as many, and not on its neighbours. `follow` is called with the
    place of a prompt and the ids that are committed, as they come; the last ones come with the result alone. `logprobs`
    takes one more pass, of the prompts and the new ids.
    Raises: RunError with the name of what is unknown or cannot be kept exact.
    """
    made = prepared(model, prompts, decoder, draft, tokenizer, generation_kwargs)
    asked, rows = made.asked, made.rows
    if not rows:
        return []
    priors = _processed(made, follow)
    device = made.readers[0].device
    widest = max(map(len, rows))
    prompt = torch.tensor([[*row, *[-1] * (widest - len(row))] for row in rows], device=device)
    request = Request(prompt, asked.limits, asked.sampling, seeds=_seeds(seed, len(rows)).to(device))
    with torch.inference_mode():
        generation = made.spec.build().generate(priors[0], request, draft=priors[1] if priors[1:] else None)
    results = [_result(generation, row, made) for row in range(len(rows))]
    if not logprobs:
        return results
    scores = _logprobs(made.readers[0].prior, prompt, [result.ids for result in results])
    return [result._replace(logprobs=own) for result, own in zip(results, scores, strict=True)]


class Prepared(NamedTuple):
    """A request, before it is decoded."""

    spec: DecoderSpec
    name: str
    """The decoder's."""
    asked: Settings
    readers: list[Reader]
    """The target's, and the draft's if there is one."""
    rows: list[list[int]]
    """The ids of each prompt."""
    texts: Any
    """The tokenizer, if there is one."""

    @property
    def reading(self) -> Any:
        """The tokenizer, where decoding needs it."""
        return self.texts if self.asked.reads_text else None

    @property
    def kept(self) -> tuple[str, ...]:
        """How much of the prompt was not read again, where the model keeps its last session."""
        prior = self.readers[0].prior
        if not isinstance(prior, Kept):
            return ()
        return (f"{prior.reused} of the prompt's {sum(map(len, self.rows))} ids were kept from the last one",)

    @property
    def ran(self) -> str:
        """The decoder, and what runs target and draft."""
        return ", ".join((f"decoder {self.name}", *(f"{each.role} {each.ran}" for each in self.readers)))


def prepared(
    model: Any, prompts: Sequence[Prompt], decoder: str | DecoderSpec, draft: Any, tokenizer: Any,
    generation_kwargs: Mapping[str, Any],
) -> Prepared:  # fmt: skip
    """Checks and reads everything that `generate` is called with.

    Raises: RunError as `generate` does.
    """
    target = model if isinstance(model, Model) else Model(model, tokenizer=tokenizer)
    head = Path(draft) if isinstance(draft, str | Path) and is_head(Path(draft)) else None
    helper = draft if head or draft is None or isinstance(draft, Model) else Model(draft)
    asked = settings(generation_kwargs, target.defaults)
    if isinstance(prompts, str) or not isinstance(prompts, Sequence):
        raise RunError("generate: expected a list of prompts, got one; put it in a list")
    vocabulary = target.config.vocab_size
    asked = attrs.evolve(asked, stop=tuple(x for x in asked.stop if 0 <= x < vocabulary))  # others never come
    rows = [as_ids(each, vocabulary, lambda: target.tokenizer, f"prompt {i}") for i, each in enumerate(prompts)]
    spec = _decoder(decoder, helper)
    if head is not None:
        readers = readers_with_head(target, head)
    else:
        readers = [target.reader("target"), *([helper.drafting_for(target)] if helper else [])]
    name = decoder if isinstance(decoder, str) else type(decoder).__name__
    texts = target.tokenizer if asked.reads_text or target.has_tokenizer else None
    return Prepared(spec, name, asked, readers, rows, texts)


def _decoder(decoder: str | DecoderSpec, draft: Model | Path | str | None) -> DecoderSpec:
    """The spec of a decoder.

    Raises: RunError if there is none of that name, or a draft is missing or one too many.
    """
    if isinstance(decoder, str):
        try:
            kind: Any = discover().find("decoder", decoder).spec
            spec = kind(shape="cost") if kind in (Lookup, Suffix) else kind()
        except NotInstalled as error:
            raise RunError(f"generate: {error.args[0]}") from error
    else:
        spec = decoder
    if spec.drafts and draft is None:
        raise RunError(f"generate: expected draft=..., as {decoder!r} drafts with a second model; 'lookup' needs none")
    if draft is not None and not spec.drafts:
        raise RunError(f"generate: expected no draft, as {decoder!r} does not use one; decoder='sd' does")
    return spec  # type: ignore[no-any-return]


def _processed(made: Prepared, follow: Follow | None) -> list[Prior]:
    """The priors, behind processors if there are any; the target's ids are followed.

    Raises: RunError if a row would not fit a model's positions.
    """
    asked, readers, rows = made.asked, made.readers, made.rows
    widest = max(map(len, rows))
    for reader in readers:
        most = reader.prior.longest
        if most is not None and widest + asked.length > most:
            raise RunError(
                f"generate: max_new_tokens: expected at most {most - widest}, as the {reader.role} has positions for "
                f"{most} ids and the longest prompt has {widest}, got {asked.length}"
            )
    if follow is not None and asked.strings:
        follow = until_stop(follow, made.texts, rows, asked.strings)
    target = readers[0]
    steps = processes(asked, [len(row) for row in rows], made.reading, target.prior.vocabulary, target.device)
    if follow is None and not any(steps):
        return [reader.prior for reader in readers]
    return [
        Processed(each.prior, steps, follow=follow if each.role == "target" else None, drafts=each.role == "draft")
        for each in readers
    ]


def _result(generation: Generation, row: int, made: Prepared) -> Result:
    """One row's result; what was emitted to end it behind a stop string is left out."""
    ids = [x for x in generation.ids[row].tolist() if x >= 0]
    strings = made.asked.strings
    if strings and (end := stop_at(made.texts, made.rows[row], ids, strings)) is not None:
        ids = ids[:end]
    return Result(
        ids=ids,
        text=None if made.texts is None else made.texts.decode(ids, skip_special_tokens=True),
        accepted=[x for x in generation.accepted[row].tolist() if x >= 0],
        proposed=int(generation.proposed[row]),
        draft_calls=int(generation.draft_calls[row]),
        seconds=generation.seconds,
        ran=made.ran,
        logprobs=None,
        notes=(*generation.notes, *made.kept),
    )


@torch.inference_mode()
def _logprobs(prior: Prior, prompt: Int[Tensor, "b n"], new: Sequence[list[int]]) -> list[list[float]]:
    """The log-probability of each new id of each row, given those before it."""
    widest = max(map(len, new))
    ids = torch.tensor([[*row, *[-1] * (widest - len(row))] for row in new], device=prompt.device)
    session = prior.open(prompt, capacity=prompt.shape[1] + widest, room=widest)
    logits = torch.cat((session.next_logits[:, None], session.extend(ids)[:, :-1]), 1)  # b m v
    scores = logits.float().log_softmax(-1).gather(2, ids.clamp(min=0)[..., None])[..., 0]
    return [own[: len(row)] for own, row in zip(scores.tolist(), new, strict=True)]


def _seeds(seed: int | Sequence[int], rows: int) -> Int[Tensor, " b"]:
    seeds = [seed] * rows if isinstance(seed, int) else list(seed)
    if len(seeds) != rows or not all(type(x) is int and -(2**63) <= x < 2**63 for x in seeds):
        raise RunError(f"generate: seed: expected an integer, or one for each of {rows} prompts, got {seed!r:.80}")
    return torch.tensor(seeds)

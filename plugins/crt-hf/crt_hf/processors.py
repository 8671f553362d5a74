"""The processors of a request: those of transformers in its order, and a few that it has not.

Axes: m paths, n ids of a path, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.generation import logits_process as theirs

from crt_hf.processed import Process
from crt_hf.settings import REFUSED_PROCESSORS, Settings
from crtcore.errors import RunError


class Penalties:
    """Lowers the logits of ids that were emitted: `frequency` each time, `presence` once; the prompt does not count.

    Source: OpenAI's API reference, as vLLM's `SamplingParams` has them.
    """

    def __init__(self, prompt: int, *, presence: float, frequency: float) -> None:
        self.prompt, self.presence, self.frequency = prompt, presence, frequency

    def __call__(self, ids: Int[Tensor, "m n"], logits: Float[Tensor, "m v"]) -> Float[Tensor, "m v"]:
        """Returns lowered logits."""
        emitted = ids[:, self.prompt :]
        counts = torch.zeros_like(logits).scatter_add_(1, emitted, torch.ones_like(emitted, dtype=logits.dtype))
        return logits - self.frequency * counts - self.presence * (counts > 0)


class Bias:
    """Adds a number to the logits of single ids."""

    def __init__(self, bias: Mapping[int, float]) -> None:
        self.bias = bias

    def __call__(self, ids: Int[Tensor, "m n"], logits: Float[Tensor, "m v"]) -> Float[Tensor, "m v"]:
        """Returns biased logits."""
        places = torch.tensor(list(self.bias), device=logits.device)
        return logits.index_add(1, places, logits.new_tensor(list(self.bias.values())).expand(len(logits), -1))


class Stopping:
    """Allows an end alone once the text of the emitted ids has a stop string, so that the row ends there."""

    def __init__(self, tokenizer: Any, strings: Sequence[str], prompt: int, end: int) -> None:
        self.tokenizer, self.strings, self.prompt, self.end = tokenizer, strings, prompt, end

    def __call__(self, ids: Int[Tensor, "m n"], logits: Float[Tensor, "m v"]) -> Float[Tensor, "m v"]:
        """Returns logits of -inf for all ids but the end, where a path has a stop string."""
        ended = [stop_at(self.tokenizer, each, self.strings) is not None for each in ids[:, self.prompt :].tolist()]
        others = torch.arange(logits.shape[1], device=logits.device) != self.end
        return logits.masked_fill(torch.tensor(ended, device=logits.device)[:, None] & others, -torch.inf)


def stop_at(tokenizer: Any, ids: Sequence[int], strings: Sequence[str]) -> int | None:
    """The number of ids after which their text first has a stop string; None: it has none."""
    if not any(string in tokenizer.decode(ids) for string in strings):
        return None
    return next(n for n in range(1, len(ids) + 1) if any(each in tokenizer.decode(ids[:n]) for each in strings))


def processes(settings: Settings, prompts: Sequence[int], tokenizer: Any = None) -> list[Process | None]:
    """What the logits of each row pass through, which depends on the number of ids in its prompt.

    Raises: RunError if a processor is one whose rows depend on more than their path.
    """
    for each in settings.processors:
        if (name := type(each).__name__) in REFUSED_PROCESSORS:
            raise RunError(f"generate: logits_processor: expected one of a path and its logits alone, got {name}")
    return [_chain(_processors(settings, prompt, tokenizer)) for prompt in prompts]


def _chain(parts: Sequence[Process]) -> Process | None:
    def process(ids: Tensor, logits: Tensor) -> Tensor:
        for part in parts:
            logits = part(ids, logits)
        return logits

    return process if parts else None


def _processors(settings: Settings, prompt: int, tokenizer: Any) -> list[Process]:
    """The processors of one row, in the order of transformers.

    Source: huggingface/transformers, generation/utils.py, `_get_logits_processor`.
    """
    get, stop = settings.values.get, list(settings.stop)
    made: list[Process] = []
    if get("sequence_bias"):
        made.append(theirs.SequenceBiasLogitsProcessor(sequence_bias=get("sequence_bias")))
    if get("repetition_penalty", 1.0) != 1.0:
        made.append(theirs.RepetitionPenaltyLogitsProcessor(penalty=float(get("repetition_penalty"))))
    if get("no_repeat_ngram_size"):
        made.append(theirs.NoRepeatNGramLogitsProcessor(get("no_repeat_ngram_size")))
    if get("bad_words_ids"):
        made.append(theirs.NoBadWordsLogitsProcessor(get("bad_words_ids"), stop))
    if get("min_length") and stop:
        made.append(theirs.MinLengthLogitsProcessor(get("min_length"), stop))
    if get("min_new_tokens") and stop:
        made.append(theirs.MinNewTokensLengthLogitsProcessor(prompt, get("min_new_tokens"), stop))
    if get("forced_eos_token_id") is not None:
        made.append(theirs.ForcedEOSTokenLogitsProcessor(prompt + settings.length, get("forced_eos_token_id")))
    if get("remove_invalid_values"):
        made.append(theirs.InfNanRemoveLogitsProcessor())
    if get("exponential_decay_length_penalty") and stop:
        made.append(theirs.ExponentialDecayLengthPenalty(get("exponential_decay_length_penalty"), stop, prompt))
    if get("suppress_tokens"):
        made.append(theirs.SuppressTokensLogitsProcessor(get("suppress_tokens")))
    if get("begin_suppress_tokens"):
        made.append(theirs.SuppressTokensAtBeginLogitsProcessor(get("begin_suppress_tokens"), prompt))
    if get("presence_penalty") or get("frequency_penalty"):
        presence, frequency = get("presence_penalty", 0.0), get("frequency_penalty", 0.0)
        made.append(Penalties(prompt, presence=presence, frequency=frequency))
    if get("logit_bias"):
        made.append(Bias(get("logit_bias")))
    made += settings.processors
    made += [theirs_of(name, value) for name, value in settings.warpers]
    if settings.strings and stop:
        made.append(Stopping(tokenizer, settings.strings, prompt, stop[0]))
    return made


def theirs_of(name: str, value: Any) -> Process:
    """The warper of transformers that a name stands for."""
    kind = {
        "temperature": theirs.TemperatureLogitsWarper, "top_h": theirs.TopHLogitsWarper,
        "top_k": theirs.TopKLogitsWarper, "top_p": theirs.TopPLogitsWarper, "min_p": theirs.MinPLogitsWarper,
        "typical_p": theirs.TypicalLogitsWarper, "epsilon_cutoff": theirs.EpsilonLogitsWarper,
        "eta_cutoff": theirs.EtaLogitsWarper,
    }[name]  # fmt: skip
    made: Process = kind(value)
    return made

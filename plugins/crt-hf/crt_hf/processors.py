"""The processors of a request: those of transformers in its order, and a few that it has not.

Axes: m paths, n ids of a path, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.generation import logits_process as theirs

from crt_hf.grammar import Grammar
from crt_hf.processed import Process
from crt_hf.settings import GRAMMARS, REFUSED_PROCESSORS, Settings
from crt_hf.stop_strings import stop_at
from crtcore.errors import RunError, in_one_line

WARPERS: dict[str, Callable[[Any], Process]] = {
    "temperature": theirs.TemperatureLogitsWarper,
    "top_h": theirs.TopHLogitsWarper,
    "top_k": theirs.TopKLogitsWarper,
    "top_p": theirs.TopPLogitsWarper,
    "min_p": theirs.MinPLogitsWarper,
    "typical_p": theirs.TypicalLogitsWarper,
    "epsilon_cutoff": theirs.EpsilonLogitsWarper,
    "eta_cutoff": theirs.EtaLogitsWarper,
}
IDLE = {
    "repetition_penalty": 1,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "min_new_tokens": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
"""Values with which a processor does nothing."""
ENDLESS = ("min_length", "min_new_tokens", "exponential_decay_length_penalty")
"""Processors of the ids that end a row, which a model without any has not."""


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
    """Allows an end alone once an emitted id completes a stop string in the text, so that the row ends there."""

    def __init__(self, tokenizer: Any, strings: Sequence[str], prompt: int, end: int) -> None:
        self.tokenizer, self.strings, self.prompt, self.end = tokenizer, strings, prompt, end

    def __call__(self, ids: Int[Tensor, "m n"], logits: Float[Tensor, "m v"]) -> Float[Tensor, "m v"]:
        """Returns logits of -inf for all ids but the end, where a path has a stop string.

        That of the end is 0 there, as what is processed before, such as `top_k` or a least length, may exclude it.
        """
        rows = [(each[: self.prompt], each[self.prompt :]) for each in ids.tolist()]
        stopped = [stop_at(self.tokenizer, prompt, new, self.strings) is not None for prompt, new in rows]
        ended = torch.tensor(stopped, device=logits.device)[:, None]
        is_end = torch.arange(logits.shape[1], device=logits.device) == self.end
        return logits.masked_fill(ended & ~is_end, -torch.inf).masked_fill(ended & is_end, 0)


def processes(
    settings: Settings, prompts: Sequence[int], tokenizer: Any = None, vocabulary: int = 0,
    device: torch.device | str = "cpu",
) -> list[Process | None]:  # fmt: skip
    """What the logits of each row, on `device`, pass through, which depends on the number of ids in its prompt.

    Those that read text need the tokenizer and the size of the vocabulary.

    Raises: RunError as `check_processors` does.
    """
    check_processors(settings.processors)
    grammar = None
    if any(name in settings.values for name in GRAMMARS):
        grammar = Grammar(tokenizer, vocabulary, settings.stop, settings.values)
    return [_chain(processors(settings, prompt, tokenizer, grammar, device)) for prompt in prompts]


def check_processors(processors: Sequence[Any]) -> None:
    """Nothing, if processors of transformers are functions of a path and its logits alone; a caller's own are trusted.

    Raises: RunError with the name of one that is not.
    """
    for each in processors:
        if (name := type(each).__name__) in REFUSED_PROCESSORS:
            raise RunError(f"generate: logits_processor: expected one of a path and its logits alone, got {name}")


def _chain(parts: Sequence[Process]) -> Process | None:
    def process(ids: Tensor, logits: Tensor) -> Tensor:
        for part in parts:
            try:
                logits = part(ids, logits)
            except (ValueError, IndexError, RuntimeError) as error:  # of ids that the vocabulary has not, for example
                raise RunError(f"generate: {type(part).__name__}: {in_one_line(error):.300}") from error
        return logits

    return process if parts else None


def warped(warpers: Sequence[tuple[str, Any]]) -> Process | None:
    """What logits pass through by warpers alone, which are names and values."""
    return _chain(_warpers(warpers))


def _warpers(warpers: Sequence[tuple[str, Any]]) -> list[Process]:
    return [_made(name, WARPERS[name], value) for name, value in warpers]


def processors(
    settings: Settings, prompt: int, tokenizer: Any, grammar: Grammar | None, device: torch.device | str = "cpu"
) -> list[Process]:
    """The processors of one row, in the order of transformers, for logits on `device`.

    Source: huggingface/transformers, generation/utils.py, `_get_logits_processor`.
    """
    values, stop = settings.values, list(settings.stop)
    ends = torch.tensor(stop, dtype=torch.int64, device=device)  # compared with ids there, and not moved by processors
    presence, frequency = values.get("presence_penalty", 0.0), values.get("frequency_penalty", 0.0)
    makers: dict[str, Callable[[Any], Process]] = {
        "sequence_bias": theirs.SequenceBiasLogitsProcessor,
        "repetition_penalty": lambda value: theirs.RepetitionPenaltyLogitsProcessor(float(value)),
        "no_repeat_ngram_size": theirs.NoRepeatNGramLogitsProcessor,
        "bad_words_ids": lambda value: theirs.NoBadWordsLogitsProcessor(value, stop),
        "min_length": lambda value: theirs.MinLengthLogitsProcessor(value, ends),
        "min_new_tokens": lambda value: theirs.MinNewTokensLengthLogitsProcessor(prompt, value, ends),
        "forced_eos_token_id": lambda value: theirs.ForcedEOSTokenLogitsProcessor(prompt + settings.length, value),
        "remove_invalid_values": lambda _: theirs.InfNanRemoveLogitsProcessor(),
        "exponential_decay_length_penalty": lambda value: theirs.ExponentialDecayLengthPenalty(value, stop, prompt),
        "suppress_tokens": theirs.SuppressTokensLogitsProcessor,
        "begin_suppress_tokens": lambda value: theirs.SuppressTokensAtBeginLogitsProcessor(value, prompt),
        "presence_penalty": lambda _: Penalties(prompt, presence=presence, frequency=frequency),
        "frequency_penalty": lambda _: Penalties(prompt, presence=presence, frequency=frequency),
        "logit_bias": Bias,
    }
    names = [name for name in makers if _acts(name, values.get(name))]
    if "presence_penalty" in names and "frequency_penalty" in names:
        names.remove("frequency_penalty")
    if not stop:
        names = [name for name in names if name not in ENDLESS]
    made = [_made(name, makers[name], values[name]) for name in names]
    made += [*settings.processors, *([grammar.matching(prompt)] if grammar else [])]
    made += _warpers(settings.warpers)
    if settings.strings and stop:
        made.append(Stopping(tokenizer, settings.strings, prompt, stop[0]))
    return made


def _acts(name: str, value: Any) -> bool:
    """Whether a processor does anything with this value; an id of 0 is a value as any other."""
    return value is not None and value is not False and value not in ([], (), {}) and value != IDLE.get(name)


def _made(name: str, maker: Callable[[Any], Process], value: Any) -> Process:
    try:
        return maker(value)
    except (ValueError, TypeError) as error:  # as processors of transformers refuse a value
        raise RunError(f"generate: {name}: {in_one_line(error):.300}") from error

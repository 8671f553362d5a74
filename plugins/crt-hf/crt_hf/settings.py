"""What a request asks for, under the names of transformers; what is not exact is refused by name. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crt_hf.families import ids
from crtcore.errors import RunError, nearest
from crtcore.settings import Limits, Sampling

LENGTH = 20
"""New ids where no number is set, as in transformers."""
TOP_K = 50
"""`top_k` of sampling where none is set, as in transformers."""
WARPERS = ("temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
"""What shapes the distribution of sampling, in the order of transformers."""
OFF: dict[str, tuple[Any, ...]] = {
    "temperature": (1.0,), "top_k": (0,), "top_p": (1.0,), "min_p": (0.0,), "top_h": (), "typical_p": (1.0,),
    "epsilon_cutoff": (0.0,), "eta_cutoff": (0.0,),
}  # fmt: skip
"""Values with which a warper does nothing, beside None."""
GRAMMARS = ("json_schema", "grammar")
"""Names of what a text has to fit."""
KNOWN = (
    "max_new_tokens", "do_sample", *WARPERS, "repetition_penalty", "no_repeat_ngram_size", "bad_words_ids",
    "sequence_bias", "min_length", "min_new_tokens", "suppress_tokens", "begin_suppress_tokens", "forced_eos_token_id",
    "exponential_decay_length_penalty", "remove_invalid_values", "eos_token_id", "stop_strings", "logits_processor",
    "presence_penalty", "frequency_penalty", "logit_bias", *GRAMMARS,
)  # fmt: skip
"""Names that are honoured; the penalties and `logit_bias` are those of OpenAI and vLLM."""
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "num_beams": (1,), "num_return_sequences": (1,), "use_cache": (True,), "early_stopping": (False,),
    "length_penalty": (1.0,), "num_beam_groups": (1,), "diversity_penalty": (0.0,), "guidance_scale": (1, 1.0),
    "encoder_repetition_penalty": (1.0,), "encoder_no_repeat_ngram_size": (0,), "penalty_alpha": (0.0,),
    "token_healing": (False,), "output_scores": (False,), "output_logits": (False,), "output_attentions": (False,),
    "output_hidden_states": (False,), "return_dict_in_generate": (False,), "renormalize_logits": (True, False),
    "low_memory": (False,), "is_assistant": (False,), "use_mtp": (False,),
}  # fmt: skip
"""Values of other names with which generation is what it is here, beside None."""
UNUSED = (
    "bos_token_id", "pad_token_id", "decoder_start_token_id", "transformers_version", "num_assistant_tokens",
    "num_assistant_tokens_schedule", "assistant_confidence_threshold", "assistant_lookbehind", "target_lookbehind",
    "max_matching_ngram_size", "disable_compile", "assistant_ensemble_weight", "cache_implementation", "cache_config",
    "max_cache_len", "prefill_chunk_size", "compile_config",
)  # fmt: skip
"""Names in a folder that no result here depends on."""
REFUSED_PROCESSORS = (
    "AlternatingCodebooksLogitsProcessor", "BarkEosPrioritizerLogitsProcessor", "ClassifierFreeGuidanceLogitsProcessor",
    "DiaClassifierFreeGuidanceLogitsProcessor", "DiaEOSChannelFilterLogitsProcessor",
    "DiaEOSDelayPatternLogitsProcessor", "EncoderNoRepeatNGramLogitsProcessor",
    "EncoderRepetitionPenaltyLogitsProcessor", "PrefixConstrainedLogitsProcessor",
    "SynthIDTextWatermarkLogitsProcessor", "UnbatchedClassifierFreeGuidanceLogitsProcessor", "WhisperNoSpeechDetection",
    "WhisperTimeStampLogitsProcessor",
)  # fmt: skip
"""Processors of transformers that keep a state between calls, or depend on the place in a batch."""


@attrs.frozen
class Settings:
    """A request's settings."""

    values: Mapping[str, Any]
    """What is set, by its name in transformers."""
    length: int
    """New ids at most."""
    stop: tuple[int, ...]
    """Ids after which a row ends."""
    strings: tuple[str, ...]
    """Texts after which a row ends."""
    sampling: Sampling
    """How ids are drawn from processed logits."""
    warpers: tuple[tuple[str, Any], ...]
    """What of transformers shapes the distribution before `sampling`."""
    processors: tuple[Any, ...]
    """The caller's own processors."""

    @property
    def reads_text(self) -> bool:
        """Whether decoding needs a tokenizer."""
        return bool(self.strings) or any(name in self.values for name in GRAMMARS)

    @property
    def limits(self) -> Limits:
        """When a row ends."""
        return Limits(length=self.length, stop=self.stop)


def settings(kwargs: Mapping[str, Any], folder: Mapping[str, Any]) -> Settings:
    """Reads keywords, which come before the generation config of a folder.

    Raises: RunError with the name of what is unknown, or not exact here.
    """
    for name, value in kwargs.items():
        _check(name, value)
    kept = {name: value for name, value in folder.items() if name not in kwargs and value is not None}
    for name, value in kept.items():
        if (
            name not in UNUSED
            and not name.startswith("_")
            and not (name == "max_length" and "max_new_tokens" in kwargs)
        ):
            _check(name, value, "generation_config.json: ")
    values = {name: value for name, value in {**kept, **kwargs}.items() if name in KNOWN and value is not None}
    length = values.get("max_new_tokens", LENGTH)
    if type(length) is not int or length < 1:
        raise RunError(f"generate: max_new_tokens: expected an integer of at least 1, got {length!r:.80}")
    sampling, warpers = _sampling(values)
    strings = values.get("stop_strings", ())
    strings = (strings,) if isinstance(strings, str) else tuple(strings)
    if not all(isinstance(each, str) and each for each in strings):
        raise RunError(f"generate: stop_strings: expected texts, got {strings!r:.80}")
    processors = values.get("logits_processor", ())
    processors = tuple(processors) if isinstance(processors, Sequence) else (processors,)
    return Settings(values, length, ids(values.get("eos_token_id")), strings, sampling, warpers, processors)


def _check(name: str, value: Any, where: str = "") -> None:
    if name in KNOWN or value is None or value in NEUTRAL.get(name, ()):
        return
    if name in NEUTRAL:
        raise RunError(f"generate: {where}{name}: expected {NEUTRAL[name][0]!r}, as decoding here draws id by id from "
                       f"one distribution, got {value!r:.80}; use transformers for it")  # fmt: skip
    if name == "max_length":
        raise RunError(f"generate: {where}max_length: it counts the prompt; give max_new_tokens")
    raise RunError(f"generate: {where}{name}: not supported here{nearest(name, [*KNOWN, *NEUTRAL])}")


def _sampling(values: Mapping[str, Any]) -> tuple[Sampling, tuple[tuple[str, Any], ...]]:
    """How ids are drawn, and by which warpers before.

    In transformers each filter reads what those before it have left, in `Sampling` all read the whole distribution. So
    `top_k` is a warper beside `top_p`, and all are where one is asked for that `Sampling` has not.
    """
    if not values.get("do_sample", False):
        return Sampling(temperature=0), ()
    asked = {name: values.get(name, TOP_K if name == "top_k" else None) for name in WARPERS}
    asked = {name: value for name, value in asked.items() if value is not None and value not in OFF[name]}
    _check_numbers(asked)
    if asked.keys() & {"top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"}:
        return Sampling(), tuple(asked.items())
    first = {"top_k": asked.pop("top_k")} if {"top_k", "top_p"} <= asked.keys() else {}
    return Sampling(**asked), tuple(first.items())


def _check_numbers(asked: Mapping[str, Any]) -> None:
    for name, value in asked.items():
        whole = name == "top_k"
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool) and value > 0
        if not fits or (not whole and name != "temperature" and value > 1):
            most = (
                "an integer of at least 1"
                if whole
                else "a number above 0" + ("" if name == "temperature" else ", at most 1")
            )
            raise RunError(f"generate: {name}: expected {most}, got {value!r:.80}; do_sample=False takes the likeliest")

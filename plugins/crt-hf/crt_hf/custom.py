"""`model.generate(..., custom_generate=crt_hf.custom_generate)` of transformers.

Axes: b batch, n ids of a prompt, padding included, m new ids.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers.generation.logits_process import LogitsProcessorList, RepetitionPenaltyLogitsProcessor

from crt_hf.network import LanguageModel
from crt_hf.processed import Processed
from crt_hf.processors import check_processors
from crt_verify.lookup.spec import Lookup
from crtcore.errors import RunError
from crtcore.kinds import Request
from crtcore.settings import Limits, Sampling

CRITERIA = ("EosTokenCriteria", "MaxLengthCriteria")
"""Stopping criteria that are honoured."""
UNSUPPORTED = (
    "return_dict_in_generate", "output_scores", "output_logits",
    "penalty_alpha", "dola_layers", "constraints", "force_words_ids",
)  # fmt: skip
"""Settings that ask for other outputs or another way of decoding; transformers leaves both to this function."""


def custom_generate(
    model: Any, input_ids: Int[Tensor, "b n"], *, logits_processor: Any, stopping_criteria: Any, generation_config: Any,
    **model_kwargs: Any,
) -> Int[Tensor, "b n+m"]:  # fmt: skip
    """Prompts and new ids, as transformers' own decoding returns them, by `lookup`.

    The processors that transformers has prepared see prompts with their padding, as they do there. Rows have seeds that
    torch's own generator draws, so that `torch.manual_seed` sets them.
    Raises: RunError with the name of what is not exact here.
    """
    if odd := [type(each).__name__ for each in stopping_criteria if type(each).__name__ not in CRITERIA]:
        raise RunError(f"custom_generate: stopping_criteria: not supported here: {', '.join(odd)}")
    for name in UNSUPPORTED:
        if getattr(generation_config, name, None):
            raise RunError(f"custom_generate: {name}: not supported here")
    if (beams := generation_config.num_beams or 1) > 1:
        raise RunError(f"custom_generate: num_beams: expected 1, got {beams}")
    attention_mask: Tensor | None = model_kwargs.get("attention_mask")
    check_processors(logits_processor)
    present = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask > 0
    counts, width = present.sum(1), input_ids.shape[1]
    if counts.amin() < 1 or (present[:, :-1] & ~present[:, 1:]).any():
        raise RunError("custom_generate: attention_mask: expected padding at the left, before at least one id")
    places = torch.arange(width, device=input_ids.device) + (width - counts)[:, None]
    prompt = input_ids.gather(1, places.clamp(max=width - 1)).where(places < width, -1)
    before = [row[: width - count] for row, count in zip(input_ids.tolist(), counts.tolist(), strict=True)]
    stop = generation_config._eos_token_tensor
    ends = () if stop is None else tuple(stop.tolist())
    sampling = Sampling() if generation_config.do_sample else Sampling(temperature=0)
    steps = [_of_row(logits_processor, row) if len(logits_processor) else None for row in range(len(prompt))]
    prior = Processed(LanguageModel(model, start=None), steps, before=before)
    seeds = torch.randint(2**62, (len(prompt),))
    limits = Limits(length=generation_config.max_length - width, stop=ends)
    request = Request(prompt, limits, sampling, seeds=seeds.to(prompt.device))
    with torch.inference_mode():
        new = Lookup(shape="cost").build().generate(prior, request).ids
    new = new[:, : int((new >= 0).sum(1).amax())]
    pad = generation_config._pad_token_tensor
    return torch.cat((input_ids, new.where(new >= 0, 0 if pad is None else int(pad))), 1)


def _of_row(processors: Any, row: int) -> Any:
    """The processors of one row: a repetition penalty that leaves out each row's padding holds its length for all."""
    return LogitsProcessorList([_alone(each, row) for each in processors])


def _alone(processor: Any, row: int) -> Any:
    ignored = getattr(processor, "prompt_ignore_length", None)
    if not isinstance(ignored, Tensor):
        return processor
    return RepetitionPenaltyLogitsProcessor(processor.penalty, prompt_ignore_length=int(ignored[row]))

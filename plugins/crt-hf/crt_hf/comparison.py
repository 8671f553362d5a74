"""The same prompts by transformers' plain generation: speed, and whether the ids are equal.

Axes: n ids of a prompt, v vocabulary.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from crt_hf.folder import read_model
from crt_hf.generation import Result
from crt_hf.model import Model
from crt_hf.prompts import Prompt, as_ids
from crtcore.errors import RunError

WIDE = 80
"""Columns of a line on a terminal."""


def compare(
    target: Model, dtype: str, prompts: Sequence[Prompt], results: Sequence[Result], keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """Decodes each prompt alone by `model.generate`, and compares.

    Raises: RunError if the model is not in a folder.
    """
    if target.folder is None:
        raise RunError("compare: expected a folder, got a model")
    model = read_model(target.folder, dtype)
    keywords = {**keywords, **({"tokenizer": target.tokenizer} if "stop_strings" in keywords else {})}
    rows, seconds, ids = [], 0.0, 0
    for place, (prompt, result) in enumerate(zip(prompts, results, strict=True)):
        row = torch.tensor([as_ids(prompt, target.config.vocab_size, lambda: target.tokenizer, f"prompt {place}")])
        began = time.perf_counter()
        theirs = model.generate(row, attention_mask=torch.ones_like(row), **keywords)[0, row.shape[1] :].tolist()
        seconds, ids = seconds + time.perf_counter() - began, ids + len(theirs)
        if not keywords["do_sample"]:
            rows.append(_difference(model, row, theirs, result.ids))
    own = sum(len(result.ids) for result in results)
    return {
        "tokens_per_second": own / results[0].seconds,
        "transformers_tokens_per_second": ids / seconds,
        **acceptance(results),
        "ids_equal": None if keywords["do_sample"] else all(each is None for each in rows),
        "first_differences": [{"prompt": place, **each} for place, each in enumerate(rows) if each],
    }


def acceptance(results: Sequence[Result]) -> dict[str, Any]:
    """Numbers of drafts, under the names of vLLM: the call that reads the prompt drafts nothing and is left out."""
    steps = [accepted for result in results for accepted in result.accepted[1:]]
    depths = range(1, max(steps, default=0) + 1)
    return {
        "num_spec_steps": len(steps),
        "num_draft_tokens": sum(result.proposed for result in results),
        "num_accepted_tokens": sum(steps),
        "mean_acceptance_length": 1 + sum(steps) / len(steps) if steps else None,
        "acceptance_by_depth": [sum(accepted >= depth for accepted in steps) / len(steps) for depth in depths],
    }


def record(result: Result) -> dict[str, Any]:
    """A result as JSON has it."""
    return {**result._asdict(), "calls": result.calls}


def summary(results: Sequence[Result]) -> str:
    """A line on all results, and what the decoder says."""
    ids, calls = sum(len(result.ids) for result in results), sum(result.calls for result in results)
    seconds = results[0].seconds
    line = (
        f"{ids} ids in {calls} calls ({ids / calls:.2f} ids a call), {seconds:.2f} s, {ids / seconds:.1f} ids/s; "
        f"{results[0].ran}"
    )
    return "\n".join(textwrap.fill(each, WIDE, subsequent_indent="  ") for each in (line, *results[0].notes))


def lines(compared: Mapping[str, Any]) -> str:
    """A comparison as text."""
    own, theirs = compared["tokens_per_second"], compared["transformers_tokens_per_second"]
    length = compared["mean_acceptance_length"]
    by_depth = " ".join(f"{share:.2f}" for share in compared["acceptance_by_depth"][:10]) or "none"
    equal = compared["ids_equal"]
    ids = "not compared, as they are sampled" if equal is None else "equal" if equal else "not equal"
    return "\n".join((
        f"tokens/s                {own:.1f}",
        f"transformers, tokens/s  {theirs:.1f} (ratio {own / theirs:.2f})",
        f"mean acceptance length  {'-' if length is None else f'{length:.2f}'}",
        f"acceptance by depth     {by_depth}",
        f"ids                     {ids}",
        *(
            f"  prompt {each['prompt']} differs at new id {each['position']}, where the two likeliest are "
            f"{each['gap']:.2g} apart in transformers' logits" for each in compared["first_differences"]
        ),
    ))  # fmt: skip


@torch.inference_mode()
def _difference(model: Any, prompt: torch.Tensor, theirs: list[int], ours: list[int]) -> dict[str, Any] | None:
    """Where ids first differ, and how near the two likeliest were there; None: they are equal."""
    if theirs == ours:
        return None
    pairs = list(zip(theirs, ours, strict=False))
    place = next((place for place, (a, b) in enumerate(pairs) if a != b), len(pairs))
    row = torch.cat((prompt, torch.tensor([theirs[:place]], dtype=torch.int64)), 1)
    best = model(row).logits[0, -1].float().topk(2).values
    return {"position": place, "gap": float(best[0] - best[1])}

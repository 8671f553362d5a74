"""What a generation promises: its rule and sampling, what ran, how near ties were, and its law where it is enumerated.

Axes: b batch, n ids of a prompt, m new ids, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import attrs
import torch
from jaxtyping import Int
from torch import Tensor

from crt_basics.priors.table import TablePrior
from crt_hf.generation import Prepared, Result, prepared
from crt_hf.processed import Processed
from crt_hf.processors import processors, warped
from crt_hf.prompts import Prompt
from crt_run.sampling import probabilities
from crtcore.kinds import DecoderSpec, Prior, Request
from crtcore.settings import Limits, Sampling

PROMISE = "the ids follow the distribution of the target's logits after the processors and the sampling named here"
VOCABULARY, LENGTH = 3, 3
"""Ids and length of the rows whose law is enumerated; a fault that reuses randomness shows from 3 ids on."""


def certificate(
    model: Any, prompts: Sequence[Prompt], results: Sequence[Result], *, decoder: str | DecoderSpec = "lookup",
    draft: Any = None, tokenizer: Any = None, **generation_kwargs: Any,
) -> dict[str, Any]:  # fmt: skip
    """A record, for JSON, of what `generate` with these arguments promises, and of how its `results` stand to it.

    `near_ties` counts new ids whose two likeliest candidates were no further apart than the noise: the largest
    difference between their logits in two shapes of calls, of this very text. There, ids may differ between
    batches, decoders and machines. `settings` are those of the keywords and the model's generation config, of which
    `processors`, `warpers` and `sampling` are made, and `stop`; an object has the name of its type alone. `law` is the
    distance of the decoder's own law, under the sampling and warpers that it names, from its target's, for random
    tables as target and draft; other processors change what the target is, and the tables pass through none.
    Raises: RunError as `generate` does.
    """
    made = prepared(model, prompts, decoder, draft, tokenizer, generation_kwargs)
    names = [type(each).__name__ for each in processors(made.asked, 0, made.reading, None)]
    return {
        "promise": PROMISE,
        "ran": made.ran,
        "decoder": {"name": made.name, **attrs.asdict(made.spec)},
        "rule": getattr(made.spec, "rule", None),
        "drafter": repr(made.spec.drafter) if hasattr(made.spec, "drafter") else None,
        "settings": {name: plain(value) for name, value in made.asked.values.items()},
        "sampling": attrs.asdict(made.asked.sampling),
        "warpers": plain(dict(made.asked.warpers)),
        "processors": [*names, *(name for name in ("json_schema", "grammar") if name in made.asked.values)],
        "stop": {"ids": list(made.asked.stop), "strings": list(made.asked.strings), "length": made.asked.length},
        "near_ties": _near_ties(made, results),
        "law": law(made.spec, made.asked.sampling, made.asked.warpers),
    }


def plain(value: Any) -> Any:
    """A setting as JSON has it: a table whose keys are no texts as pairs, an object as the name of its type."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "tolist"):  # an array
        return plain(value.tolist())
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: plain(each) for key, each in value.items()}
        return [[plain(key), plain(each)] for key, each in value.items()]
    if isinstance(value, Sequence | Set):
        return [plain(each) for each in value]
    return f"{type(value).__module__}.{type(value).__qualname__}"


def law(spec: DecoderSpec, sampling: Sampling, warpers: Sequence[tuple[str, Any]] = ()) -> dict[str, Any]:
    """The total variation between a decoder's law and its target's, or why it cannot be enumerated.

    Tables pass through the warpers, which those of a target and of its draft do.
    """
    draw = torch.Generator().manual_seed(0)
    contexts = (VOCABULARY + 1) ** 2
    tables = [TablePrior(torch.randn(1, contexts, VOCABULARY, generator=draw)) for _ in range(2)]
    target, draft = (Processed(table, [warped(warpers)]) for table in tables)
    about = {
        "vocabulary": VOCABULARY, "length": LENGTH, "sampling": attrs.asdict(sampling), "warpers": plain(dict(warpers)),
    }  # fmt: skip
    prompt = torch.zeros(1, 1, dtype=torch.int64)  # as warpers read one id at least
    request = Request(prompt, Limits(length=LENGTH, stop=(VOCABULARY - 1,)), sampling)
    try:
        own = spec.build().distribution(target, request, draft=draft if spec.drafts else None)
    except ValueError as error:  # too many rows or trees, or trees that depend on real numbers
        return {**about, "total_variation": None, "reason": str(error)}
    expected = _rows(target, request)
    rows = own.keys() | expected.keys()
    return {**about, "total_variation": sum(abs(own.get(row, 0.0) - expected.get(row, 0.0)) for row in rows) / 2}


def _rows(target: Prior, request: Request) -> dict[tuple[int, ...], float]:
    """The law of rows that are drawn id by id."""
    ended: dict[tuple[int, ...], float] = {}
    going: dict[tuple[int, ...], float] = {(): 1.0}
    for _ in range(request.limits.length):
        grown: dict[tuple[int, ...], float] = {}
        for row, weight in going.items():
            logits = target(torch.tensor([[*request.prompt[0].tolist(), *row]]))[0, -1].double()
            for x, chance in enumerate(probabilities(logits, request.sampling).tolist()):
                (ended if x in request.limits.stop else grown)[*row, x] = weight * chance
        going = grown
    return ended | going


@torch.inference_mode()
def _near_ties(made: Prepared, results: Sequence[Result]) -> dict[str, Any]:
    """How many of the new ids were as good as tied, by the target's own logits."""
    positions, near, noise = 0, 0, 0.0
    gaps: list[Tensor] = []
    for row, result in zip(made.rows, results, strict=True):
        prior = made.readers[0].prior
        prompt = torch.tensor([row], device=made.readers[0].device)
        new = prompt.new_tensor([result.ids])
        session = prior.open(prompt, capacity=len(row) + new.shape[1], room=new.shape[1])
        apart = torch.cat((session.next_logits[:, None], session.extend(new)[:, :-1]), 1)[0].float()  # m v
        whole = _whole(prior, prompt, new)
        best = apart.topk(2)
        noise = max(noise, float((best.values - whole.gather(1, best.indices)).abs().max()))
        gaps.append(best.values[:, 0] - best.values[:, 1])
    for each in gaps:
        positions, near = positions + len(each), near + int((each <= noise).sum())
    return {"positions": positions, "within_noise": near, "noise": noise}


def _whole(prior: Prior, prompt: Int[Tensor, "1 n"], new: Int[Tensor, "1 m"]) -> Tensor:
    """The logits before each new id, by one pass over the whole row."""
    return prior(torch.cat((prompt, new), 1))[0, prompt.shape[1] : -1].float()

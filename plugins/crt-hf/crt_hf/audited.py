"""What transformers draws with a draft, as its exact law: every branch of its own code is followed, as it stands.

`crt audit crt_hf.audited:speculative_sampling` audits its verifier of a drafted chain alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers.generation.utils import _speculative_sampling

from crt_verify.audit import replay, replayed
from crt_verify.audit.drafts import DraftTree, Rows

Law = dict[tuple[int, ...], float]
"""The probability of each row of new ids."""


def _verified(tree: DraftTree, p: Rows, q: Rows) -> list[int]:
    """The ids that `_speculative_sampling` emits for a chain; its logits are those of the rows, in float64."""
    ids = torch.tensor([tree.tokens[1:]])
    target, draft = (torch.from_numpy(np.array(rows)).log()[None] for rows in (p, q))
    emitted, _ = _speculative_sampling(ids, draft[:, :-1], ids.shape[1], target)
    return emitted[0].tolist()  # type: ignore[no-any-return]


speculative_sampling = replayed(_verified)
"""A verifier for `audit`."""


def generated(model: Any, prompt: Sequence[int], *, assistant: Any = None, **keywords: Any) -> Law:
    """The law of the new ids of `model.generate`, sampled with an assistant or with `prompt_lookup_num_tokens`.

    Each path runs afresh, with the assistant's settings as they are now.
    Raises: NotFollowed if it draws in a way that has no branches.
    """
    ids = torch.tensor([list(prompt)])
    given = {"attention_mask": torch.ones_like(ids), "do_sample": True, **keywords}
    if assistant is not None:
        given["assistant_model"] = assistant
    kept = None if assistant is None else assistant.generation_config.to_dict()

    def once() -> tuple[int, ...]:
        if kept is not None:
            assistant.generation_config.update(**kept)
        return tuple(model.generate(ids, **given)[0, ids.shape[1] :].tolist())

    once()  # imports what it needs, some of which draws
    return {row: chance for row, chance in replay(once).items() if isinstance(row, tuple)}


@torch.no_grad()
def enumerated(
    model: Any, prompt: Sequence[int], *, max_new_tokens: int, eos_token_id: int | None = None, **settings: float
) -> Law:
    """The law of the new ids of the model alone, from its logits after each row of ids, without a cache.

    `settings` are those of `processed`; logits are processed in float64, by no code of transformers.
    """
    rows: Law = {}
    going: Law = {(): 1.0}
    for _ in range(max_new_tokens):
        grown: Law = {}
        for row, weight in going.items():
            ids = [*prompt, *row]
            logits = model(torch.tensor([ids])).logits[0, -1].double().numpy()
            for x, chance in enumerate(processed(logits, ids, **settings)):
                if chance > 0:
                    (rows if x == eos_token_id else grown)[(*row, x)] = weight * chance
        going = grown
    return rows | going


def processed(
    logits: Any,
    ids: Sequence[int],
    *,
    temperature: float = 1.0,
    top_k: float = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
) -> Any:
    """The distribution of the next id by the definitions of these settings, in the order of transformers."""
    logits = np.array(logits, float)
    seen = sorted(set(ids))
    logits[seen] = np.where(logits[seen] < 0, logits[seen] * repetition_penalty, logits[seen] / repetition_penalty)
    row = _softmax(logits / temperature)
    if top_k:
        row[row < np.sort(row)[-min(int(top_k), len(row))]] = 0
        row /= row.sum()
    order = np.argsort(-row)
    before = np.cumsum(row[order]) - row[order]
    row[order[before >= top_p]] = 0  # what is likelier has reached top_p
    row /= row.sum()
    row[row < min_p * row.max()] = 0
    return row / row.sum()


def total_variation(one: Law, other: Law) -> float:
    """Half the sum of the differences."""
    return float(sum(abs(one.get(row, 0.0) - other.get(row, 0.0)) for row in {*one, *other}) / 2)


def _softmax(logits: Any) -> Any:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()

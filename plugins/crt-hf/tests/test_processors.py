"""Processors read logits on the device where a model has them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from crt_basics.priors.specs import Table
from crt_hf.generation import Prepared, _processed
from crt_hf.model import Reader
from crt_hf.processed import Processed
from crt_hf.processors import processors
from crt_hf.settings import settings
from crt_verify.lookup.spec import Lookup

ALL: dict[str, Any] = {
    "sequence_bias": [[[1], 1.0], [[1, 2], 2.0]], "repetition_penalty": 1.2, "no_repeat_ngram_size": 2,
    "bad_words_ids": [[1], [1, 2]], "min_length": 9, "min_new_tokens": 5, "forced_eos_token_id": 2,
    "remove_invalid_values": True, "exponential_decay_length_penalty": (1, 1.1), "suppress_tokens": [1],
    "begin_suppress_tokens": [1], "presence_penalty": 1.0, "frequency_penalty": 1.0, "logit_bias": {1: 1.0},
}  # fmt: skip
SAMPLED = {"temperature": 0.7, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.5, "epsilon_cutoff": 0.1}
"""Warpers; `top_h` and `eta_cutoff` read values on the host, which tensors without values have not."""


@pytest.mark.parametrize(
    "keywords",
    [{name: value} for name, value in ALL.items()] + [{"do_sample": True, **SAMPLED}],
    ids=lambda keywords: next(iter(keywords)),
)
def test_processors_mix_no_devices(keywords: dict[str, Any]) -> None:
    """A tensor without values takes the place of one on another device: beside one of the CPU it is refused."""
    made = processors(settings({"eos_token_id": [2], "max_new_tokens": 5, **keywords}, {}), 2, None, None, "meta")
    assert made

    with FakeTensorMode(allow_non_fake_inputs=True):
        ids, logits = torch.ones(2, 6, dtype=torch.int64, device="meta"), torch.empty(2, 7, device="meta")
        for each in made:
            logits = each(ids, logits)

    assert (logits.shape, logits.device.type) == ((2, 7), "meta")


def test_generation_makes_processors_for_the_device_of_the_target() -> None:
    asked = settings({"eos_token_id": [2], "min_new_tokens": 5, "min_length": 9}, {})
    reader = Reader("target", Processed(Table().build(7, 9, None), [None]), "", torch.device("meta"))
    (prior,) = _processed(Prepared(Lookup(), "lookup", asked, [reader], [[1, 1]], None), None)

    with FakeTensorMode(allow_non_fake_inputs=True):
        processed = prior.process(torch.empty(1, 1, 7, device="meta"), [[[1, 1, 1]]])

    assert processed.device.type == "meta"


def test_ends_are_excluded_up_to_a_least_length() -> None:
    made = processors(settings({"eos_token_id": [2, 4], "min_new_tokens": 2, "min_length": 3}, {}), 2, None, None)
    ids = [torch.ones(1, n, dtype=torch.int64) for n in (3, 4)]

    early, late = (made[1](row, made[0](row, torch.zeros(1, 5))) for row in ids)

    assert early.isinf().nonzero()[:, 1].tolist() == [2, 4]
    assert late.isfinite().all()

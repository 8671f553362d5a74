"""What a certificate records of a request, and the law that it is about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest
import torch

from crt_basics.decoders.specs import Ancestral
from crt_basics.priors.specs import Table
from crt_hf import promises
from crt_hf.generation import Prepared, Result
from crt_hf.model import Reader
from crt_hf.processed import Processed
from crt_hf.promises import certificate, law, plain
from crt_hf.settings import settings
from crtcore.kinds import DecoderSpec
from crtcore.settings import Sampling


class Own:
    """A caller's processor."""

    def __call__(self, ids: Any, logits: Any) -> Any:
        return logits


def made(monkeypatch: pytest.MonkeyPatch, **keywords: Any) -> dict[str, Any]:
    """The certificate of a request for a table in the place of a model."""
    reader = Reader("target", Processed(Table().build(5, 16, None), [None]), "table", torch.device("cpu"))
    asked = settings(keywords, {"eos_token_id": 2, "min_p": 0.25})
    prepared = Prepared(Ancestral(), "ancestral", asked, [reader], [[1, 2]], None)
    monkeypatch.setattr(promises, "prepared", lambda *_: prepared)
    result = Result([3, 4], None, [0, 0], 0, 0, 1.0, "table", None, ())

    return certificate(None, [[1, 2]], [result], **keywords)


def test_the_values_of_all_settings_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    keywords: dict[str, Any] = {
        "do_sample": True, "temperature": 0.7, "top_k": 3, "top_p": 0.9, "repetition_penalty": 1.2,
        "max_new_tokens": 6, "logit_bias": {4: 2.0}, "sequence_bias": {(1, 3): -1.5}, "logits_processor": [Own()],
        "stop_strings": "abc", "json_schema": None,
    }  # fmt: skip

    record = made(monkeypatch, **keywords)

    assert record["settings"] == {
        "eos_token_id": 2, "min_p": 0.25, "do_sample": True, "temperature": 0.7, "top_k": 3, "top_p": 0.9,
        "repetition_penalty": 1.2, "max_new_tokens": 6, "logit_bias": [[4, 2.0]], "sequence_bias": [[[1, 3], -1.5]],
        "logits_processor": [f"{__name__}.Own"], "stop_strings": "abc",
    }  # fmt: skip
    assert record["warpers"] == {"top_k": 3}  # the others are left to sampling
    assert json.loads(json.dumps(record["settings"])) == record["settings"]


def test_the_law_has_the_sampling_and_the_warpers_that_it_was_enumerated_under(monkeypatch: pytest.MonkeyPatch) -> None:
    record = made(monkeypatch, do_sample=True, temperature=0.7, top_k=2, typical_p=0.9, min_p=None)

    enumerated = record["law"]

    assert enumerated["sampling"] == record["sampling"]
    assert enumerated["warpers"] == record["warpers"] == {"temperature": 0.7, "top_k": 2, "typical_p": 0.9}
    assert enumerated["total_variation"] < 1e-9


@attrs.frozen(kw_only=True)
class Unwarped(DecoderSpec):
    """A decoder that is exact but for the warpers, which it passes by."""

    drafts: ClassVar[bool] = False

    def build(self) -> Any:
        inner: Any = Ancestral().build()

        class Built:
            def distribution(self, target: Any, request: Any, *, draft: Any = None) -> Any:
                return inner.distribution(target.prior, request)

        return Built()


def test_a_decoder_that_passes_warpers_by_has_a_distance() -> None:
    assert law(Unwarped(), Sampling())["total_variation"] < 1e-9
    assert law(Unwarped(), Sampling(), [("top_k", 1)])["total_variation"] > 0.01


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        (None, None), (2, 2), ("a", "a"), ((1, 2), [1, 2]), (torch.tensor([3]), [3]), (np.int64(3), 3),
        ({"a": (1,)}, {"a": [1]}), ({(1,): 2.0}, [[[1], 2.0]]), (Path, "builtins.type"),
    ],
)  # fmt: skip
def test_a_setting_is_recorded_as_json_has_it(value: Any, recorded: Any) -> None:
    assert plain(value) == recorded
    assert json.loads(json.dumps(plain(value))) == recorded

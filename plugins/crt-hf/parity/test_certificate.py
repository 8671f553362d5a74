"""What a certificate says of a generation, and of a decoder that is not exact."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import pytest
import torch
from small_models import small

import crt_hf
from crt_hf.promises import law
from crtcore.kinds import DecoderSpec
from crtcore.registry import discover
from crtcore.settings import Sampling

PROMPTS = [[5, 6, 7, 5, 6], [8, 9]]
EXACT = [name for name in discover().names("decoder") if name != "rsd-s"]
SAMPLINGS = pytest.mark.parametrize(
    "sampling", [Sampling(temperature=0), Sampling(), Sampling(temperature=0.7, top_k=2), Sampling(top_p=0.8)]
)


@SAMPLINGS
@pytest.mark.parametrize("decoder", EXACT)
def test_the_law_of_an_exact_decoder_is_its_targets(decoder: str, sampling: Sampling) -> None:
    spec: Any = discover().find("decoder", decoder).spec()

    assert law(spec, sampling)["total_variation"] < 1e-9


def test_a_law_that_cannot_be_enumerated_has_a_reason() -> None:
    spec: Any = discover().find("decoder", "rsd-s").spec()

    made = law(spec, Sampling())

    assert made["total_variation"] is None
    assert made["reason"]


@attrs.frozen(kw_only=True)
class Colder(DecoderSpec):
    """A decoder that samples at another temperature than it is asked for."""

    drafts: ClassVar[bool] = False

    def build(self) -> Any:
        inner: Any = discover().find("decoder", "ancestral").spec().build()

        class Cold:
            def distribution(self, target: Any, request: Any, *, draft: Any = None) -> Any:
                colder = attrs.evolve(request.sampling, temperature=0.8 * request.sampling.temperature)
                return inner.distribution(target, request._replace(sampling=colder))

        return Cold()


def test_a_decoder_that_is_not_exact_has_a_distance() -> None:
    assert law(Colder(), Sampling())["total_variation"] > 0.01


def test_a_certificate_names_what_was_asked_for_and_what_ran() -> None:
    keywords: dict[str, Any] = {
        "do_sample": True, "temperature": 0.7, "top_k": 5, "repetition_penalty": 1.2, "max_new_tokens": 6,
    }  # fmt: skip
    target, draft = small("llama"), small("llama", seed=1)
    results = crt_hf.generate(target, PROMPTS, decoder="sd", draft=draft, **keywords)

    made = crt_hf.certificate(target, PROMPTS, results, decoder="sd", draft=draft, **keywords)

    assert made["ran"] == results[0].ran
    assert (made["decoder"]["name"], made["decoder"]["length"], made["rule"]) == ("sd", 4, "single")
    assert (made["sampling"]["temperature"], made["sampling"]["top_k"]) == (0.7, 5)
    assert made["processors"] == ["RepetitionPenaltyLogitsProcessor"]
    assert {name: made["settings"][name] for name in keywords} == keywords
    assert made["law"]["sampling"] == made["sampling"]
    assert made["law"]["total_variation"] < 1e-9
    assert made["near_ties"]["positions"] == sum(len(result.ids) for result in results)
    assert 0 < made["near_ties"]["noise"] < 1e-3


@torch.no_grad()
def test_ids_that_are_tied_are_counted() -> None:
    target = small("llama")
    results = crt_hf.generate(target, PROMPTS, max_new_tokens=6)
    assert crt_hf.certificate(target, PROMPTS, results, max_new_tokens=6)["near_ties"]["within_noise"] == 0
    first = results[0].ids[0]
    target.lm_head.weight[3 if first != 3 else 4] = target.lm_head.weight[first]  # two ids with equal logits

    tied = crt_hf.certificate(target, PROMPTS, results, max_new_tokens=6)["near_ties"]

    assert tied["within_noise"] >= sum(result.ids.count(first) for result in results) > 0

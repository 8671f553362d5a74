"""Text by every decoder, and by transformers: the same ids, whatever the batch."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from small_models import small

import crt_hf
from crt_hf.settings import REFUSED_PROCESSORS
from crtcore.errors import RunError
from crtcore.registry import discover

FAMILIES = ("llama", "qwen3", "mistral, window", "gemma3", "gpt2")
DECODERS = discover().names("decoder")
PROMPTS, NEW = 40, 12
"""Prompts of each family, and new ids of each."""


def prompts(count: int = PROMPTS) -> list[list[int]]:
    """Ragged prompts, half of which repeat themselves, so that there is something to look up."""
    draw = torch.Generator().manual_seed(0)
    rows = []
    for place in range(count):
        length = int(torch.randint(2, 9, (), generator=draw))
        row = torch.randint(3, 61, (length,), generator=draw).tolist()
        rows.append([*row, *row, *row[:2]] if place % 2 else row)
    return rows


@cache
def target(family: str) -> Any:
    return small(family)


@cache
def draft(family: str) -> Any:
    """The target with small changes, so that it is often right and not always."""
    model = small(family)
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model


def theirs(model: Any, prompt: list[int], **keywords: Any) -> list[int]:
    row = torch.tensor([prompt])
    return model.generate(row, attention_mask=torch.ones_like(row), **keywords)[0, len(prompt) :].tolist()


@cache
def greedy(family: str) -> list[list[int]]:
    return [theirs(target(family), row, max_new_tokens=NEW, do_sample=False) for row in prompts()]


def drafted(decoder: str, family: str) -> dict[str, Any]:
    needed = discover().find("decoder", decoder).spec.drafts  # type: ignore[attr-defined]
    return {"decoder": decoder, "draft": draft(family) if needed else None}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("decoder", DECODERS)
def test_greedy_ids_are_those_of_transformers_in_ragged_batches_of_eight(decoder: str, family: str) -> None:
    ours = [
        result
        for place in range(0, PROMPTS, 8)
        for result in crt_hf.generate(
            target(family), prompts()[place : place + 8], max_new_tokens=NEW, **drafted(decoder, family)
        )
    ]

    assert [result.ids for result in ours] == greedy(family)
    assert sum(map(len, greedy(family))) > PROMPTS * NEW / 2
    assert decoder == "ancestral" or sum(sum(result.accepted) for result in ours) > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("decoder", DECODERS)
def test_greedy_ids_are_those_of_transformers_one_prompt_at_a_time(decoder: str, family: str) -> None:
    for place in range(6):
        (result,) = crt_hf.generate(
            target(family), prompts()[place : place + 1], max_new_tokens=NEW, **drafted(decoder, family)
        )

        assert result.ids == greedy(family)[place]
        assert result.calls == len(result.accepted) > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_custom_generate_returns_what_transformers_does_for_padded_rows(family: str) -> None:
    rows = prompts(8)
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    keywords = {"attention_mask": mask, "max_new_tokens": NEW, "do_sample": False, "repetition_penalty": 1.2}

    expected = target(family).generate(ids, **keywords)

    assert torch.equal(target(family).generate(ids, custom_generate=crt_hf.custom_generate, **keywords), expected)


PROCESSORS: list[dict[str, Any]] = [
    {"repetition_penalty": 1.4},
    {"no_repeat_ngram_size": 2},
    {"bad_words_ids": [[14], [18, 29]], "suppress_tokens": [23, 10]},
    {"sequence_bias": [[[14], 3.0], [[14, 15], 5.0]]},
    {"min_new_tokens": 5, "begin_suppress_tokens": [20]},
    {"forced_eos_token_id": 0, "exponential_decay_length_penalty": (3, 1.5)},
    {"min_length": 14, "remove_invalid_values": True},
]


@pytest.mark.parametrize("decoder", ["ancestral", "lookup", "rsd-s"])
@pytest.mark.parametrize("keywords", PROCESSORS, ids=", ".join)
def test_processors_are_those_of_transformers(keywords: dict[str, Any], decoder: str) -> None:
    model = target("llama")

    ours = crt_hf.generate(model, prompts(8), max_new_tokens=NEW, **drafted(decoder, "llama"), **keywords)

    expected = [theirs(model, row, max_new_tokens=NEW, do_sample=False, **keywords) for row in prompts(8)]
    assert [result.ids for result in ours] == expected
    assert expected != greedy("llama")[:8]


def test_penalties_and_bias_change_logits_as_their_definition_says() -> None:
    from crt_hf.processors import Bias, Penalties

    ids, logits = torch.tensor([[1, 2, 3, 3, 1]]), torch.zeros(1, 5)

    lowered = Penalties(2, presence=1.0, frequency=0.5)(ids, logits)  # the prompt is 1 2

    assert lowered.tolist() == [[0.0, -1.5, 0.0, -2.0, 0.0]]
    assert Bias({4: 2.0, 0: -1.0})(ids, logits).tolist() == [[-1.0, 0.0, 0.0, 0.0, 2.0]]


def test_samples_of_a_prompt_depend_on_its_seed_and_on_no_neighbour() -> None:
    keywords = {"max_new_tokens": NEW, "do_sample": True, "top_k": 0, "temperature": 1.5}
    rows = prompts(5)

    together = crt_hf.generate(target("llama"), rows, seed=[5, 6, 7, 8, 9], **keywords)

    (alone,) = crt_hf.generate(target("llama"), rows[3:4], seed=8, **keywords)
    (other,) = crt_hf.generate(target("llama"), rows[3:4], seed=9, **keywords)
    assert alone.ids == together[3].ids != other.ids


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_logprobs_are_those_of_the_models_own_pass(family: str) -> None:
    keywords = {"max_new_tokens": 6, "do_sample": True, "temperature": 1.3, "repetition_penalty": 1.2}

    results = crt_hf.generate(target(family), prompts(5), logprobs=True, **keywords)

    for prompt, result in zip(prompts(5), results, strict=True):
        logits = target(family)(torch.tensor([prompt + result.ids])).logits[0, len(prompt) - 1 : -1]
        expected = logits.log_softmax(-1).gather(1, torch.tensor(result.ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(result.logprobs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["UnbatchedClassifierFreeGuidanceLogitsProcessor", "PrefixConstrainedLogitsProcessor"])
def test_a_processor_that_keeps_a_state_is_refused_by_name(name: str) -> None:
    import transformers

    assert name in REFUSED_PROCESSORS
    odd = object.__new__(getattr(transformers, name))

    with pytest.raises(RunError, match=f"logits_processor: expected one of a path .* got {name}"):
        crt_hf.generate(target("llama"), prompts(1), logits_processor=[odd])


def test_every_refused_processor_is_one_of_transformers() -> None:
    from transformers.generation import logits_process

    assert [name for name in REFUSED_PROCESSORS if not hasattr(logits_process, name)] == []


def test_a_draft_that_is_missing_or_not_used_is_one_error() -> None:
    with pytest.raises(RunError, match=r"expected draft=\.\.\., as 'sd' drafts with a second model"):
        crt_hf.generate(target("llama"), prompts(1), decoder="sd")
    with pytest.raises(RunError, match="expected no draft, as 'lookup' does not use one"):
        crt_hf.generate(target("llama"), prompts(1), draft=draft("llama"))


def test_a_draft_of_another_vocabulary_is_one_error() -> None:
    with pytest.raises(
        RunError, match=r"draft: expected a model over the target's 61 ids, or tokenizers of both, .* got 60 ids"
    ):
        crt_hf.generate(target("llama"), prompts(1), decoder="sd", draft=small("llama", vocab_size=60))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"logit_bias": {61: 1.0}}, "Bias: "),
        ({"bad_words_ids": [[61]]}, "NoBadWordsLogitsProcessor: ValueError: The model vocabulary size is 61"),
        ({"repetition_penalty": -1.0}, "repetition_penalty: ValueError: "),
        ({"bad_words_ids": 3}, "bad_words_ids: "),
    ],
)
def test_a_value_that_a_processor_does_not_take_is_one_error(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=f"generate: {message}"):
        crt_hf.generate(target("llama"), prompts(1), **keywords)


def test_rows_beyond_the_positions_of_a_model_are_one_error() -> None:
    with pytest.raises(
        RunError, match=r"max_new_tokens: expected at most 120, .* positions for 128 ids .* has 8, got 121"
    ):
        crt_hf.generate(target("gpt2"), [[5] * 8], max_new_tokens=121)

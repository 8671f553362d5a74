"""What transformers samples with a draft has the law of the model alone; a fault planted in its code shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers.generation.utils as generation
from small_models import small

from crt_hf.audited import enumerated, generated, processed, speculative_sampling, total_variation
from crt_verify.audit import audit

PROMPT, END = [3, 1, 3], 2
ENDS: dict[str, Any] = {"max_new_tokens": 3, "eos_token_id": END}
SETTINGS: list[dict[str, float]] = [
    {"top_k": 2},
    {"temperature": 1.3, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.3},
]


def model(seed: int) -> Any:
    return small("llama", seed=seed, vocab_size=4, eos_token_id=END, num_hidden_layers=1, initializer_range=0.15)


def test_the_verifier_of_transformers_is_exact() -> None:
    assert audit(speculative_sampling, trials=10).exact


def without_a_residual(ids: Any, draft: Any, length: int, target: Any, **_: Any) -> Any:
    """Its function with one fault: a rejection draws from the target."""
    p, q, drafted = target.softmax(-1), draft.softmax(-1), ids[0, -length:]
    ratio = (p[0, :length] / q[0]).gather(1, drafted[:, None])[:, 0]
    count = int((torch.rand_like(ratio) <= ratio).long().cumprod(0).sum())
    return torch.cat([drafted[:count], torch.multinomial(p[0, count], 1)])[None], count


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=[", ".join(each) for each in SETTINGS])
def test_an_assistant_leaves_the_law_of_the_model(settings: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    target, assistant = model(0), model(1)
    expected = enumerated(target, PROMPT, **ENDS, **settings)

    own = generated(target, PROMPT, assistant=assistant, **ENDS, **settings)
    monkeypatch.setattr(generation, "_speculative_sampling", without_a_residual)
    wrong = generated(target, PROMPT, assistant=assistant, **ENDS, **settings)

    assert sum(expected.values()) == pytest.approx(1)
    assert total_variation(own, expected) < 1e-6  # logits are float32
    assert total_variation(wrong, expected) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=[", ".join(each) for each in SETTINGS])
def test_prompt_lookup_leaves_the_law_of_the_model(settings: dict[str, float]) -> None:
    target = model(0)

    own = generated(target, PROMPT, prompt_lookup_num_tokens=2, **ENDS, **settings)

    assert total_variation(own, enumerated(target, PROMPT, **ENDS, **settings)) < 1e-6


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 0.5}, [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.75}, [4 / 9, 3 / 9, 2 / 9, 0]),
        ({"min_p": 0.6}, [4 / 7, 3 / 7, 0, 0]),
    ],
    ids=str,
)
def test_settings_are_those_of_their_definitions(settings: dict[str, float], expected: list[float]) -> None:
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).double().log().numpy()

    assert processed(logits, [], **settings).tolist() == pytest.approx(expected)


def test_a_penalty_divides_logits_that_are_positive_and_multiplies_others() -> None:
    logits = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)

    row = processed(logits.numpy(), [0, 1, 1], repetition_penalty=2.0)

    assert row.tolist() == pytest.approx(torch.tensor([0.5, -2.0, 1.0]).double().softmax(0).tolist())

"""Keywords of transformers as settings, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from crt_hf.settings import KNOWN, NEUTRAL, UNUSED, settings
from crtcore.errors import RunError
from crtcore.settings import Limits, Sampling


def test_without_keywords_it_is_greedy_and_makes_twenty_ids_as_transformers_does() -> None:
    made = settings({}, {"eos_token_id": [2, 5]})

    assert (made.limits, made.sampling, made.warpers) == (Limits(length=20, stop=(2, 5)), Sampling(temperature=0), ())


@pytest.mark.parametrize(
    ("keywords", "sampling", "warpers"),
    [
        ({}, Sampling(top_k=50), ()),
        ({"top_k": 0, "temperature": 0.7}, Sampling(temperature=0.7), ()),
        ({"top_k": 0, "top_p": 0.9, "min_p": 0.1}, Sampling(top_p=0.9, min_p=0.1), ()),
        ({"top_p": 0.9}, Sampling(top_p=0.9), (("top_k", 50),)),  # top-p reads what top-k has left
        ({"typical_p": 0.5, "top_k": 0, "temperature": 2.0}, Sampling(), (("temperature", 2.0), ("typical_p", 0.5))),
    ],
)
def test_filters_are_left_to_sampling_where_it_is_the_same_distribution(
    keywords: dict[str, Any], sampling: Sampling, warpers: tuple[tuple[str, Any], ...]
) -> None:
    made = settings({"do_sample": True, **keywords}, {})

    assert (made.sampling, made.warpers) == (sampling, warpers)


def test_a_folders_values_hold_where_no_keyword_is_given() -> None:
    folder = {"do_sample": True, "temperature": 0.6, "top_k": 20, "eos_token_id": 2, "_from_model_config": True}

    made = settings({"temperature": 0.9, "eos_token_id": 7}, folder | {"transformers_version": "5.0"})

    assert made.sampling == Sampling(temperature=0.9, top_k=20)
    assert made.stop == (7,)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_beams": 4}, "num_beams: expected 1, .* got 4; use transformers for it"),
        ({"penalty_alpha": 0.6}, "penalty_alpha: expected 0.0"),
        ({"guidance_scale": 1.5}, "guidance_scale: expected 1"),
        ({"num_return_sequences": 2}, "num_return_sequences: expected 1"),
        ({"output_scores": True}, "output_scores: expected False"),
        ({"dola_layers": "high"}, "dola_layers: not supported here"),
        ({"watermarking_config": {}}, "watermarking_config: not supported here"),
        ({"constraints": [1]}, "constraints: not supported here"),
        ({"max_time": 1.0}, "max_time: not supported here"),
        ({"prefix_allowed_tokens_fn": print}, "prefix_allowed_tokens_fn: not supported here"),
        ({"stopping_criteria": [1]}, "stopping_criteria: not supported here"),
        ({"max_length": 30}, "max_length: it counts the prompt; give max_new_tokens"),
        ({"temprature": 1.0}, "temprature: not supported here; did you mean 'temperature'"),
        ({"max_new_tokens": 0}, "max_new_tokens: expected an integer of at least 1, got 0"),
        ({"do_sample": True, "temperature": 0.0}, "temperature: expected a number above 0, got 0.0"),
        ({"do_sample": True, "top_p": 1.5}, "top_p: expected a number above 0, at most 1, got 1.5"),
        ({"do_sample": True, "top_k": 2.5}, "top_k: expected an integer of at least 1, got 2.5"),
        ({"stop_strings": [""]}, "stop_strings: expected texts"),
    ],
)
def test_what_is_unknown_or_not_exact_is_refused_by_name(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=f"generate: {message}"):
        settings(keywords, {})


def test_a_folder_that_asks_for_beams_is_refused_unless_a_keyword_does_not() -> None:
    with pytest.raises(RunError, match=r"generation_config.json: num_beams: expected 1"):
        settings({}, {"num_beams": 3})
    assert settings({"num_beams": 1}, {"num_beams": 3}).length == 20


def test_no_name_is_both_honoured_and_not() -> None:
    assert not set(KNOWN) & NEUTRAL.keys()
    assert not set(UNUSED) & {*KNOWN, *NEUTRAL}

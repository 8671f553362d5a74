"""The law of sampled ids, with processors on, beside that of transformers: enumerated, and counted in samples."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from scipy.stats import chi2
from small_models import small
from transformers import GenerationConfig

import crt_hf
from crt_hf.network import LanguageModel
from crt_hf.processed import Processed
from crt_hf.processors import processes
from crt_hf.settings import settings
from crtcore.kinds import Request
from crtcore.registry import discover

VOCABULARY, NEW, PROMPT, END = 4, 3, [3, 1, 3], 2
EVERYTHING: list[dict[str, Any]] = [
    {"temperature": 0.8, "repetition_penalty": 1.3, "sequence_bias": [[[1], 0.5], [[1, 3], -1.0]]},
    {"temperature": 1.2, "top_k": 3, "top_p": 0.9, "min_new_tokens": 2},
    {"top_k": 3, "top_p": 0.8, "min_p": 0.1, "no_repeat_ngram_size": 2},
    {"top_k": 0, "min_p": 0.2, "bad_words_ids": [[1, 1]]},
    {"typical_p": 0.8, "top_k": 3, "begin_suppress_tokens": [0]},
    {"epsilon_cutoff": 0.1, "exponential_decay_length_penalty": (1, 1.3)},
    {"presence_penalty": 0.7, "frequency_penalty": 0.4, "logit_bias": {0: 0.5}, "top_k": 3, "temperature": 0.9},
    {"eta_cutoff": 0.3, "top_p": 0.9, "suppress_tokens": [0]},
]
ON = pytest.mark.parametrize("keywords", EVERYTHING, ids=", ".join)
EXACT = [name for name in discover().names("decoder") if name != "rsd-s"]  # whose trees cannot be enumerated


def model(seed: int) -> Any:
    return small("llama", seed=seed, vocab_size=VOCABULARY, eos_token_id=END, initializer_range=0.15)


@torch.no_grad()
def law(keywords: dict[str, Any]) -> dict[tuple[int, ...], float]:
    """The law of new ids by transformers' own processors and forward pass, in float64 from the logits on."""
    target = model(0)
    own = {name: keywords[name] for name in ("presence_penalty", "frequency_penalty", "logit_bias") if name in keywords}
    keywords = {name: value for name, value in keywords.items() if name not in own}
    config = GenerationConfig(
        **{"max_new_tokens": NEW, "do_sample": True, "eos_token_id": END, "top_k": 50, **keywords}
    )
    target._prepare_special_tokens(config)
    steps = target._get_logits_processor(config, input_ids_seq_length=len(PROMPT))
    rows: dict[tuple[int, ...], float] = {}
    going = {(): 1.0}
    for _ in range(NEW):
        grown: dict[tuple[int, ...], float] = {}
        for row, weight in going.items():
            ids = torch.tensor([[*PROMPT, *row]])
            logits = target(ids).logits[:, -1].double()
            for x in range(VOCABULARY):  # what transformers has not, by its definition
                count = row.count(x)
                logits[0, x] += own.get("logit_bias", {}).get(x, 0.0) - own.get("frequency_penalty", 0.0) * count
                logits[0, x] -= own.get("presence_penalty", 0.0) * (count > 0)
            chances = steps(ids, logits)[0].softmax(-1).tolist()
            for x, chance in enumerate(chances):
                if chance:
                    (rows if x == END else grown)[(*row, x)] = weight * chance
        going = grown
    return rows | going


@ON
@pytest.mark.parametrize("decoder", EXACT)
def test_the_distribution_of_every_decoder_is_that_of_transformers(decoder: str, keywords: dict[str, Any]) -> None:
    asked = settings({"max_new_tokens": NEW, "do_sample": True, "eos_token_id": END, **keywords}, {})
    steps = processes(asked, [len(PROMPT)])
    target, draft = (Processed(LanguageModel(model(seed), start=None), steps) for seed in (0, 1))
    spec: Any = discover().find("decoder", decoder).spec
    request = Request(torch.tensor([PROMPT]), asked.limits, asked.sampling)

    ours = spec().build().distribution(target, request, draft=draft if spec.drafts else None)

    expected = law(keywords)
    assert sum(expected.values()) == pytest.approx(1)
    for row in {*ours, *expected}:
        assert ours.get(row, 0.0) == pytest.approx(expected.get(row, 0.0), abs=2e-6), row  # logits are float32


@pytest.mark.slow
@pytest.mark.parametrize("keywords", EVERYTHING[:3], ids=", ".join)
@pytest.mark.parametrize("decoder", ["lookup", "sd", "rsd-c", "rsd-s"])
def test_samples_follow_the_law_of_transformers(decoder: str, keywords: dict[str, Any]) -> None:
    """A G-test of 2000 samples, with a false-alarm rate of 1e-6."""
    spec: Any = discover().find("decoder", decoder).spec
    count = 2000

    results = crt_hf.generate(
        model(0), [PROMPT] * count, decoder=decoder, draft=model(1) if spec.drafts else None, seed=range(count),
        max_new_tokens=NEW, do_sample=True, eos_token_id=END, **keywords,
    )  # fmt: skip

    expected = law(keywords)
    counts = dict.fromkeys(itertools.chain(expected, (tuple(each.ids) for each in results)), 0)
    for each in results:
        counts[tuple(each.ids)] += 1
    assert counts.keys() == expected.keys()
    rare = [row for row in expected if count * expected[row] < 5]
    cells = [(counts[row], count * expected[row]) for row in expected if row not in rare]
    cells.append((sum(counts[row] for row in rare), sum(count * expected[row] for row in rare)))
    statistic = 2 * sum(seen * float(torch.tensor(seen / due).log()) for seen, due in cells if seen)
    assert len(cells) > 3
    assert chi2.sf(statistic, len(cells) - 1) > 1e-6

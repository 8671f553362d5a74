"""Audits of transformers: the exact law of its sampling with drafts, as it stands, beside that of the model alone.

Usage: audit_transformers.py [--only WORDS] [--json FILE]
Models are random, of 4 ids; 3 new ids, of which id 2 ends a text. Seconds are of the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers as hf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from crt_hf.audited import enumerated, generated, speculative_sampling, total_variation
from crt_verify.audit import audit
from crt_verify.drafters import Chain

PROMPT, NEW, END = [3, 1, 3], 3, 2
EXACT = 1e-6
"""The total variation up to which float32 logits are exact."""
SETTINGS: dict[str, dict[str, float]] = {
    "no cut": {"top_k": 0},
    "temperature 0.7": {"top_k": 0, "temperature": 0.7},
    "top-k 2": {"top_k": 2},
    "top-p 0.8": {"top_k": 0, "top_p": 0.8},
    "min-p 0.3": {"top_k": 0, "min_p": 0.3},
    "repetition penalty 1.3": {"top_k": 0, "repetition_penalty": 1.3},
    "all of them": {"temperature": 1.3, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.3},
}
FOREIGN = "assistant of another tokenizer"
DRAFTS = ("assistant", "prompt lookup", FOREIGN)
WORDS = ["[PAD]", "a", "[END]", "b"]
THEIRS = ["[PAD]", "another", "b", "[END]", "a"]
ORDERS = 4
"""Tokenizers that are tried: transformers reads the vocabulary of each in an order that is random."""


def model(seed: int, vocabulary: int = 4) -> Any:
    """A random Llama."""
    torch.manual_seed(seed)
    config = hf.LlamaConfig(
        vocab_size=vocabulary, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        max_position_embeddings=32, initializer_range=0.6, bos_token_id=1, eos_token_id=END, pad_token_id=0,
    )  # fmt: skip
    return hf.LlamaForCausalLM(config).eval()


def tokenizer(words: list[str]) -> Any:
    """A tokenizer of words."""
    special = {"unk_token": "[PAD]", "pad_token": "[PAD]", "eos_token": "[END]"}
    made = Tokenizer(WordLevel({word: id_ for id_, word in enumerate(words)}, special["unk_token"]))
    made.pre_tokenizer = WhitespaceSplit()
    return hf.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def given(draft: str) -> dict[str, Any]:
    """What `generate` is given."""
    if draft == FOREIGN:
        assistant = model(1, len(THEIRS))
        return {"assistant": assistant, "tokenizer": tokenizer(WORDS), "assistant_tokenizer": tokenizer(THEIRS)}
    return {"prompt_lookup_num_tokens": 2} if draft == "prompt lookup" else {"assistant": model(1)}


def with_drafts(draft: str, settings: dict[str, float]) -> float:
    """The worst total variation between what is generated with a draft and what the target alone would write."""
    target = model(0)
    alone = enumerated(target, PROMPT, max_new_tokens=NEW, eos_token_id=END, **settings)
    options: dict[str, Any] = {"max_new_tokens": NEW, "eos_token_id": END, "pad_token_id": 0, **settings}
    return max(
        total_variation(generated(target, PROMPT, **given(draft), **options), alone)
        for _ in range(ORDERS if draft == FOREIGN else 1)
    )


class Audited(NamedTuple):
    """One row of the table."""

    audited: str
    setting: str
    exact: bool
    distance: float
    """The worst total variation."""


def audits(only: str) -> Iterator[tuple[Audited, float]]:
    """What is audited, and the seconds it takes; `only` are words of its name."""
    began = time.process_time()
    if only in "_speculative_sampling":
        for length in (1, 2, 3):
            report = audit(speculative_sampling, drafter=Chain(length=length), trials=20)
            row = Audited("`_speculative_sampling`", f"chain:{length}, 20 cases", report.exact, report.distance)
            yield row, time.process_time() - began
            began = time.process_time()
    for draft in DRAFTS:
        for name, settings in SETTINGS.items():
            if only in f"`generate`, {draft}":
                distance = with_drafts(draft, settings)
                yield Audited(f"`generate`, {draft}", name, distance <= EXACT, distance), time.process_time() - began
                began = time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose first column has these words")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    hf.logging.set_verbosity_error()
    print(f"transformers {hf.__version__}, torch {torch.__version__}\n")
    print("| audited | settings | verdict | total variation | s |")
    print("| --- | --- | --- | --- | --- |")
    records = []
    for row, seconds in audits(given.only):
        verdict = "exact" if row.exact else "not exact"
        print(f"| {row.audited} | {row.setting} | {verdict} | {row.distance:.1e} | {seconds:.1f} |", flush=True)
        records.append({**row._asdict(), "depth": "replayed", "seconds": seconds})
    if given.json:
        made = {"name": "transformers", "version": hf.__version__, "torch": torch.__version__, "audits": records}
        given.json.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

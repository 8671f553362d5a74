"""Audits the prompt lookup of llama.cpp's Python package by samples, on a random model of seven ids.

Usage: audit_llama_cpp.py [--samples N] [--json FILE] | --write FILE
Needs llama-cpp-python and gguf. The law is that of the logits of plain steps; with a penalty the
same engine without drafts is sampled instead. `--write` keeps the model for its server, and ends.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

from crt_verify.audit.sampled import SampleReport, audit_samples, compare_samples

TOKENS = ("<unk>", "<s>", "</s>", "\u2581a", "\u2581b", "\u2581c", "\u2581d")
VOCABULARY, WIDTH, LAYERS, HEADS = len(TOKENS), 32, 2, 2
PROMPT = (3, 4, 5, 3, 4)
LENGTH = 4
WHOLE = {"temp": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
KNOWN = {
    "whole": {},
    "temperature 0.7": {"temp": 0.7},
    "top-k 3": {"top_k": 3},
    "top-p 0.8": {"top_p": 0.8},
    "min-p 0.2": {"min_p": 0.2},
}
"""Settings whose law is computed; one at a time, as filters see what others left."""
COMPARED = {"repeat penalty 1.3": {"repeat_penalty": 1.3}}
"""Settings that are compared with the engine without drafts."""


class Lookup(LlamaPromptLookupDecoding):
    """The package's drafts, counted."""

    rounds = drafted = 0

    def __call__(self, input_ids: Any, /, **more: Any) -> Any:
        """The ids that are drafted."""
        ids = super().__call__(input_ids, **more)
        self.rounds, self.drafted = self.rounds + 1, self.drafted + len(ids)
        return ids


def write(path: Path, seed: int) -> None:
    """A Llama with random weights."""
    generator = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types([2, 3, 3, 1, 1, 1, 1])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    square, wide = (WIDTH, WIDTH), (2 * WIDTH, WIDTH)
    shapes = {"token_embd": (VOCABULARY, WIDTH), "output": (VOCABULARY, WIDTH)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.attn_{name}": square for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.ffn_{name}": wide for name in ("gate", "up")} | {f"blk.{layer}.ffn_down": wide[::-1]}
    for name, shape in shapes.items():
        weights = generator.normal(size=shape) / WIDTH**0.5
        writer.add_tensor(f"{name}.weight", (1.5 * weights).astype(np.float32))
    norms = ("output_norm", *(f"blk.{layer}.{part}_norm" for layer in range(LAYERS) for part in ("attn", "ffn")))
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def engine(path: Path, lookup: Lookup | None) -> llama_cpp.Llama:
    """The engine, with drafts or without."""
    return llama_cpp.Llama(
        str(path),
        n_ctx=256,
        n_threads=1,
        n_threads_batch=1,
        logits_all=True,
        verbose=False,
        draft_model=lookup,
        n_gpu_layers=0,
    )


def box(model: llama_cpp.Llama, settings: dict[str, Any], seed: int) -> Callable[[int], list[list[int]]]:
    """Draws rows of ids, each with a seed of its own."""

    def draw(count: int) -> list[list[int]]:
        rows = []
        for own in np.random.default_rng(seed).integers(2**31, size=count):
            model.set_seed(int(own))
            ids = model.generate(list(PROMPT), **{**WHOLE, **settings})
            rows.append([next(ids) for _ in range(LENGTH)])
            ids.close()
        return rows

    return draw


def law(model: llama_cpp.Llama, settings: dict[str, Any]) -> Callable[[tuple[int, ...]], Any]:
    """The law of the next id, from the logits of a plain step."""

    @cache
    def row(prefix: tuple[int, ...]) -> Any:
        model.reset()
        model.eval([*PROMPT, *prefix])
        logits = np.array(model.scores[model.n_tokens - 1], np.float64)
        chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        order = np.argsort(-chances)
        before = np.concatenate([[0.0], chances[order].cumsum()[:-1]])
        kept = order[: settings.get("top_k", VOCABULARY)]
        kept = kept[(before < settings.get("top_p", 1.0))[: len(kept)]]
        kept = kept[chances[kept] >= settings.get("min_p", 0.0) * chances.max()]
        weights = np.zeros(VOCABULARY)
        weights[kept] = chances[kept] ** (1 / settings.get("temp", 1.0))
        return (weights / weights.sum()).tolist()

    return row


def main() -> None:
    """Prints a line for each setting."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--samples", type=int, default=20_000)
    words.add_argument("--json", type=Path)
    words.add_argument("--write", type=Path)
    given = words.parse_args()
    if given.write:
        write(given.write, seed=0)
        return
    records = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.gguf"
        write(path, seed=0)
        lookup = Lookup(max_ngram_size=2, num_pred_tokens=3)
        drafted, plain = engine(path, lookup), engine(path, None)
        for name, settings in (KNOWN | COMPARED).items():
            lookup.rounds = lookup.drafted = 0
            if name in KNOWN:
                report: SampleReport = audit_samples(
                    box(drafted, settings, 1), law(plain, settings), length=LENGTH, samples=given.samples
                )
            else:
                report = compare_samples(box(drafted, settings, 1), box(plain, settings, 2), samples=given.samples)
            print(f"{name}: {lookup.drafted} ids drafted in {lookup.rounds} rounds for {given.samples * LENGTH} ids")
            print(report, flush=True)
            kept = {"setting": name, "rounds": lookup.rounds, "drafted": lookup.drafted, **report.as_json()}
            records.append({"audited": "prompt lookup", **kept})
    if given.json:
        made = {"name": "llama-cpp-python", "version": llama_cpp.__version__, "audits": records}
        given.json.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

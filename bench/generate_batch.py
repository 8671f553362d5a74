"""Speed of a batch of ragged prompts: ours beside transformers' plain generation, whose drafting ways refuse batches.

Usage: generate_batch.py FOLDER [--dtype float32] [--new 112] [--json FILE]

Greedy, one thread, processor time, both in turn on each of five batches: eight prompts of `bench/prompts`, of all
kinds. Needs transformers, in an environment without torchvision.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from generate import PROMPTS, mean, prompts
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from crt_ar.llama.files import read_llama
from crt_basics.decoders.specs import Ancestral
from crt_nn.packed import pack
from crt_verify.lookup.spec import Lookup
from crtcore import Limits, Sampling
from crtcore.kinds import Decoder, Request

SIZE, BATCHES = 8, 5


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--new", type=int, default=112, help="new ids at most")
    parser.add_argument("--json", type=Path, help="a file for what was measured")
    args = parser.parse_args()
    torch.set_num_threads(1)
    dtype = getattr(torch, args.dtype)
    tokenizer = AutoTokenizer.from_pretrained(args.folder, local_files_only=True)
    peer = AutoModelForCausalLM.from_pretrained(args.folder, local_files_only=True, dtype=dtype).eval()
    prior = read_llama(args.folder, dtype=dtype).requires_grad_(False)
    print(pack(prior))
    stop = tokenizer.eos_token_id
    decoders: dict[str, Decoder] = {
        "plain": Ancestral().build(),
        "by cost": Lookup(nodes=32, depth=32, shape="cost").build(),
    }

    def theirs(rows: list[list[int]]) -> list[list[int]]:
        width = max(map(len, rows))
        ids = torch.tensor([[stop] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        new = peer.generate(
            ids, attention_mask=mask, max_new_tokens=args.new, do_sample=False, eos_token_id=stop, pad_token_id=stop
        )
        return [ended(row) for row in new[:, width:].tolist()]

    def ended(row: list[int]) -> list[int]:
        return row[: row.index(stop) + 1] if stop in row else row

    def ours(decoder: Decoder, rows: list[list[int]]) -> list[list[int]]:
        width = max(map(len, rows))
        prompt: Tensor = torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows])
        request = Request(prompt, Limits(length=args.new, stop=(stop,)), Sampling(temperature=0))
        return [[x for x in row if x >= 0] for row in decoder.generate(prior, request).ids.tolist()]

    kinds = prompts(sorted(path.stem for path in PROMPTS.glob("*.json")), tokenizer)
    every = [ids[0].tolist() for of_each_kind in zip(*kinds.values(), strict=True) for ids in of_each_kind]
    record: list[dict[str, float]] = []
    equal = dict.fromkeys(decoders, 0)
    with torch.inference_mode():
        for decoder in decoders.values():
            ours(decoder, [row[:16] for row in every[:SIZE]])  # warm up, and measure the cost of a step
        for batch in range(BATCHES):
            rows = [every[(batch * 4 + place) % len(every)] for place in range(SIZE)]
            began = time.process_time()
            expected = theirs(rows)
            rates = {"transformers": sum(map(len, expected)) / (time.process_time() - began)}
            for name, decoder in decoders.items():
                began = time.process_time()
                ids = ours(decoder, rows)
                rates[name] = sum(map(len, ids)) / (time.process_time() - began)
                equal[name] += sum(a == b for a, b in zip(ids, expected, strict=True))
            record.append(rates)
            said = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
            print(f"batch {batch}: ids a second: {said}", flush=True)
    for name in decoders:
        ratio = mean([rates[name] / rates["transformers"] for rates in record])
        print(f"{name} / transformers: {ratio:.2f}; ids equal in {equal[name]} of {SIZE * BATCHES} rows")
    if args.json:
        args.json.write_text(json.dumps({"dtype": args.dtype, "batches": record, "equal": equal}, indent=1) + "\n")


if __name__ == "__main__":
    main()

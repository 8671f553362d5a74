"""Milliseconds of a session's step by its nodes, of a Llama in a folder: as it is, packed, and that of transformers.

Usage: packed_step.py FOLDER [float32 | bfloat16]; `bench/smollm2.py` writes such a folder. One thread, processor time,
medians of 9, interleaved. Needs transformers, in an environment without torchvision.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

from crt_ar.llama.files import read_llama
from crt_nn.packed import pack

NODES = (1, 8, 16, 32)
BEHIND = 189
ROUNDS = 9
VOCABULARY = 32_000


def seconds(call: Callable[[], object]) -> float:
    """Processor time of a call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main(folder: Path, dtype: torch.dtype) -> None:
    """Prints a table."""
    torch.set_num_threads(1)
    ids = torch.randint(VOCABULARY, (1, BEHIND), generator=torch.Generator().manual_seed(0))
    peer = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype).eval()
    plain, packed = (read_llama(folder).requires_grad_(False).to(dtype) for _ in range(2))
    print(pack(packed))
    with torch.inference_mode():
        cache = DynamicCache()
        peer(ids, past_key_values=cache)
        sessions = [prior.open(ids, None, capacity=BEHIND + 1, room=max(NODES)) for prior in (plain, packed)]

        def ours(index: int, new: Tensor) -> float:
            taken = seconds(lambda: sessions[index].extend(new))
            sessions[index].commit(new[:, :0])
            return taken

        def theirs(new: Tensor) -> float:
            taken = seconds(lambda: peer(new, past_key_values=cache))
            cache.crop(-new.shape[1])
            return taken

        print(f"{'nodes':>6}{'plain':>9}{'packed':>9}{'transformers':>14}{'packed / theirs':>17}")
        for nodes in NODES:
            new = ids[:, :nodes]
            times = [(ours(0, new), ours(1, new), theirs(new)) for _ in range(ROUNDS)]
            one, two, peers = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
            print(f"{nodes:6}{one:9.1f}{two:9.1f}{peers:14.1f}{two / peers:17.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), getattr(torch, sys.argv[2] if len(sys.argv) > 2 else "float32"))

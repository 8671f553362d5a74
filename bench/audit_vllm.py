"""An audit of vLLM's rejection sampler in torch, as it stands in a wheel: `RejectionSampler.forward`.

Usage: audit_vllm.py WHEEL [--json FILE], with a wheel from `pip download --no-deps vllm==0.9.2`
vLLM itself is not installed: three modules that the sampler imports (settings, logging, platform) are replaced by
empty ones. Later versions sample in Triton kernels, which read uniforms from memory and cannot be followed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import tempfile
import time
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crt_verify.audit import audit, replayed
from crt_verify.drafters import Chain

FOLDER = "vllm/model_executor/layers"
FILES = ("rejection_sampler.py", "spec_decode_base_sampler.py")


def sampler(wheel: Path, into: Path) -> Any:
    """The class, from its two files alone."""
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            archive.extract(f"{FOLDER}/{name}", into)
    platform = types.SimpleNamespace(device_type="cpu", simple_compile_backend="eager")
    stand_ins: dict[str, dict[str, Any]] = {
        "vllm": {"__path__": []},
        "vllm.envs": {"VLLM_USE_FLASHINFER_SAMPLER": False},
        "vllm.logger": {"init_logger": logging.getLogger},
        "vllm.platforms": {"current_platform": platform},
        "vllm.model_executor": {"__path__": []},
        "vllm.model_executor.layers": {"__path__": [str(into / FOLDER)]},
    }
    for name, values in stand_ins.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(values)
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, sys.modules[name])
    return importlib.import_module("vllm.model_executor.layers.rejection_sampler").RejectionSampler


def verifier(kind: Any, *, seeded: bool) -> Any:
    """Its forward pass on one chain; the bonus id is drawn from the target, as the engine does."""

    def verify(tree: Any, p: Any, q: Any) -> list[int]:
        instance = kind(use_flashinfer=False)
        instance.init_tensors("cpu", "cpu")
        target, draft = (torch.from_numpy(np.array(rows)) for rows in (p, q))
        seeds = {0: torch.Generator().manual_seed(0)} if seeded else None
        bonus = torch.multinomial(target[-1:], 1)
        ids = torch.tensor([tree.tokens[1:]])
        return [x for x in instance(target[None], bonus, draft[None, :-1], ids, seeds)[0].tolist() if x >= 0]

    return replayed(verify)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", metavar="WHEEL", type=Path)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{given.wheel.name}\n")
    print("| audited | settings | verdict | total variation | s |\n| --- | --- | --- | --- | --- |")
    records = []
    with tempfile.TemporaryDirectory() as folder:
        kind = sampler(given.wheel, Path(folder))
        for length, trials in ((1, 20), (2, 10)):
            for seeded in (False, True):
                began = time.process_time()
                report = audit(verifier(kind, seeded=seeded), drafter=Chain(length=length), trials=trials)
                seconds = time.process_time() - began
                name = f"chain:{length}, {'a generator, ' if seeded else ''}{trials} cases"
                verdict = "exact" if report.exact else f"not exact: {report.diagnosis}"
                print(
                    f"| `RejectionSampler` | {name} | {verdict} | {report.distance:.1e} | {seconds:.1f} |", flush=True
                )
                records.append({"audited": "`RejectionSampler`", "setting": name, "exact": report.exact,
                                "distance": report.distance, "depth": "replayed", "seconds": seconds})  # fmt: skip
    if given.json:
        version = given.wheel.name.split("-")[1]
        made = {"name": "vLLM", "version": version, "torch": torch.__version__, "audits": records}
        given.json.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What this GPU is: its name and memory, the versions of what runs on it, and the rates of a copy and of a product.

Packages that are carried are imported; one that is installed and does not import is a failure. The copy counts bytes
read and bytes written; the product is one of two square matrices in bfloat16. Without a GPU it prints so, and writes
nothing.

Usage: python bench/gpu/facts.py [--rounds N] [--side N]
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
from typing import Any

import torch
from kept import keep
from machine import here
from speed import bandwidth

from crt_verify.kernels import device

ABSENT = "not installed"
MODULES = ("cattrs", "msgspec", "tomli", "tomli_w", "tvm_ffi", "xformers.ops", "flashinfer")
"""What is carried, as it is imported."""
TOOLS = (device.compiler(), "compute-sanitizer", "ncu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--side", type=int, default=8192)
    arguments = parser.parse_args()
    record: dict[str, Any] = {"machine": described(), "tools": {tool: version(tool) for tool in TOOLS}}
    record["imports"] = {module: imported(module) for module in MODULES}
    keep("facts", record)
    record["bytes a second of a copy"] = bandwidth(arguments.rounds)
    record["operations a second of a product"] = rate(arguments.side, arguments.rounds)
    keep("facts", record)
    copied, product = record["bytes a second of a copy"] / 1e12, record["operations a second of a product"] / 1e12
    broken = {module: problem for module, problem in record["imports"].items() if problem not in ("fine", ABSENT)}
    absent = [module for module, problem in record["imports"].items() if problem == ABSENT]
    print(f"imports: broken: {broken or 'none'}; not installed: {', '.join(absent) or 'none'}")
    print(f"{here().name}, torch {torch.__version__}: a copy {copied:.2f} TB/s, a product {product:.0f} TFLOP/s")
    sys.exit(bool(broken))


def imported(module: str) -> str:
    """Whether a package imports: `fine`, `not installed`, or the error."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        return ABSENT
    try:
        importlib.import_module(module)
    except Exception as problem:  # a package that does not fit raises anything
        return f"{type(problem).__name__}: {problem}"
    return "fine"


def described() -> dict[str, Any]:
    """The properties that torch reports of the GPU."""
    if here().rehearsed:
        return {"name": here().name, "processors": torch.get_num_threads()}
    about = torch.cuda.get_device_properties(0)
    names = ("name", "total_memory", "multi_processor_count", "L2_cache_size", "major", "minor")
    return {name: getattr(about, name, None) for name in names}


def version(tool: str) -> str:
    """The last line that a tool prints about its version."""
    path = shutil.which(tool) or shutil.which(f"/usr/local/cuda/bin/{tool}")
    if path is None:
        return "not there"
    ended = subprocess.run([path, "--version"], check=False, capture_output=True, text=True)
    return next(iter(reversed(ended.stdout.split("\n")[:-1])), "said nothing")


def rate(side: int, rounds: int) -> float:
    """Operations a second of a product of two matrices of random numbers."""
    one, other = (torch.randn(side, side, device=here().device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / (here().microseconds(lambda _: one @ other, rounds) * 1e-6)


if __name__ == "__main__":
    main()

"""What the GPU benches share: whether there is a GPU, and how results are kept and told to be stale."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

from crt_verify.kernels.build import source_hash

RESULTS = Path(__file__).resolve().parent.parent / "results"


def needs_gpu() -> None:
    """Ends the bench, as a success that has written nothing, where there is no GPU."""
    if not torch.cuda.is_available():
        print("not run: no GPU")
        sys.exit(0)


def keep(name: str, values: Any) -> None:
    """Writes results with the device, the versions and hashes of the kernels' sources and of the script."""
    script = Path(__file__).with_name(f"{name}.py")
    about = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "source": source_hash(),
        "script": hashlib.sha256(script.read_bytes()).hexdigest()[:16],
    }
    path = RESULTS / f"gpu-{name}.json"
    path.write_text(json.dumps({**about, "results": values}, indent=2) + "\n")
    print(f"kept in {path}")

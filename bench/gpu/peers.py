"""Compiles beforehand what other packages compile at first use, so that no measurement includes it."""

from __future__ import annotations

import importlib.util
import os
import time

from machine import here


def flashinfer() -> str:
    """How long FlashInfer's sampling kernels took to compile, or the reason why they did not; it raises nothing."""
    if importlib.util.find_spec("flashinfer") is None:
        return "not installed"
    if here().rehearsed:
        os.environ.setdefault("FLASHINFER_CUDA_ARCH_LIST", "9.0a")  # which it would ask the GPU for
    began = time.perf_counter()
    try:
        from flashinfer.jit.sampling import (  # type: ignore[import-not-found, unused-ignore]
            gen_sampling_module,
        )

        gen_sampling_module().build(verbose=False)
    except Exception as problem:  # a package that does not fit raises anything
        return f"not built: {' '.join(str(problem).split())[-300:] or type(problem).__name__}"
    return f"built in {time.perf_counter() - began:.0f} s"

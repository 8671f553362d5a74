"""Devices by name: peak rates and memory."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from crt_run.executors.local import processors

UTILISATION = 0.4
"""Assumed share of the peak rate (MFU) that a step reaches.

Source: Chowdhery et al. (2022), arXiv:2204.02311, table 3, where large models reach 21 to 46 %.
"""


class Device(NamedTuple):
    """Peak rates of dense matrix products, in FLOP/s, and memory."""

    float32: float
    bfloat16: float
    memory: float | None
    """Bytes; None: unknown."""

    def seconds(self, flops: float, precision: str) -> float:
        """Seconds that `flops` take at the assumed utilisation."""
        return flops / (UTILISATION * (self.bfloat16 if precision == "bfloat16" else self.float32))


CORE = 2 * 8 * 2 * 3e9
"""FLOP/s of a processor's core: two AVX2 units of eight float32 multiply-adds at 3 GHz."""
_CORES = processors()

DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "cpu": Device(CORE * _CORES, CORE * _CORES, None),  # the cores here; not all have bfloat16 units
        # NVIDIA's data sheets, without sparsity and without TF32, which torch leaves off: Ada (2022), A100 SXM 80 GB
        # (2021), H100 SXM (2023), H200 SXM (2024).
        "rtx-4090": Device(82.6e12, 165.2e12, 24e9),
        "a100": Device(19.5e12, 312e12, 80e9),
        "h100": Device(67e12, 989e12, 80e9),
        "h200": Device(67e12, 989e12, 141e9),
    }
)

"""Devices by name: peak rates, memory and links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import click

from crt_run.executors.local import processors

UTILISATION = 0.4
"""Assumed share of the peak rate (MFU) that a step reaches.

Source: Chowdhery et al. (2022), arXiv:2204.02311, table 3, where large models reach 21 to 46 %.
"""


NODE = 8
"""Devices of one node: those of NVIDIA's DGX and HGX."""


class Device(NamedTuple):
    """Peak rates of dense matrix products, in FLOP/s, memory, and what a device sends to others."""

    float32: float
    bfloat16: float
    memory: float | None
    """Bytes; None: unknown."""
    link: float | None = None
    """Bytes a second that a device sends to those of its node; None: unknown."""
    network: float | None = None
    """Bytes a second that a whole node sends to others; None: unknown."""

    def seconds(self, flops: float, precision: str) -> float:
        """Seconds that `flops` take at the assumed utilisation."""
        return flops / (UTILISATION * (self.bfloat16 if precision == "bfloat16" else self.float32))

    def rate(self, count: int) -> float | None:
        """Bytes a second that each of `count` devices in a ring sends; None: unknown.

        Between nodes a ring goes through each network card of a node once, so a node's cards share its traffic.
        """
        if count <= NODE or self.link is None:
            return self.link
        return None if self.network is None else min(self.link, self.network)


CORE = 2 * 8 * 2 * 3e9
"""FLOP/s of a processor's core: two AVX2 units of eight float32 multiply-adds at 3 GHz."""
_CORES = processors()

DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "cpu": Device(CORE * _CORES, CORE * _CORES, None),  # the cores here; not all have bfloat16 units
        # NVIDIA's data sheets, without sparsity and without TF32, which torch leaves off: Ada (2022), A100 SXM 80 GB
        # (2021), H100 SXM (2023), H200 SXM (2024). Links, each way: half of what the sheets give for NVLink (600 and
        # 900 GB/s) and PCI Express 4.0 x16; network: eight cards of 200 Gb/s (DGX A100) or 400 Gb/s (DGX H100, H200).
        "rtx-4090": Device(82.6e12, 165.2e12, 24e9, 31.5e9),
        "a100": Device(19.5e12, 312e12, 80e9, 300e9, 200e9),
        "h100": Device(67e12, 989e12, 80e9, 450e9, 400e9),
        "h200": Device(67e12, 989e12, 141e9, 450e9, 400e9),
    }
)


class Devices(NamedTuple):
    """A number of equal devices, a rank on each."""

    number: int
    name: str

    @property
    def kind(self) -> Device:
        """What each of them is."""
        return DEVICES[self.name]

    def __str__(self) -> str:
        return self.name if self.number == 1 else f"{self.number}x{self.name}"


MOST = 100_000
"""The most devices that are counted."""


def devices_named(text: str) -> Devices:
    """The devices that `h100`, or `8xH100` for eight of them, names.

    Raises: click.BadParameter if nothing is known of them, or there is none.
    """
    count, name = re.fullmatch(r"(?:([0-9]{1,9})\s*x\s*)?(.*)", text.strip().lower(), re.DOTALL).groups()  # type: ignore[union-attr]
    if name not in DEVICES:
        known = ", ".join(DEVICES)
        raise click.BadParameter(f"expected a device, such as h100 or 8xh100, got {text!r}; known: {known}")
    if not 1 <= int(count or 1) <= MOST:
        raise click.BadParameter(f"expected 1 to {MOST:,} devices, got {text!r}")
    return Devices(int(count or 1), name)

"""The components and commands of this package."""

from __future__ import annotations

import click

from crt_hf.spec import HuggingFace
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The prior."""
    return [
        Component(
            "huggingface",
            spec=HuggingFace,
            summary="a causal language model of transformers from a folder, frozen",
            examples=(HuggingFace(folder="data/SmolLM2-135M-Instruct"),),
        )
    ]


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt generate` and `crt distill`."""
    from crt_hf.command import generate
    from crt_hf.distill_command import distill

    return [generate, distill]

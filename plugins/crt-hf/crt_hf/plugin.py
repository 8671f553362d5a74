"""The components and commands of this package."""

from __future__ import annotations

import click

from crt_hf.spec import DistilledDraft, HuggingFace
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The priors."""
    return [
        Component(
            "huggingface",
            spec=HuggingFace,
            summary="a causal language model of transformers from a folder, frozen",
            examples=(HuggingFace(folder="data/SmolLM2-135M-Instruct"),),
        ),
        Component(
            "distilled-draft",
            spec=DistilledDraft,
            summary="a draft of `crt distill`, over the ids of its target, frozen",
            examples=(DistilledDraft(folder="data/SmolLM2-draft"),),
        ),
    ]


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt generate` and `crt distill`."""
    from crt_hf.command import generate
    from crt_hf.distill_command import distill

    return [generate, distill]

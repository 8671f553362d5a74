"""Specs of the priors, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import attrs

from crtcore.kinds import PriorSpec
from crtcore.spec import FILES, resolve


@attrs.frozen(kw_only=True)
class HuggingFace(PriorSpec):
    """A causal language model of transformers, from a folder with its configuration and safetensors, frozen.

    The first position is `bos_token_id`, or else the first `eos_token_id`; a row that begins with that id has it as its
    first position. A model with neither reads rows as they are, and the first id of a row is uniform.
    """

    implementation: ClassVar[str] = "crt_hf.build:build"
    pretrained: ClassVar[bool] = True

    folder: str = attrs.field(metadata=FILES)
    """Folder of `config.json` and `model.safetensors`, or its shards, relative to the working directory."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights; `auto` is that of the folder."""

    def example_in(self, folder: Path) -> HuggingFace:
        """Returns the spec with a small model written to `folder`."""
        return attrs.evolve(self, folder=resolve("crt_hf.build:small")(folder / "model"))


@attrs.frozen(kw_only=True)
class DistilledDraft(PriorSpec):
    """A small model in a folder that `crt distill` wrote, over the ids of its target, frozen.

    It is to draft: ids that it does not have are read as one unknown id, and have probability 0. Decoders with drafts
    keep the target's distribution all the same. Rows are read as they are, without a start id; classes change nothing.
    Source: Timor et al. (2025), arXiv:2502.05202, algorithm 4, for drafts over common ids.
    """

    implementation: ClassVar[str] = "crt_hf.distilled:build"
    pretrained: ClassVar[bool] = True

    folder: str = attrs.field(metadata=FILES)
    """Folder of the draft: `config.json`, `model.safetensors` and `draft.json`, relative to the working directory."""
    attention: Literal["auto", "xformers", "sdpa"] = "auto"
    """Backend of attention; `auto` is xformers where it is installed and runs, torch elsewhere."""

    def example_in(self, folder: Path) -> DistilledDraft:
        """Returns the spec with a small draft written to `folder`."""
        return attrs.evolve(self, folder=resolve("crt_hf.distilled:small")(folder / "draft"))

"""Spec of the prior, free of torch."""

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

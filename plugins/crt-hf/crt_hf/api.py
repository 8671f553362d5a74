"""What `crt_hf` exports, once transformers can be imported."""

from __future__ import annotations

from crt_hf.library import transformers

transformers()

from crt_hf.custom import custom_generate  # noqa: E402
from crt_hf.distilling.distill import distill  # noqa: E402
from crt_hf.generation import Result, generate  # noqa: E402
from crt_hf.model import Model  # noqa: E402
from crt_hf.promises import certificate  # noqa: E402

__all__ = ["Model", "Result", "certificate", "custom_generate", "distill", "generate"]

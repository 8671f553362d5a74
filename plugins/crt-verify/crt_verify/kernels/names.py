"""The rules that there is device code of, in its order; free of torch."""

from __future__ import annotations

from typing import Any

NAMES = ("single", "multiround", "recursive", "kseq", "block", "greedy", "target-only", "traversal", "traversal-iid")
"""As `Rule` in walk.cuh; `traversal-iid` is traversal of siblings that were drawn with replacement."""

LAWS = {
    "probabilities": "Given<float>",
    "logits_float32": "Fused<float>",
    "logits_bfloat16": "Fused<crt::BFloat16>",
    "logits_float16": "Fused<crt::Half>",
}
"""What rows may be, as device code calls them; each is a library of its own."""


def number(name: str, **keywords: Any) -> int:
    """Which of `NAMES` a rule is that `crt_verify.rule` makes of the same words."""
    return NAMES.index("traversal-iid" if name == "traversal" and keywords["replacement"] else name)

"""The rules of the device code, in its order; free of torch."""

from __future__ import annotations

from typing import Any

NAMES = (
    *("single", "multiround", "recursive", "kseq", "block", "greedy", "target-only", "traversal", "traversal-iid"),
    "multi-block",
)
"""The order of `Rule` in walk.cuh; `traversal-iid` is traversal of siblings drawn with replacement."""

ROWS = {
    "probabilities": "Probabilities<float>",
    "logits_float32": "Logits<float>",
    "logits_bfloat16": "Logits<crt::BFloat16>",
    "logits_float16": "Logits<crt::Half>",
}
"""The kinds of rows, with the type that reads them in rows.cuh; each kind is a library of its own."""


def number(name: str, **keywords: Any) -> int:
    """The place in `NAMES` of the rule that `crt_verify.rule` returns for the same arguments."""
    return NAMES.index("traversal-iid" if name == "traversal" and keywords["replacement"] else name)

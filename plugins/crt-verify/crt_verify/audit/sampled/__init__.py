"""The sampled depth of an audit: a black box that only draws, tested against a known law or against another box."""

from __future__ import annotations

from crt_verify.audit.sampled.audit import audit_samples, compare_samples
from crt_verify.audit.sampled.report import Cell, SampleReport

__all__ = ["Cell", "SampleReport", "audit_samples", "compare_samples"]

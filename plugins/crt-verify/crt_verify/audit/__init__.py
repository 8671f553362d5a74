"""Audits of verifiers: whether what they emit has the target's distribution, by following every branch."""

from __future__ import annotations

from crt_verify.audit.audit import audit
from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.replays.replay import replay, replayed
from crt_verify.audit.report import Failure, Report

__all__ = ["Failure", "NotFollowed", "Report", "audit", "replay", "replayed"]

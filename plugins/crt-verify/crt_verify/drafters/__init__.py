"""Drafters: torch-free descriptions of how a tree of drafted ids is sampled; `build` makes the tree builder."""

from __future__ import annotations

from crt_verify.drafters.beam import Beam
from crt_verify.drafters.branching import Branching
from crt_verify.drafters.chain import Chain
from crt_verify.drafters.drafter import Drafter, draft_distribution
from crt_verify.drafters.greedy_top import GreedyTop
from crt_verify.drafters.likeliest import Likeliest
from crt_verify.drafters.paths import Paths

__all__ = ["Beam", "Branching", "Chain", "Drafter", "GreedyTop", "Likeliest", "Paths", "draft_distribution"]

"""Speculative decoding keeps the laws of decoders."""

from __future__ import annotations

from crt_verify.specs import SpeculativeDecoding

from crtcore.testing import obeys

test_chains_of_one = obeys(SpeculativeDecoding(length=1))
test_chains_of_two = obeys(SpeculativeDecoding(length=2))
test_chains_of_three = obeys(SpeculativeDecoding(length=3))

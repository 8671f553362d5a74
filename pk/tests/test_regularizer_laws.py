"""The laws of regularisers hold for a linear chain."""

from __future__ import annotations

from crt_laws import obeys
from crt_laws.toys import Chain

test_a_linear_chain = obeys(Chain())

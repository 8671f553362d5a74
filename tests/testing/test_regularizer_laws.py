"""The laws of regularisers hold for a linear chain."""

from __future__ import annotations

from crtcore.testing import obeys
from crtcore.testing.toys import Chain

test_a_linear_chain = obeys(Chain())

"""The laws of bottlenecks hold for `fsq`."""

from __future__ import annotations

from crt_basics.bottlenecks.specs import FSQ
from crt_laws import obeys

test_odd_levels = obeys(FSQ(levels=(5, 5, 5)))
test_odd_and_even_levels = obeys(FSQ(levels=(8, 5, 4)))
test_two_levels = obeys(FSQ(levels=(2,)))

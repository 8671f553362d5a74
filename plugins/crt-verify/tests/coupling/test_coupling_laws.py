"""The decoders by shared randomness keep the laws of decoders."""

from __future__ import annotations

from crt_laws import obeys
from crt_verify.coupling.spec import GumbelList, Jacobi

test_the_earliest = obeys(GumbelList(branching=(2, 1)))
test_own_times = obeys(GumbelList(branching=(3, 1), siblings="own-times"))
test_a_window = obeys(Jacobi(window=3))
test_a_window_by_arrival_times = obeys(Jacobi(window=3, coupling="gumbel"))
test_a_window_of_independent_drafts = obeys(Jacobi(window=3, coupling="independent"))

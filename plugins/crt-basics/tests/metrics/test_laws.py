"""The laws of metrics hold for those of crt-basics."""

from __future__ import annotations

from crt_basics.metrics.specs import CodeLength, Frechet, KernelDistance
from crt_laws import obeys

test_the_code_length = obeys(CodeLength())
test_the_usual_frechet_distance = obeys(Frechet())
test_a_frechet_distance_in_one_dimension = obeys(Frechet(dimensions=1))
test_the_usual_kernel_distance = obeys(KernelDistance())
test_a_kernel_distance_of_few_subsets = obeys(KernelDistance(dimensions=3, subsets=2))

"""Every decoder keeps the laws of decoders, on its examples."""

from __future__ import annotations

from crt_laws import obeys
from crt_verify import plugin, specs

_BEAM = next(each for each in plugin.crt_components() if each.name == "rsd-s")

test_chains_of_one = obeys(specs.SpeculativeDecoding(length=1))
test_chains_of_two = obeys(specs.SpeculativeDecoding(length=2))
test_chains_of_three = obeys(specs.SpeculativeDecoding(length=3))
test_chains_verified_as_a_whole = obeys(specs.BlockVerification(length=3))
test_independent_paths = obeys(specs.SpecTr(paths=2, length=2))
test_independent_paths_as_blocks = obeys(specs.MultiBlock(paths=2, length=2))
test_a_delayed_tree = obeys(specs.RSDC(branching=(1, 2)))
test_a_delayed_tree_from_the_leaves = obeys(specs.TraversalVerification(branching=(1, 2)))
test_distinct_siblings = obeys(specs.RSDC(branching=(2, 1)))
test_distinct_siblings_from_the_leaves = obeys(specs.TraversalVerification(branching=(2, 1)))
test_likely_siblings = obeys(specs.GreedyTree(branching=(2, 1)))
test_beams = obeys(specs.RSDS(width=2, length=3), departs=_BEAM.departs)

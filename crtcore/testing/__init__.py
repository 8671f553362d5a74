"""The conformance kit, for the tests of any plugin: `test_a_small_book = obeys(VQ(codes=16))`."""

from crtcore.testing.benches import benches, obeys
from crtcore.testing.kit import Bench, Law, Offender, law

__all__ = ["Bench", "Law", "Offender", "benches", "law", "obeys"]

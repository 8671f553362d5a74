"""The conformance kit, for the tests of any plugin: `test_a_small_book = obeys(VQ(codes=16))`."""

from crt_laws.benches import benches, obeys
from crt_laws.kit import Bench, Law, Offender, law

__all__ = ["Bench", "Law", "Offender", "benches", "law", "obeys"]

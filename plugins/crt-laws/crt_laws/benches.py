"""The bench of each kind that has laws, and a test of each law of a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crt_laws.kit import Bench, Law
from crt_laws.laws import bottleneck, dataset, decoder, prior, regularizer, tokenizer
from crtcore.spec import Spec


def benches() -> dict[str, Bench]:
    """The bench of each kind that has laws."""
    modules = (tokenizer, bottleneck, prior, regularizer, decoder, dataset)
    return {module.BENCH.kind: module.BENCH for module in modules}


def obeys(spec: Spec, departs: Mapping[str, str] | None = None) -> Callable[..., None]:
    """A test function with one visible case for each law of the spec's kind.

    `departs` maps a law's name to the reason why it cannot hold: a strict expected failure.
    """
    import pytest

    bench = benches()[spec.kind]
    departs = departs or {}
    unknown = set(departs) - {law.name for law in bench.laws}
    assert not unknown, f"no law of a {spec.kind} is called {sorted(unknown)}"

    def marks(name: str) -> list[pytest.MarkDecorator]:
        return [pytest.mark.xfail(strict=True, reason=departs[name])] if name in departs else []

    @pytest.mark.parametrize("law", [pytest.param(law, id=law.name, marks=marks(law.name)) for law in bench.laws])
    def test(law: Law) -> None:
        assert law.attempt(bench.subject(spec)) > 0

    return test

"""The bench of each kind, and a test for each law of a spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import attrs

from crt_laws.kit import EXAMPLES, Attempt, Bench, Broken, Law, NotApplicable, Unchecked
from crt_laws.laws import (
    bottleneck,
    dataset,
    decoder,
    executor,
    experiment,
    implementation,
    metric,
    prior,
    regularizer,
    tokenizer,
)
from crtcore.kinds import KINDS
from crtcore.spec import Spec

_BENCHES = {
    module.BENCH.kind: module.BENCH
    for module in (tokenizer, bottleneck, prior, regularizer, decoder, dataset, metric, experiment, executor)
}


def benches() -> dict[str, Bench]:
    """The bench of each kind: the laws of every spec, then those of the kind."""
    own = {kind: _BENCHES.get(kind, Bench(kind, lambda spec: spec)) for kind in KINDS}
    return {
        kind: attrs.evolve(
            bench, laws=(*implementation.LAWS, *bench.laws), offenders=(*implementation.OFFENDERS, *bench.offenders)
        )
        for kind, bench in own.items()
    }


def attempt(spec: Spec, name: str, examples: int = EXAMPLES) -> Attempt:
    """Tests a spec's component against the law called `name`, on the same inputs as `obeys`.

    Raises: KeyError if there is no such law; NotApplicable; Broken; Unchecked.
    """
    bench = benches()[spec.kind]
    law = {law.name: law for law in bench.laws}[name]
    return law.attempt(bench.subject_of(law, spec), examples)


def obeys(spec: Spec, departs: Mapping[str, str] | None = None) -> Callable[..., None]:
    """A test function with one visible case for each law of the spec's kind.

    A law that does not apply is a skipped case, with the reason; it fails if no other law applies either. `departs`
    maps a law's name to the reason why the component cannot keep it: an expected failure, and a failure if the law
    holds or does not apply.
    """
    import pytest

    bench = benches()[spec.kind]
    departs = departs or {}
    unknown = set(departs) - {law.name for law in bench.laws}
    assert not unknown, f"no law of a {spec.kind} is called {sorted(unknown)}"

    @pytest.mark.parametrize("law", bench.laws, ids=lambda law: law.name)
    def test(law: Law) -> None:
        departure = departs.get(law.name)
        subject = bench.subject_of(law, spec)
        try:
            law.attempt(subject)
        except NotApplicable as reason:
            if departure:
                pytest.fail(f"not applicable: {reason} (remove the departure)")
            if all(each.not_applicable(bench.subject_of(each, spec)) for each in bench.laws):
                pytest.fail(f"nothing is checked: no law applies to {spec!r}")
            pytest.skip(f"not applicable: {reason}")
        except Unchecked:
            raise
        except Exception as error:
            if departure:
                pytest.xfail(departure)
            if isinstance(error, Broken):
                error.add_note(f"Reproduce in Python: {_call(spec, law)}")
            raise
        if departure:
            pytest.fail(f"unexpectedly holds (remove the departure): {departure}")

    return test


def _call(spec: Spec, law: Law) -> str:
    """The Python line that tests the law again."""
    imports = sorted({f"from {part.__module__} import {part.__name__}" for part in _classes(spec)})
    return "; ".join(["from crt_laws import attempt", *imports, f"attempt({spec!r}, {law.name!r})"])


def _classes(value: object) -> Iterator[type]:
    """The attrs classes that the repr of a value names."""
    if attrs.has(type(value)):
        yield type(value)
        for each in attrs.asdict(value, recurse=False).values():  # type: ignore[arg-type]
            yield from _classes(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from _classes(each)

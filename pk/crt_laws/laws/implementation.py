"""The laws of every spec, whatever its kind."""

from __future__ import annotations

from types import SimpleNamespace

from crt_laws.checks import check
from crt_laws.kit import OF_SPECS, Checks, Offender, Where, law, laws_in
from crtcore.kinds import KINDS
from crtcore.spec import Spec, resolve


def inherits_build(spec: Spec) -> bool:
    """True if the `build` of a spec is that of its kind, which calls the implementation."""
    return next(part for part in type(spec).__mro__ if "build" in vars(part)) in (Spec, KINDS[spec.kind])


NAMED = Where(
    lambda spec: hasattr(spec, "implementation") or inherits_build(spec), "its own `build` calls no implementation"
)


@law(OF_SPECS, where=NAMED)
def its_implementation_is_callable(spec: Spec) -> Checks:
    """`implementation`, as `package.module:name`, names something that can be called."""
    part = resolve(spec.implementation)

    yield check(callable(part), f"{spec.implementation} is {part!r}")


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(
        its_implementation_is_callable,
        lambda spec: SimpleNamespace(kind=spec.kind, implementation=spec.implementation + "_misspelt"),
    ),
    Offender(
        its_implementation_is_callable,
        lambda spec: SimpleNamespace(kind=spec.kind, implementation="crt_laws.kit:EXAMPLES"),
    ),
)

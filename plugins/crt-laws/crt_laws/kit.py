"""The conformance kit: what a law is, and how a component is tested against it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import attrs
import hypothesis
from hypothesis.errors import HypothesisException, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from crtcore.errors import in_one_line
from crtcore.spec import Spec

EXAMPLES = 25
OF_SPECS = "spec"
"""The kind of a law that takes the spec itself, whatever its kind."""


class Check(NamedTuple):
    """One assertion of a law."""

    holds: bool
    observed: str
    """What was observed, for the message if it does not hold."""


Checks: TypeAlias = Iterator[Check]
"""What a law yields."""


class Where(NamedTuple):
    """To which components a law applies."""

    applies: Callable[[Any], bool]
    otherwise: str
    """Why the law does not apply to the others."""


class Attempt(NamedTuple):
    """How much was checked."""

    tried: int
    """Examples in which at least one check was made."""
    checks: int


class NotApplicable(Exception):
    """The law does not apply to the component; the message is the reason."""


class Unchecked(Exception):
    """The law applies, and made no check."""


class Broken(AssertionError):
    """The component breaks the law; the message is what the law demands, what was observed, and with which inputs."""

    def __init__(self, law: Law, observed: str, drawn: Mapping[str, object]) -> None:
        inputs = ", ".join(f"{name}={value!r}" for name, value in drawn.items())
        super().__init__(f"demands: {law.summary}; observed: {observed}" + (f", where {inputs}" if inputs else ""))


@attrs.frozen
class Law:
    """A promise of a kind: a generator function that yields checks. Its docstring states the promise."""

    kind: str
    name: str
    statement: str
    summary: str
    """The first sentence of the statement."""
    where: Where | None
    _check: Callable[..., Checks]
    _drawn: Mapping[str, SearchStrategy[Any]]

    def not_applicable(self, subject: object) -> str | None:
        """Why the law does not apply to a component; None if it does."""
        return None if self.where is None or self.where.applies(subject) else self.where.otherwise

    def attempt(self, subject: object, examples: int = EXAMPLES) -> Attempt:
        """Tests a built component on drawn inputs, the same ones every time; fewer if hypothesis' profile has fewer.

        Raises: NotApplicable; Broken; Unchecked if no input led to a check.
        """
        if reason := self.not_applicable(subject):
            raise NotApplicable(reason)
        tried = checks = 0

        def body(**drawn: Any) -> None:
            nonlocal tried, checks
            made = self._checked(subject, drawn)
            tried += made > 0
            checks += made

        most = min(examples, hypothesis.settings().max_examples)
        rules = hypothesis.settings(
            max_examples=most, deadline=None, derandomize=True, database=None, print_blob=False,
            suppress_health_check=list(hypothesis.HealthCheck), report_multiple_bugs=False,
            verbosity=hypothesis.Verbosity.quiet, phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        )  # fmt: skip
        try:
            (rules(hypothesis.given(**self._drawn)(body)) if self._drawn else body)()
        except Unsatisfiable as error:
            raise Unchecked("nothing was checked: no drawn input was accepted") from error
        if not checks:
            raise Unchecked("nothing was checked: the law yielded no check for any drawn input")
        return Attempt(tried, checks)

    def _checked(self, subject: object, drawn: Mapping[str, Any]) -> int:
        """The number of checks made for one example.

        Raises: Broken if one does not hold, or the component raises.
        """
        checks = 0
        try:
            for holds, observed in self._check(subject, **drawn):
                if not holds:
                    raise Broken(self, observed, drawn)
                checks += 1
        except (Broken, HypothesisException, KeyboardInterrupt):
            raise
        except BaseException as error:  # also one that would end or skip the test
            if type(error).__module__.partition(".")[0] == "hypothesis":
                raise
            raise Broken(self, in_one_line(error), drawn) from error
        return checks


def law(kind: str, where: Where | None = None, **drawn: SearchStrategy[Any]) -> Callable[[Callable[..., Checks]], Law]:
    """Makes a law of a generator function of a built component and drawn inputs.

    Raises: TypeError if the function yields nothing, ValueError if it has no docstring.
    """

    def make(check: Callable[..., Checks]) -> Law:
        if not inspect.isgeneratorfunction(inspect.unwrap(check)):
            raise TypeError(f"{check.__name__}: expected a generator function that yields checks, got {check!r}")
        paragraphs = [" ".join(text.split()) for text in (inspect.getdoc(check) or "").split("\n\n")]
        if not paragraphs[0]:
            raise ValueError(f"{check.__name__}: expected a docstring that states the law, got none")
        summary = paragraphs[0].removesuffix(".")
        return Law(kind, check.__name__.replace("_", "-"), " ".join(paragraphs), summary, where, check, drawn)

    return make


@attrs.frozen
class Offender:
    """A component that breaks one law on purpose, to show that the law can fail."""

    law: Law
    plant: Callable[[Any], object]
    """Makes a component that breaks the law of a sound one."""
    also: frozenset[str] = frozenset()
    """Names of the laws that it cannot avoid breaking too."""


@attrs.frozen
class Bench:
    """How the components of a kind are tested: the laws, and how a spec is built for them."""

    kind: str
    subject: Callable[[Any], object]
    """Builds a spec, in float64 under a fixed seed, as what the laws of the kind take."""
    laws: tuple[Law, ...] = ()
    offenders: tuple[Offender, ...] = ()

    def subject_of(self, law: Law, spec: Spec) -> object:
        """What `law` takes of `spec`: the built component, or the spec itself.

        Raises: what building it raises; RuntimeError in place of what would end or skip the test, such as SystemExit.
        """
        try:
            return spec if law.kind == OF_SPECS else self.subject(spec)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise RuntimeError(f"building it raised {in_one_line(error)}") from error


def laws_in(names: Mapping[str, object]) -> tuple[Law, ...]:
    """The laws among a module's names, in the order in which they are written."""
    return tuple(value for value in names.values() if isinstance(value, Law))

"""Audits a verifier: the law of what it emits against the target's, every branch followed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.cases import cases, smaller
from crt_verify.audit.law import Case, Verify, completed, emitted
from crt_verify.audit.mistakes import mistakes
from crt_verify.audit.report import Failure, Report
from crt_verify.drafters import Chain, Drafter, draft_distribution

TOLERANCE = 1e-12
"""The total variation up to which a case is exact; rounding gives some 1e-16."""
COMPARED = 8
"""Failing cases in which a known mistake must have the same law, to 1e-9."""


class Wrong(Exception):
    """What a verifier raised."""


def audit(
    verify: Verify, *, drafter: Drafter | None = None, vocabulary: int = 3, trials: int = 200, seed: int = 0
) -> Report:
    """Follows every branch of a verifier in random cases, and compares what it emits with the target.

    `verify(tree, p, q, rng)` takes one drafted tree, with `children(node)` and `token(node)` from the root, node 0; the
    rows `p[node]` and `q[node]` of the target and of the draft after each node; and returns the ids that are emitted.
    It draws by `rng.accept(probability)` and `rng.choice(weights)` alone. Trees are those of `drafter`; None: chains of
    two ids.
    Faults in how noise is shared are invisible with fewer than three ids.
    Raises: ValueError if there are fewer than two ids or no trial, or if the drafter's trees cannot be enumerated;
    NotFollowed, a ValueError, if the verifier draws in a way that has no branches, so that there is no verdict.
    """
    drafter = Chain(length=2) if drafter is None else drafter
    if vocabulary < 2 or trials < 1:
        raise ValueError(f"expected two ids or more and a trial or more, got {vocabulary} and {trials}")
    next(iter(draft_distribution(drafter, [1 / vocabulary] * vocabulary)))
    failures: list[Failure] = []
    worst, count = 0.0, 0
    last: Failure | None = None
    try:
        for case in cases(drafter, vocabulary, trials, seed):
            last = failure = tried(verify, case)
            count += 1
            worst = max(worst, failure.distance)
            if failure.distance > TOLERANCE:
                failures.append(failure)
        if not failures:
            return Report(exact=True, distance=worst, cases=count, shown=last)
        mistake = _named(verify, drafter, failures[:COMPARED])
        return Report(False, worst, count, _smallest(verify, drafter, vocabulary, trials, seed) or failures[0], mistake)
    except Wrong as error:
        return Report(False, 1.0, count + 1, None, str(error))


def tried(verify: Verify, case: Case) -> Failure:
    """The law of a verifier beside the target's.

    Raises: Wrong if it raises, or emits or draws by what cannot be.
    """
    try:
        own = completed(emitted(verify, case), case)
    except NotFollowed:
        raise
    except (Exception, SystemExit) as error:  # a verifier that ends the process must not end it with status 0
        raise Wrong(f"the verifier raises {type(error).__name__}: {error}") from error
    return Failure(case, tuple(own.tolist()), tuple(completed({(): 1.0}, case).tolist()))


def _named(verify: Verify, drafter: Drafter, failures: Iterable[Failure]) -> str | None:
    """The known mistake with the law of all failures; None: there is none."""
    alike = mistakes(drafter)
    for failure in failures:
        for name, known in list(alike.items()):
            try:
                law = completed(emitted(known, failure.case), failure.case)
            except ValueError:
                law = np.zeros(1)
            if len(law) != len(failure.emitted) or np.abs(law - failure.emitted).max() > 1e-9:
                del alike[name]
    return next(iter(alike), None)


def _smallest(verify: Verify, drafter: Drafter, vocabulary: int, trials: int, seed: int) -> Failure | None:
    """The worst case of the smallest kind that fails, with simple rows where these show it."""
    for short, ids in smaller(drafter, vocabulary):
        for simple in (True, False):
            some = (tried(verify, case) for case in cases(short, ids, min(trials, 40), seed, simple=simple))
            failures = [failure for failure in some if failure.distance > TOLERANCE]
            if failures:
                return max(failures, key=lambda failure: failure.distance)
    return None

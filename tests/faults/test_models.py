"""Every decoder refuses a model that misbehaves, by one error that names it, or returns the ids it would without."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import Tensor

from crt_basics.decoders.ancestral import AncestralDecoder
from crt_basics.priors.table import TablePrior
from crt_verify.coupling.spec import GumbelList, Jacobi
from crt_verify.drafters import Beam, Branching, Chain, Drafter, GreedyTop, Likeliest, Paths
from crt_verify.pairing import EXACT
from crt_verify.tree_decoder import TreeDecoder
from crtcore import Limits, Sampling
from crtcore.errors import PriorError
from crtcore.kinds import Decoder, Request

VOCABULARY = 5
SMALL: dict[type[Drafter], Drafter] = {
    Chain: Chain(length=3),
    Paths: Paths(paths=2, length=2),
    Branching: Branching(branching=(2, 1)),
    Beam: Beam(width=2, length=2),
    GreedyTop: GreedyTop(branching=(2, 1)),
    Likeliest: Likeliest(width=2, length=2, size=3),
}
PAIRS = [(SMALL[kind], rule) for rule, kinds in EXACT.items() for kind in kinds]
COUPLED = [
    *(GumbelList(branching=(2, 1), siblings=siblings) for siblings in ("earliest", "own-times")),
    *(Jacobi(window=3, coupling=coupling) for coupling in ("maximal", "gumbel", "independent")),
]
DECODERS: list[Decoder] = [
    AncestralDecoder(),
    *(TreeDecoder(drafter, rule) for drafter, rule in PAIRS),
    *(spec.build() for spec in COUPLED),
]


class Own(Exception):
    """An exception of the model."""


RAISED = (Own, RuntimeError, ValueError, KeyError, AttributeError, TypeError, StopIteration, AssertionError, OSError)


def wider(logits: Tensor) -> Tensor:
    return torch.cat([logits, logits[..., :1]], -1)


def one_more(logits: Tensor) -> Tensor:
    return torch.cat([logits, logits[:1]])


OTHER: dict[str, Callable[[Tensor], Any]] = {
    "wider": wider,
    "narrower": lambda logits: logits[..., :-1],
    "one id": lambda logits: logits[..., :1],
    "a row more": one_more,
    "a row less": lambda logits: logits[:-1],
    "a node more": lambda logits: torch.cat([logits, logits[:, :1]], 1),
    "an axis more": lambda logits: logits[..., None],
    "an axis less": lambda logits: logits.flatten(),
    "no axis": lambda logits: logits.sum(),
    "swapped axes": lambda logits: wider(logits).transpose(0, -1),
    "empty": lambda logits: logits[..., :0],
    "int64": lambda logits: logits.long(),
    "bool": lambda logits: logits > 0,
    "complex": lambda logits: logits.to(torch.complex64),
    "None": lambda logits: None,
    "tuple": lambda logits: (logits, None),
    "list": lambda logits: logits.tolist(),
    "array": np.asarray,
    "text": str,
    "number": lambda logits: 0.0,
    "meta": lambda logits: logits.to("meta"),
    "sparse": lambda logits: logits.nan_to_num(0, 0, 0).to_sparse(),
}
"""What replaces logits, of another form than theirs."""
HARMLESS: dict[str, Callable[[Tensor], Tensor]] = {
    "strided": lambda logits: wider(logits)[..., :-1],
    "with a gradient": lambda logits: logits.clone().requires_grad_(),
    "half as many bits": lambda logits: logits.float().double(),
    "a parameter": torch.nn.Parameter,
}
"""What replaces logits and is as good."""
NUMBERS = (float("nan"), float("inf"), float("-inf"))
KINDS = ["other", "harmless", "number", "commit", "raised", "opened", "vocabulary"]


@attrs.define
class Fault:
    """What one model does wrong, and when."""

    kind: str
    name: str
    call: int
    """The call that goes wrong: 0 opens the session, then each `extend` and each `commit` counts."""
    row: int
    own: Exception | None = None

    @classmethod
    def drawn(cls, draw: random.Random, rows: int) -> Fault:
        kind = draw.choice(KINDS)
        names = {
            "other": list(OTHER), "harmless": list(HARMLESS), "number": [str(number) for number in NUMBERS],
            "commit": ["kept", "dropped"], "opened": ["None", "bare", "no extend"],
            "vocabulary": ["none", "0", "-1", "5.0", "text", "4", "6"],
        }  # fmt: skip
        call, name = draw.choice([0, 0, 1, 2, 3, 4, 6, 9]), draw.choice(names.get(kind, [""]))
        fault = cls(kind, name, call, draw.randrange(rows))
        if kind == "raised":
            fault.own = draw.choice(RAISED)("of its own")
            fault.name = type(fault.own).__name__
        return fault


class Misbehaving:
    """A prior that has one fault."""

    def __init__(self, prior: TablePrior, fault: Fault) -> None:
        self.prior, self.fault = prior, fault
        self.vocabulary: Any = prior.vocabulary
        if fault.kind == "vocabulary":
            self.vocabulary = {"none": None, "0": 0, "-1": -1, "5.0": 5.0, "text": "5", "4": 4, "6": 6}[fault.name]

    def __call__(self, ids: Tensor, class_ids: Tensor | None = None) -> Any:
        return Spoiling(self, None).spoiled(self.prior(ids, class_ids))

    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Any:
        session = Spoiling(self, self.prior.open(ids, class_ids, capacity=capacity, room=room + 99))
        session.next_logits = session.spoiled(session.session.next_logits)
        bad = {"None": None, "bare": object(), "no extend": NoExtend(session.next_logits)}
        return bad[self.fault.name] if self.fault.kind == "opened" else session


class NoExtend:
    """A session without `extend`."""

    def __init__(self, logits: Any) -> None:
        self.next_logits = logits

    def commit(self, path: Tensor) -> None: ...


class Spoiling:
    """A session that goes wrong at one call."""

    next_logits: Any

    def __init__(self, prior: Misbehaving, session: Any) -> None:
        self.fault, self.session, self.calls = prior.fault, session, -1

    def spoiled(self, logits: Tensor) -> Any:
        self.calls += 1
        fault = self.fault
        if self.calls != fault.call:
            return logits
        if fault.own is not None:
            raise fault.own
        if fault.kind == "number":
            logits = logits.clone()
            # A single NaN or infinity is enough, but only all of a row at -inf
            (logits[fault.row] if fault.name == "-inf" else logits[fault.row, ..., 1]).fill_(float(fault.name))
        return (OTHER | HARMLESS).get(fault.name, lambda same: same)(logits)

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Any:
        return self.spoiled(self.session.extend(ids, parents))

    def commit(self, path: Tensor) -> None:
        if self.fault.kind == "commit" and self.calls + 1 >= self.fault.call:
            self.calls += 1
            if self.fault.name == "dropped":
                self.session.commit(torch.full_like(path, -1))
            return
        self.session.commit(path)
        self.next_logits = self.spoiled(self.session.next_logits)


def table(seed: int) -> TablePrior:
    """A table of which no two contexts are alike."""
    generator = torch.Generator().manual_seed(seed)
    return TablePrior(torch.randn(1, (VOCABULARY + 1) ** 2, VOCABULARY, generator=generator, dtype=torch.float64))


def request_of(draw: random.Random, rows: int) -> Request:
    widths = [draw.randrange(4) for _ in range(rows)]
    prompt = [[draw.randrange(VOCABULARY) for _ in range(width)] + [-1] * (3 - width) for width in widths]
    sampling = draw.choice([Sampling(), Sampling(temperature=0), Sampling(top_k=3, banned=(0,)), Sampling(top_p=0.8)])
    stop = draw.choice([(), (2,)])
    return Request(torch.tensor(prompt), Limits(length=draw.randrange(1, 8), stop=stop), sampling)


def ended(run: Callable[[], Any], role: str, fault: Fault, expected: Any) -> tuple[str, str]:
    """How a decoder ended, and what it says."""
    try:
        made = run()
    except Exception as error:
        if error is fault.own:
            named = any(role in note for note in getattr(error, "__notes__", ()))
            return ("refused" if named else "without a note"), str(error)
        if fault.own is not None and error.__cause__ is not fault.own:
            return "hidden", repr(error)
        documented = isinstance(error, PriorError) or (fault.kind == "vocabulary" and isinstance(error, ValueError))
        named = role in str(error) and (fault.kind != "number" or f"row {fault.row}" in str(error))
        if documented and (named or fault.kind == "vocabulary"):
            return ("wrongly refused" if fault.kind == "harmless" else "refused"), str(error)
        return ("unnamed" if documented else "traceback"), repr(error)
    return ("unharmed" if made == expected else "silent"), f"{made} in place of {expected}"


def test_models_that_misbehave_are_refused_or_do_no_harm(faults: Any) -> None:
    for case in faults.cases(reduced=150, full=5_000):
        draw = case.random
        rows, number, role = draw.randrange(1, 4), draw.randrange(len(DECODERS)), draw.choice(["target", "draft"])
        request, decoder = request_of(draw, rows), DECODERS[number]
        priors = {"target": table(draw.randrange(99)), "draft": table(draw.randrange(99, 198))}
        fault = Fault.drawn(draw, rows)
        expected = decoder.generate(priors["target"], request, draft=priors["draft"]).ids.tolist()

        bad: dict[str, Any] = priors | {role: Misbehaving(priors[role], fault)}
        outcome, detail = ended(
            lambda bad=bad, decoder=decoder, request=request: decoder.generate(  # type: ignore[misc]
                bad["target"], request, draft=bad["draft"]
            ).ids.tolist(),
            role, fault, expected,
        )  # fmt: skip

        faults.record(case, outcome, f"decoder {number}, {role}, {fault}: {detail}")
    assert not faults.wrong, "\n".join(faults.wrong[:20])


@pytest.mark.parametrize("number", range(len(DECODERS)))
@pytest.mark.parametrize("name", [*OTHER, "nan", "inf", "-inf"])
def test_a_full_pass_that_misbehaves_has_no_distribution(number: int, name: str) -> None:
    kind = "other" if name in OTHER else "number"
    prior = Misbehaving(table(0), Fault(kind, name, 0, 0))
    request = Request(torch.tensor([[1]]), Limits(length=1))

    with pytest.raises(PriorError, match=r"^target"):
        DECODERS[number].distribution(prior, request, draft=table(1))

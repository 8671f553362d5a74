"""What every decoder checks: the request that it gets, and all that priors and their sessions return.

Axes: b batch, n ids of a sample, t new nodes, k committed nodes, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_run.sampling import probabilities
from crtcore import Sampling
from crtcore.errors import PriorError
from crtcore.kinds import Generation, Prior, Request

NO_MAXIMUM, STALE = 0, 1
WRONG = (
    "expected logits with a finite maximum over the ids that may be drawn, got NaN, infinity or none that is finite; "
    "look for weights that are not finite, and for prompts after which every id is banned",
    "expected `commit` to move `next_logits` to those after the committed ids, got those from before",
)
"""What can be wrong with the logits of single rows."""
FEW = 64
"""Columns that nearly always show whether logits have moved."""
T = TypeVar("T")
P = ParamSpec("P")


def inferring(generate: Callable[P, Generation]) -> Callable[P, Generation]:
    """Runs `generate` of a decoder in inference mode, and returns tensors that autograd may keep.

    Small operations of a step take less time so than without gradients alone.
    """

    @functools.wraps(generate)
    def run(*args: P.args, **options: P.kwargs) -> Generation:
        with torch.inference_mode():
            made = generate(*args, **options)
        parts: dict[str, Any] = {name: part for name, part in made._asdict().items() if isinstance(part, Tensor)}
        return made._replace(**{name: part.clone() for name, part in parts.items()})

    return run


def check_request(request: Request, target: Prior, draft: Prior | None = None) -> None:
    """Nothing, if a request fits the priors that are used. Cost: values of the prompt are read on the host once.

    A prior with a number of positions has it as `longest`, the most ids of a row.

    Raises: ValueError if a tensor has another shape, type or device than a request has, if an id is out of range, if
    all are banned, if an absent id stands before one that is there, or if a row would not fit a prior's positions.
    """
    prompt, class_ids, vocabulary = request.prompt, request.class_ids, vocabulary_of(target, "target")
    _check_tensor("prompt", prompt, prompt, "(rows, ids)", lambda shape: len(shape) == 2)
    rows = tuple(prompt.shape[:1])
    for name, each in (("class_ids", class_ids), ("seeds", request.seeds)):
        if each is not None:
            _check_tensor(name, each, prompt, f"{rows}, one for each row of the prompt", lambda shape: shape == rows)
    for role, prior in (("target", target), ("draft", draft)):
        most, asked = getattr(prior, "longest", None), prompt.shape[1] + request.limits.length
        if most is not None and asked > most:
            raise ValueError(
                f"limits.length: expected at most {most - prompt.shape[1]}, as the {role} has positions for {most} ids "
                f"and the prompt is {prompt.shape[1]} wide, got {request.limits.length}"
            )
    for name, ids in (("limits.stop", request.limits.stop), ("sampling.banned", request.sampling.banned)):
        if ids and max(ids) >= vocabulary:
            raise ValueError(f"{name}: expected ids below the vocabulary, {vocabulary}, got {max(ids)}")
    if len(set(request.sampling.banned)) == vocabulary:
        raise ValueError(f"sampling.banned: expected an id that may be drawn, got all {vocabulary} banned")
    outside = ((prompt < -1) | (prompt >= vocabulary)).any(-1)
    padded = ((prompt[:, 1:] >= 0) & (prompt[:, :-1] < 0)).any(-1)
    no_class = torch.zeros_like(outside) if class_ids is None else class_ids < -1
    wrong = torch.stack([outside, padded, no_class], 1)  # b 3
    if wrong.any():
        row, kind = wrong.nonzero()[0].tolist()
        what, expected = (
            ("prompt", f"ids from 0 to {vocabulary - 1}, or -1 where absent"),
            ("prompt", "absent ids (-1) at the right end alone: move the others to the left"),
            ("class_ids", "a class, or -1 for none"),
        )[kind]
        got = prompt[row].tolist() if class_ids is None or what == "prompt" else int(class_ids[row])
        raise ValueError(f"{what}, row {row}: expected {expected}, got {got}")


def _check_tensor(name: str, value: Any, like: Any, shape: str, fits: Callable[[tuple[int, ...]], bool]) -> None:
    if not isinstance(value, Tensor) or value.dtype != torch.int64 or not fits(tuple(value.shape)):
        raise ValueError(f"{name}: expected integers (torch.int64) of shape {shape}, got {_described(value)}")
    if value.device != like.device:
        raise ValueError(f"{name}: expected the prompt's device, {like.device}, got {value.device}")


def vocabulary_of(prior: Prior, name: str) -> int:
    """The size of a prior's vocabulary.

    Raises: PriorError if it has none, or cannot be opened.
    """
    vocabulary = getattr(prior, "vocabulary", None)
    if not isinstance(vocabulary, Integral) or vocabulary < 1 or not callable(getattr(prior, "open", None)):
        raise PriorError(f"{name}: expected a prior with `open` and a vocabulary of 1 or more, got {_described(prior)}")
    return int(vocabulary)


class CheckedSession:
    """A session of which every answer is checked; what the session itself raises passes on, with a note of where.

    Shapes and types are checked at once. What is wrong with the values of single rows is kept until `check`, so that
    no value is read on the host, except on a CPU.
    """

    next_logits: Float[Tensor, "b v"]
    step: int
    """0 for the call that reads the prompt, then 1 more for the first `extend` after each `commit`."""
    fault: Int[Tensor, " b"]
    """0, or what was first wrong with each row."""

    def __init__(
        self, prior: Prior, name: str, prompt: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None,
        *, capacity: int, room: int, reads: bool = True,
    ) -> None:  # fmt: skip
        """Opens a session of the prior called `name`, which is target or draft.

        Without `reads`, the `next_logits` of a session with a true `lazy`, which takes a call to make them, are not
        looked at after a commit.
        Raises: PriorError if that is not a session, or has no logits of the right shape and type.
        """
        self.name, self.step = name, 0
        self._like, self._vocabulary = prompt, vocabulary_of(prior, name)
        self._rows = torch.arange(len(prompt), device=prompt.device)
        self.fault = torch.zeros_like(prompt[:, :0].sum(-1))
        self._session = self._ask(lambda: prior.open(prompt, class_ids, capacity=capacity, room=room))
        if not all(callable(getattr(self._session, method, None)) for method in ("extend", "commit")):
            raise PriorError(f"{name}: expected `open` to return a session, got {_described(self._session)}")
        self._reads = reads or not getattr(self._session, "lazy", False)
        self.next_logits = self._next()
        self._since: list[Tensor] = []  # logits of each `extend` since the last commit

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        Raises: PriorError if they have another shape or type than logits have.
        """
        self.step += not self._since
        logits = self._fitting(self._ask(lambda: self._session.extend(ids, parents)), *ids.shape)
        self._since.append(logits)
        return logits

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Makes the columns of `path` permanent; rows whose `next_logits` stay as they were have a fault.

        Raises: PriorError if the new logits have another shape or type than logits have.
        """
        self._ask(lambda: self._session.commit(path))
        if self._reads:
            before, self.next_logits = self.next_logits, self._next()
            self._check_moved(before, path)
        self._since = []

    @property
    def narrows(self) -> bool:
        """Whether rows can be left out: a session may have `narrow(rows)`, which keeps these rows alone."""
        return callable(getattr(self._session, "narrow", None))

    def narrow(self, rows: Int[Tensor, " k"]) -> None:
        """Keeps these rows alone, in this order; `rows` count those that are left.

        Raises: PriorError as `check` does, or if the new logits have another shape or type than logits have.
        """
        self.check()
        session: Any = self._session
        self._ask(lambda: session.narrow(rows))
        self._like, self._rows, self.fault = self._like[rows], self._rows[rows], self.fault[rows]
        self.next_logits = self._next()

    def record(self, wrong: Bool[Tensor, " b"], kind: int = NO_MAXIMUM) -> None:
        """Keeps that the logits of this step are wrong in some rows, in a way of `WRONG`."""
        if wrong.is_cpu and not wrong.any():
            return
        code = 1 + self.step * len(WRONG) + kind
        self.fault = torch.where((self.fault == 0) & wrong, code, self.fault)

    def check(self) -> None:
        """Nothing, if no row has a fault.

        Raises: PriorError with the first row that has one, and its step.
        """
        for row in self.fault.nonzero()[:1, 0].tolist():
            step, kind = divmod(int(self.fault[row]) - 1, len(WRONG))
            raise PriorError(f"{self.name}, row {int(self._rows[row])}, step {step}: {WRONG[kind]}")

    def _check_moved(self, before: Float[Tensor, "b v"], path: Int[Tensor, "b k"]) -> None:
        """Records the rows that committed ids and whose logits are bit for bit those from before, but should not be.

        Cost: on a CPU, a few columns of each row, unless those have not moved.
        """
        now = self.next_logits
        same = (now[:, :FEW] == before[:, :FEW]).all(-1)
        if same.is_cpu and not same.any():
            return
        rows, first = torch.arange(len(now), device=now.device), 0
        due, last = before, path.amax(-1)
        for logits in self._since:
            here = logits[rows, (last - first).clamp(0, logits.shape[1] - 1)]
            due, first = torch.where((last >= first)[:, None], here, due), first + logits.shape[1]
        near = (now == due) | ((now - due).abs() <= 1e-3 * due.nan_to_num(0, 0, 0).abs().clamp(min=1))
        self.record(same & (now == before).all(-1) & ~near.all(-1), STALE)

    def _next(self) -> Float[Tensor, "b v"]:
        try:
            logits = self._ask(lambda: self._session.next_logits)
        except AttributeError as error:
            raise PriorError(f"{self._where}: expected a session with `next_logits`, got {error}") from error
        return self._fitting(logits, len(self._like))

    def _fitting(self, logits: Tensor, *shape: int) -> Tensor:
        return _checked_logits(self._where, logits, (*shape, self._vocabulary), self._like.device)

    @property
    def _where(self) -> str:
        return f"{self.name}, step {self.step}"

    def _ask(self, call: Callable[[], T]) -> T:
        return _noted(call, f"raised by the session of the {self.name} at step {self.step}")


def next_distributions(
    prior: Prior, name: str, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, sampling: Sampling
) -> Float[Tensor, "b v"]:
    """The distributions after rows of ids by a full pass of the prior called `name`, in float64.

    Raises: PriorError if its logits have another shape or type than logits have, or no finite maximum.
    """
    shape = (len(ids), ids.shape[1] + 1, vocabulary_of(prior, name))
    logits = _noted(lambda: prior(ids, class_ids), f"raised by a full pass of the {name}")
    logits = _checked_logits(name, logits, shape, ids.device)
    distributions = probabilities(logits[:, -1].double(), sampling)
    for row in distributions[:, 0].isnan().nonzero()[:1, 0].tolist():
        raise PriorError(f"{name}, after the ids {ids[row].tolist()}: {WRONG[NO_MAXIMUM]}")
    return distributions


def _checked_logits(where: str, logits: Tensor, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """The logits, if they have this shape and are numbers on this device."""
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or tuple(logits.shape) != shape:
        raise PriorError(f"{where}: expected logits in floating point of shape {shape}, got {_described(logits)}")
    if logits.device != device or logits.layout != torch.strided:
        raise PriorError(f"{where}: expected dense logits on {device}, got {logits.layout} on {logits.device}")
    return logits


def _noted(call: Callable[[], T], note: str) -> T:
    try:
        return call()
    except Exception as error:
        error.add_note(note)
        raise


def _described(value: Any) -> str:
    """What came in place of a tensor that was expected."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return "None" if value is None else type(value).__name__

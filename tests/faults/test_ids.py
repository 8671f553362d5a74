"""Ids, classes, shapes, types and features that no component is made for: each is refused by name, or does no harm.

A case has a component and one call of it; the call is either as the contract has it, or wrong in one way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, NamedTuple

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from crt_laws.laws import bottleneck, prior, tokenizer
from crt_laws.laws.prior_scripts import CLASSES, LENGTH, VOCABULARY
from crt_laws.vision import make_torchvision_importable
from crtcore import Component, discover
from crtcore.errors import RunError
from crtcore.spec import Spec

SUBJECTS = {"prior": prior.subject, "bottleneck": bottleneck.subject, "tokenizer": tokenizer.subject}
TYPES = (torch.int32, torch.uint8, torch.bool, torch.float32, torch.complex64)
HUGE = (-(2**63), -(2**40), 2**31, 2**63 - 1)


class Attempt(NamedTuple):
    """A call, and how its result is checked; None: it must be refused."""

    what: str
    call: Callable[[], Any]
    right: Callable[[Any], bool] | None = None


@cache
def built(spec: Spec) -> Any:
    """The component of an example, as laws are tried on it."""
    return SUBJECTS[spec.kind](spec)


@cache
def examples(kind: str) -> list[Spec]:
    """Every example of every installed component of a kind."""
    made: list[Component] = [each for _, each in discover() if each.kind == kind]
    return [spec for each in made for spec in each.examples]


def integers(random: Random, below: int, *shape: int) -> Tensor:
    """Random ids."""
    return torch.randint(below, shape, generator=torch.Generator().manual_seed(random.getrandbits(32)))


def changed(random: Random, ids: Tensor, wrong: float) -> Tensor:
    """A copy with one wrong number."""
    ids = ids.clone()
    ids.view(-1)[random.randrange(ids.numel())] = wrong
    return ids


def reshaped(random: Random, ids: Tensor) -> Tensor:
    """The same numbers with an axis more or less."""
    return random.choice((ids[0], ids[None], ids.flatten(), ids[..., None]))


def outside(random: Random, below: int, least: int) -> int:
    """A number that is no id."""
    return random.choice((least - 1, least - 1 - random.randrange(100), below, below + random.randrange(100), *HUGE))


def ruined(random: Random, ids: Tensor, below: int, least: int) -> Tensor:
    """Ids with a number out of range, of another type, or of another shape."""
    match random.randrange(4):
        case 0:
            return ids.to(random.choice(TYPES))
        case 1:
            return reshaped(random, ids)
    return changed(random, ids, outside(random, below, least))


def of_priors(random: Random, subject: Any) -> Attempt:
    """A pass or a session."""
    batch, width = random.randint(1, 4), random.randint(2, LENGTH)
    ids, class_ids = integers(random, VOCABULARY, batch, width), integers(random, CLASSES + 1, batch) - 1
    kind = random.choice(
        ("right", "ids", "class ids", "classes for other rows", "padding", "too many", "extend", "path")
    )
    opens = random.random() < 0.5

    def call() -> Tensor:
        if opens:
            return subject.open(ids, class_ids, capacity=max(LENGTH, ids.shape[-1]), room=1).next_logits
        return subject(ids, class_ids)

    match kind:
        case "right":
            present = integers(random, width + 1, batch)
            ids = ids.where(torch.arange(width) < present[:, None], -1)
            return Attempt(kind, call, lambda logits: alone(subject, logits, ids, class_ids, present))
        case "ids":
            ids = ruined(random, ids, VOCABULARY, -1)
        case "class ids":
            class_ids = ruined(random, class_ids[:, None], CLASSES, -1).squeeze(-1)
            if class_ids.dtype == torch.int64 and class_ids.shape == (batch,) and class_ids.max() < CLASSES:
                class_ids = changed(random, class_ids, CLASSES)
        case "classes for other rows":
            class_ids = integers(random, CLASSES, batch + random.choice((-1, 1, batch)))
        case "padding":
            ids = changed(random, ids[:, :-1], -1) if width > 2 else torch.full((batch, 1), -1)
            ids = torch.cat((ids, integers(random, VOCABULARY, batch, 1)), 1)
        case "too many":
            ids = integers(random, VOCABULARY, batch, LENGTH + random.randint(1, 9))
            if getattr(subject, "longest", None) is None:
                return Attempt(kind, call, lambda logits: bool(logits.amax(-1).isfinite().all()))
        case _:
            return of_sessions(random, subject, ids, kind)
    return Attempt(f"{kind}: {ids.tolist()} {class_ids.tolist()}", call)


def of_sessions(random: Random, subject: Any, ids: Tensor, kind: str) -> Attempt:
    """An extension or a commit of a session that is itself right."""
    batch, width = ids.shape
    session = subject.open(ids[:, :0], capacity=LENGTH, room=2 * width)
    if kind == "path":
        session.extend(ids)
        path = torch.arange(width).repeat(batch, 1)
        path = random.choice((path.flip(1), path.clamp(max=0), ruined(random, path, width, -1), path[:-1]))
        return Attempt(f"{kind}: {path.tolist()}", lambda: session.commit(path))
    parents = torch.arange(-1, width - 1).repeat(batch, 1)
    match random.randrange(4):
        case 0:
            ids = ruined(random, ids, VOCABULARY, -1)
        case 1:
            parents = ruined(random, parents, width, -1)
        case 2:
            parents = parents + 1 + random.randrange(3)  # a node below itself, or a later one
        case 3:
            ids = integers(random, VOCABULARY, batch + 1, width)
            parents = torch.arange(-1, width - 1).repeat(batch + 1, 1)
    return Attempt(f"{kind}: {ids.tolist()} {parents.tolist()}", lambda: session.extend(ids, parents))


def alone(subject: Any, logits: Tensor, ids: Tensor, class_ids: Tensor, present: Tensor) -> bool:
    """Whether the last logits of each row are those of its ids alone."""
    rows = logits if logits.dim() == 2 else logits[torch.arange(len(ids)), present]
    pairs = zip(ids, class_ids, present.tolist(), strict=True)
    apart = torch.cat([subject(row[None, :count], name[None])[:, -1] for row, name, count in pairs])
    return torch.allclose(rows, apart, rtol=1e-8, atol=1e-8)


def of_bottlenecks(random: Random, subject: Any) -> Attempt:
    """A pass, or a lookup."""
    shape = random.randint(1, 4), random.randint(1, 4), subject.width
    generator = torch.Generator().manual_seed(random.getrandbits(32))
    features = torch.randn(shape, generator=generator, dtype=torch.float64) * 10.0 ** random.uniform(-30, 6)
    if subject.vocabulary is not None and random.random() < 0.4:
        ids = subject(features).ids
        if random.random() < 0.3:
            return Attempt("lookup", lambda: subject.lookup(ids), lambda codes: bool(codes.isfinite().all()))
        ids = changed(random, ids, outside(random, subject.vocabulary, 0)) if random.random() < 0.7 else ids.float()
        return Attempt(f"lookup: {ids.tolist()}", lambda: subject.lookup(ids))
    match random.randrange(4):
        case 0:
            return Attempt(f"right: {features.tolist()}", lambda: subject(features), lambda out: nearest(subject, out))
        case 1:
            wrong = random.choice((math.nan, math.inf, -math.inf, 1e300, -1e200))
            features = changed(random, features, wrong)
        case 2:
            wide = features[..., :1].repeat(1, 1, 70)
            features = random.choice((features[0], features[None], features[..., :-1], wide))
        case 3:
            features = features.to(random.choice(TYPES[:3]))
    return Attempt(f"features {features.dtype} {features.tolist()}", lambda: subject(features))


def nearest(subject: Any, output: Any) -> bool:
    """Whether ids are in range and name the codes, and no code is nearer, or the continuous codes are finite."""
    if output.ids is None:
        return bool(output.codes.isfinite().all() and output.rate.isfinite().all())
    inside = bool(((output.ids >= 0) & (output.ids < subject.vocabulary)).all())
    others = subject.lookup(torch.arange(subject.vocabulary)[None])[0] if not hasattr(subject, "books") else None
    if others is not None:
        best = (output.latents[:, :, None] - others).norm(dim=-1).amin(-1)
        inside &= bool(((output.codes - output.latents).norm(dim=-1) <= best * (1 + 1e-9) + 1e-9).all())
    return inside and torch.allclose(subject.lookup(output.ids), output.codes)


def of_tokenizers(random: Random, trial: Any) -> Attempt:
    """Encoding or decoding."""
    subject, vocabulary = trial.tokenizer, trial.form.vocabulary
    data = trial.form.draw(torch.Generator().manual_seed(random.getrandbits(32)), random.randint(1, 4))
    if random.random() < 0.6:
        return of_decoding(random, subject, data)
    match random.randrange(3):
        case 0 if vocabulary is None:
            data = changed(random, data, random.choice((math.nan, math.inf, -math.inf)))
        case 0:
            data = changed(random, data, outside(random, vocabulary, -1))
        case 1:
            data = reshaped(random, data)
        case 2:
            data = data[..., :-1]
    encode = random.choice((subject, subject.encode))
    return Attempt(f"encode {tuple(data.shape)} {data.tolist()}", lambda: encode(data))


def of_decoding(random: Random, subject: Any, data: Tensor) -> Attempt:
    """Decoding of the ids of data, or of others."""
    ids = subject.encode(data)
    match random.randrange(5):
        case 0:
            return Attempt("right", lambda: subject.decode(ids), lambda back: back.shape == data.shape)
        case 1:
            wrong = changed(random, ids, outside(random, subject.vocabulary, -1))
        case 2:
            wrong = ids.to(random.choice(TYPES))
        case 3:
            wrong = reshaped(random, ids)
        case _:
            wrong = torch.cat((ids, integers(random, subject.vocabulary, len(ids), subject.length)), 1)
    return Attempt(f"decode {wrong.dtype} {wrong.tolist()}", lambda: subject.decode(wrong))


def outcome(attempt: Attempt) -> tuple[str, object]:
    """How the call ended, and with which error."""
    try:
        result = attempt.call()
    except (ValueError, RunError) as error:
        if attempt.right is not None:
            return "refused what is right", error
        named = all(word in str(error) for word in ("expected ", ", got ")) and type(error) in (ValueError, RunError)
        return "refused" if named else "unclear", error
    except TypeCheckError as error:  # annotations are checked where tests of packages run in the same process
        return "refused", error
    except Exception as error:
        return "traceback", repr(error)
    return "silent" if attempt.right is None or not attempt.right(result) else "unharmed", ""


@pytest.mark.parametrize(
    ("kind", "of", "reduced", "full"),
    [("prior", of_priors, 60, 1200), ("bottleneck", of_bottlenecks, 60, 600), ("tokenizer", of_tokenizers, 30, 300)],
)
def test_what_a_component_is_not_made_for_is_refused(
    faults: Any, kind: str, of: Callable[[Random, Any], Attempt], reduced: int, full: int
) -> None:
    make_torchvision_importable()  # transformers imports it
    for case in faults.cases(reduced=reduced, full=full):
        spec = case.random.choice(examples(kind))
        attempt = of(case.random, built(spec))
        ended, error = outcome(attempt)
        faults.record(case, ended, f"{spec!r}: {attempt.what}: {error}")
    assert not faults.wrong, "\n".join(faults.wrong[:20])

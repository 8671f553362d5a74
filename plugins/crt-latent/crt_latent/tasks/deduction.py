"""Deductions along chains of concepts, among chains that lead elsewhere.

Axes: b batch, r chains, l concepts of a chain or links of a problem, f facts, k numbers of a problem, p ids of a
prompt, s ids of a solution. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.prose import Prose
from crt_latent.tasks.spec import Deduction
from crt_latent.tasks.task import Traced
from crt_latent.tasks.uniforms import below, orders
from crt_latent.traces import Trace

ENTITIES = 3
"""Number of names of entities."""
PREDICATE = 2
"""Place of the predicate in a sentence."""
MARKS = ("every", "given", "so", "is", ".", "?", "true", "false")


class _Ontology(NamedTuple):
    """Parts of problems; a literal is twice the number of a name, and 1 more where it is not negated."""

    concepts: Int[Tensor, "b r l"]
    ends: Int[Tensor, "b r"]
    entity: Int[Tensor, " b"]


class Ontology:
    """The question is about the first chain; the second ends in the opposite, so that ends alone give no answer.

    Ends are drawn from the names of all concepts: of names that occur at ends alone, the lookup is learned much later.
    """

    def __init__(self, spec: Deduction) -> None:
        self.spec = spec
        self._chains, self._links = spec.distractors + 1, spec.hops + 1
        self._literals = 2 * spec.names
        self.texts = (
            *MARKS,
            *(f"e{index}" for index in range(ENTITIES)),
            *(f"{sign}c{index}" for index in range(spec.names) for sign in ("not-", "")),
        )
        self._entities = len(MARKS)
        self._concepts = self._entities + ENTITIES
        self._prose = Prose(self.texts)

    def problems(self, rows: Int[Tensor, " b"], seeds: Int[Tensor, " b"]) -> Int[Tensor, "b k"]:
        """Draws concepts and ends of all chains, and the entity; the answer is true in even rows."""
        names, chained = self.spec.names, self._chains * self._links
        signs = below(2, seeds, "signs", names)
        signs[:, -1] = 1 - rows % 2
        literals = 2 * orders(seeds, "names", names) + signs
        concepts, ends = torch.split(literals, [chained, names - chained], 1)
        ends = torch.cat((ends[:, -1:], opposite(ends[:, -1:]), ends[:, :-1]), 1)[:, : self._chains]
        return torch.cat((concepts, ends, below(ENTITIES, seeds, "entity", 1)), 1)

    def key(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b l"]:
        """Returns the links between concepts in sorted order; ends are left out."""
        concepts = self._parts(problems).concepts
        return (concepts[:, :, :-1] * self._literals + concepts[:, :, 1:]).flatten(1).sort(1).values

    def traced(self, problems: Int[Tensor, "b k"], seeds: Int[Tensor, " b"]) -> Traced:
        """Writes traces; every problem can be used."""
        concepts, ends, entity = self._parts(problems)
        subjects, reached = self._concepts + concepts, self._concepts + ends
        facts = sentences("every", subjects, torch.cat((subjects[:, :, 1:], reached[:, :, None]), 2))  # b r l 4
        needed, facts = facts[:, 0], facts.flatten(1, 2)  # b l 4, b f 4
        order = orders(seeds, "facts", facts.shape[1])
        facts = facts.gather(1, order[:, :, None].expand_as(facts))
        who, true = self._entities + entity[:, None], ends[:, :1] % 2
        premise = sentences("given", who, subjects[:, 0, :1])
        question = sentences("is", who, reached[:, :1] + 1 - true, stop="?")
        derived = sentences("so", who.expand(-1, self._links), needed[:, :, PREDICATE])
        prompt = torch.cat((facts, premise, question), 1).flatten(1)
        steps = torch.stack((needed, derived), 2).flatten(1)
        trace = Trace(prompt, steps, MARKS.index("false") - true)
        return Traced(trace, torch.ones(len(problems), dtype=torch.bool))

    def solved(self, prompt: Int[Tensor, "b p"], solution: Int[Tensor, "b s"]) -> Bool[Tensor, " b"]:
        """Returns whether the solution follows from the facts."""
        answers = ["true" if entailed(words) else "false" for words in self._prose.rows(prompt)]
        given = [" ".join(words) for words in self._prose.rows(solution)]
        return torch.tensor([one == other for one, other in zip(answers, given, strict=True)], dtype=torch.bool)

    def _parts(self, problems: Int[Tensor, "b k"]) -> _Ontology:
        concepts, ends, entity = torch.split(problems, [self._chains * self._links, self._chains, 1], 1)
        return _Ontology(concepts.view(-1, self._chains, self._links), ends, entity[:, 0])


def sentences(
    opening: str, subject: Int[Tensor, "b *f"], predicate: Int[Tensor, "b *f"], *, stop: str = "."
) -> Int[Tensor, "b *f 4"]:
    """Returns sentences of four ids, `opening subject predicate stop`."""
    first, last = (torch.full_like(subject, MARKS.index(mark)) for mark in (opening, stop))
    return torch.stack((first, subject, predicate, last), -1)


def opposite(literals: Int[Tensor, "*b"]) -> Int[Tensor, "*b"]:
    """Returns the negations of literals."""
    return literals + 1 - 2 * (literals % 2)


def entailed(prompt: Sequence[str]) -> bool:
    """Returns whether the facts of a prompt entail its question, by following them from the entity.

    Raises: ValueError if they entail neither the question nor its negation, or the prompt is not valid.
    """
    try:
        *facts, (_, entity, reached), (_, same, asked) = Prose.sentences(prompt)
        known = {subject: predicate for _, subject, predicate in facts}
        for _ in range(len(facts) + 1):
            reached = known.get(reached, reached)
        if entity != same or reached not in (asked, f"not-{asked}"):
            raise ValueError
    except (IndexError, ValueError):
        raise ValueError(f"expected facts and a question that they answer, got {' '.join(prompt)!r}") from None
    return reached == asked


def deduction(spec: Deduction) -> GeneratedTask:
    """Builds the task."""
    return GeneratedTask(spec, Ontology(spec))

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
from crt_latent.traces import Trace, compact

ENTITIES = 8
"""Number of names of entities."""
PREDICATE = 3
"""Place of the predicate in a sentence that begins with `every`, or with an absent id in its place."""
MARKS = ("every", "is", ".", "?", "true", "false")


class _Ontology(NamedTuple):
    """Parts of problems."""

    concepts: Int[Tensor, "b r l"]
    properties: Int[Tensor, "b r"]
    signs: Int[Tensor, "b r"]
    """1: the last concept of a chain has the chain's property; 0: it has not."""
    entity: Int[Tensor, " b"]


class Ontology:
    """The question is about the first chain; the second ends in the opposite, so that ends alone give no answer."""

    def __init__(self, spec: Deduction) -> None:
        self.spec = spec
        self._chains, self._links = spec.distractors + 1, spec.hops + 1
        self._names = self._chains * self._links
        self.texts = (
            *MARKS,
            *(f"e{index}" for index in range(ENTITIES)),
            *(f"c{index}" for index in range(self._names)),
            *(f"{sign}p{index}" for index in range(self._chains) for sign in ("not-", "")),
        )
        self._entities = len(MARKS)
        self._concepts = self._entities + ENTITIES
        self._properties = self._concepts + self._names
        self._prose = Prose(self.texts)

    def problems(self, rows: Int[Tensor, " b"], seeds: Int[Tensor, " b"]) -> Int[Tensor, "b k"]:
        """Draws concepts, properties and signs of all chains, and the entity; the answer is true in even rows."""
        chains = self._chains
        concepts = orders(seeds, "concepts", self._names)
        properties = orders(seeds, "properties", chains)
        signs = below(2, seeds, "signs", chains)
        signs[:, 0] = 1 - rows % 2
        properties[:, 1:2], signs[:, 1:2] = properties[:, :1], 1 - signs[:, :1]
        return torch.cat((concepts, properties, signs, below(ENTITIES, seeds, "entity", 1)), 1)

    def key(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b l"]:
        """Returns the links between concepts in sorted order.

        Properties and signs are left out: else nearly every problem held out would have its links among those trained
        on, with another property or sign.
        """
        concepts = self._parts(problems).concepts
        return (concepts[:, :, :-1] * self._names + concepts[:, :, 1:]).flatten(1).sort(1).values

    def traced(self, problems: Int[Tensor, "b k"], seeds: Int[Tensor, " b"]) -> Traced:
        """Writes traces; every problem can be used."""
        concepts, properties, signs, entity = self._parts(problems)
        subjects = self._concepts + concepts
        reached = self._properties + 2 * properties + signs
        facts = self._facts("every", subjects, torch.cat((subjects[:, :, 1:], reached[:, :, None]), 2))  # b r l 5
        needed, facts = facts[:, 0], facts.flatten(1, 2)  # b l 5, b f 5
        order = orders(seeds, "facts", facts.shape[1])
        facts = facts.gather(1, order[:, :, None].expand_as(facts)).flatten(1)
        who = self._entities + entity[:, None]
        premise = self._facts("", who, subjects[:, 0, :1])
        question = self._facts("", who, self._properties + 2 * properties[:, :1] + 1, stop="?")
        derived = self._facts("", who.expand(-1, self.spec.hops + 1), needed[:, :, PREDICATE])
        answer = MARKS.index("false") - signs[:, 0]
        prompt = torch.cat((facts, premise.flatten(1), question.flatten(1)), 1)
        steps = torch.stack((needed, derived), 2).flatten(1)
        trace = Trace(compact(prompt), compact(steps), answer[:, None])
        return Traced(trace, torch.ones(len(problems), dtype=torch.bool))

    def solved(self, prompt: Int[Tensor, "b p"], solution: Int[Tensor, "b s"]) -> Bool[Tensor, " b"]:
        """Returns whether the solution follows from the facts."""
        answers = ["true" if entailed(words) else "false" for words in self._prose.rows(prompt)]
        given = [" ".join(words) for words in self._prose.rows(solution)]
        return torch.tensor([one == other for one, other in zip(answers, given, strict=True)], dtype=torch.bool)

    def _facts(
        self, opening: str, subject: Int[Tensor, "b *f"], predicate: Int[Tensor, "b *f"], *, stop: str = "."
    ) -> Int[Tensor, "b *f w"]:
        """`[every] subject is predicate .`, with -1 where there is no `every`."""
        opened = torch.full_like(subject, MARKS.index(opening) if opening else -1)
        mark = {text: torch.full_like(subject, MARKS.index(text)) for text in ("is", stop)}
        return torch.stack((opened, subject, mark["is"], predicate, mark[stop]), -1)

    def _parts(self, problems: Int[Tensor, "b k"]) -> _Ontology:
        chains = self._chains
        sizes = [chains * self._links, chains, chains, 1]
        concepts, properties, signs, entity = torch.split(problems, sizes, 1)
        return _Ontology(concepts.view(-1, chains, self._links), properties, signs, entity[:, 0])


def entailed(prompt: Sequence[str]) -> bool:
    """Returns whether the facts of a prompt entail its question, by following them from the entity.

    Raises: ValueError if they entail neither the question nor its negation, or the prompt is not valid.
    """
    try:
        *facts, (entity, _, reached), (same, _, asked) = Prose.sentences(prompt)
        known = {subject: predicate for _, subject, _, predicate in facts}
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

"""Deductions: facts, conclusions, balance of answers, and prompts that are refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crt_latent.tasks.deduction import Ontology, entailed
from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.spec import Deduction
from crt_latent.traces import split_trace
from crt_laws import obeys

SPEC = Deduction(hops=3, distractors=2, train=300, validation=40, test=40)

test_deductions = obeys(SPEC)
test_deductions_in_two_hops = obeys(Deduction(hops=2, distractors=1, train=40, validation=6, test=6, seed=3))
test_deductions_without_distractors = obeys(Deduction(hops=4, distractors=0, train=40, validation=6, test=6, seed=3))


def texts(task: GeneratedTask, split: str = "train", count: int = 300) -> list[tuple[str, str, str]]:
    rows = []
    for row in task.take(split, torch.arange(min(count, task.sizes[split]))).data:
        prompt, rest = task.words(row).removesuffix(" <end>").split(" <think> ")
        steps, solution = rest.split(" <answer> ")
        rows.append((prompt, steps, solution))
    return rows


def ids(task: GeneratedTask, text: str) -> Tensor:
    known = {task.words(torch.tensor([id_])): id_ for id_ in range(task.vocabulary)}
    return torch.tensor([[known[word] for word in text.split()]])


def test_steps_quote_a_fact_and_say_what_follows_and_the_last_one_answers() -> None:
    for prompt, steps, solution in texts(SPEC.build()):
        *facts, given, question = prompt.replace("?", ".").removesuffix(" .").split(" . ")
        _, who, concept = given.split()
        sentences = steps.removesuffix(" .").split(" . ")
        assert len(sentences) == 8  # a fact and what follows, for three hops and the end
        for fact, follows in zip(sentences[::2], sentences[1::2], strict=True):
            _, subject, predicate = fact.split()
            assert fact in facts
            assert subject == concept
            assert follows == f"so {who} {predicate}"
            concept = predicate
        asked = question.split()[-1]
        assert {"true": asked, "false": f"not-{asked}"}[solution] == concept


def test_sentences_have_one_length_each() -> None:
    task = SPEC.build()
    trace = split_trace(task.take("train", torch.arange(300)).data, task.vocabulary)

    assert trace.prompt.shape[1] == 12 * 4 + 4 + 4
    assert trace.steps.shape[1] == 4 * (4 + 4)
    assert not (trace.prompt < 0).any()
    assert not (trace.steps < 0).any()


def name(concept: str) -> str:
    return concept.removeprefix("not-")


def test_the_prompt_has_all_chains_and_they_share_no_name_but_that_of_the_first_two_ends() -> None:
    for prompt, _, _ in texts(SPEC.build()):
        facts = [fact.split() for fact in prompt.split(" . ")[:-2]]
        subjects = {fact[1] for fact in facts}
        ends = [fact[-1] for fact in facts if fact[-1] not in subjects]
        assert len(facts) == len({name(subject) for subject in subjects}) == 12
        assert len(ends) == 3
        assert len({name(end) for end in ends}) == 2
        assert not {name(end) for end in ends} & {name(subject) for subject in subjects}


def test_the_concept_in_question_occurs_with_both_signs() -> None:
    for prompt, _, _ in texts(SPEC.build()):
        asked = prompt.split()[-2]
        ends = [fact.split()[-1] for fact in prompt.split(" . ")[:-2]]
        assert sorted(end for end in ends if name(end) == asked) == [asked, f"not-{asked}"]


def test_names_of_ends_are_those_of_concepts() -> None:
    """28 concepts each end 1 in 14 of the 150 samples of their answer; that one never does has a chance of 0.0004."""
    task = SPEC.build()
    concepts = {word for word in map(task.words, torch.arange(task.vocabulary)[:, None]) if "c" in word}

    assert {steps.split()[-2] for _, steps, _ in texts(task)} == concepts
    assert len(concepts) == 2 * SPEC.names == 28


def test_answers_are_balanced_exactly() -> None:
    task = SPEC.build()

    for split in ("train", "validation", "test"):
        answers = [solution for *_, solution in texts(task, split)]
        assert answers.count("true") == answers.count("false") == len(answers) / 2


def test_problems_with_another_answer_differ_in_both_ends_alone() -> None:
    maker = Ontology(SPEC)
    true, false = (maker.problems(torch.full((9,), row), torch.arange(9)) for row in (0, 1))
    ends = slice(12, 14)

    assert torch.equal(true[:, ends], false[:, ends].flip(1))
    assert torch.equal(true[:, :12], false[:, :12])
    assert torch.equal(true[:, 14:], false[:, 14:])


def test_facts_are_shuffled() -> None:
    """The first fact needed comes first in 1 of 12 samples; that it does in all 300 is practically impossible."""
    first = [prompt.split()[1] == prompt.split(" . ")[-2].split()[-1] for prompt, *_ in texts(SPEC.build())]

    assert 0 < sum(first) < 80


def test_its_own_answers_are_valid_and_the_other_word_is_not() -> None:
    task = SPEC.build()
    trace = split_trace(task.take("test", torch.arange(40)).data, task.vocabulary)
    answer, end = torch.full((40, 1), task.vocabulary - 2), torch.full((40, 1), task.vocabulary - 1)
    true, false = (int(ids(task, word)[0, 0]) for word in ("true", "false"))
    other = true + false - trace.solution

    assert task.check(trace.prompt, torch.cat((answer, trace.solution, end), 1)).all()
    assert not task.check(trace.prompt, torch.cat((answer, other, end), 1)).any()
    assert not task.check(trace.prompt, torch.cat((answer, trace.solution, other, end), 1)).any()


PROMPT = "every c1 not-c5 . every not-c2 c1 . every c3 c5 . given e0 {} . is e0 c5 ?"


@pytest.mark.parametrize(("first", "answer"), [("not-c2", False), ("c3", True)])
def test_the_solver_follows_the_facts(first: str, answer: bool) -> None:
    assert entailed(PROMPT.format(first).split()) is answer


@pytest.mark.parametrize(
    "prompt",
    [
        PROMPT.format("c4"),
        PROMPT.format("c2"),
        PROMPT.format("not-c2").replace("is e0 c5 ?", "is e0 c6 ?"),
        PROMPT.format("not-c2").replace("is e0 c5 ?", "is e1 c5 ?"),
        PROMPT.format("not-c2").removesuffix(" ?"),
        PROMPT.format("not-c2").replace("every not-c2 c1", "every c1"),
        PROMPT.format("not-c2").replace("not-c5", "not c5"),
        PROMPT.format("not-c2").replace("every c1 not-c5", "every c1 not-c2"),
        "given e0 c1 .",
        "given e0 c1 . is e0 ?",
        "",
    ],
)
def test_a_prompt_without_an_answer_is_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match="expected facts and a question that they answer"):
        entailed(prompt.split())


def test_the_key_depends_on_the_links_alone() -> None:
    maker = Ontology(SPEC)
    problems = maker.problems(torch.zeros(9, dtype=torch.int64), torch.arange(9))
    concepts, rest = problems[:, :12].view(9, 3, 4), problems[:, 12:]
    asked = torch.cat((concepts[:, [1, 0, 2]].flatten(1), rest), 1)  # of the second chain
    others = torch.cat((concepts.flatten(1), rest + 1), 1)  # other ends and entities

    assert torch.equal(maker.key(problems), maker.key(asked))
    assert torch.equal(maker.key(problems), maker.key(others))
    assert len(maker.key(problems).unique(dim=0)) == 9

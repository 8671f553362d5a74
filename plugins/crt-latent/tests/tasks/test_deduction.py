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
from crtcore.errors import RunError

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
        who, _, concept = given.split()
        sentences = steps.removesuffix(" .").split(" . ")
        assert len(sentences) == 8  # a fact and what follows, for three hops and the property
        for fact, follows in zip(sentences[::2], sentences[1::2], strict=True):
            _, subject, _, predicate = fact.split()
            assert fact in facts
            assert subject == concept
            assert follows == f"{who} is {predicate}"
            concept = predicate
        assert {"true": question, "false": question.replace("is ", "is not-")}[solution] == sentences[-1]


def test_sentences_have_one_length_each() -> None:
    task = SPEC.build()
    trace = split_trace(task.take("train", torch.arange(300)).data, task.vocabulary)

    assert trace.prompt.shape[1] == 12 * 5 + 4 + 4
    assert trace.steps.shape[1] == 4 * (5 + 4)
    assert not (trace.prompt < 0).any()
    assert not (trace.steps < 0).any()


def test_the_prompt_has_all_chains_and_they_share_no_concept() -> None:
    for prompt, _, _ in texts(SPEC.build()):
        facts = [fact.split() for fact in prompt.split(" . ")[:-2]]
        subjects = [fact[1] for fact in facts]
        ends = [fact[-1].removeprefix("not-") for fact in facts if "p" in fact[-1]]
        assert len(facts) == len(set(subjects)) == 12
        assert len(ends) == 3
        assert len(set(ends)) == 2  # the property in question is at the end of two chains, with both signs


def test_the_property_in_question_occurs_with_both_signs() -> None:
    for prompt, _, _ in texts(SPEC.build()):
        asked = prompt.split()[-2]
        ends = [fact.split()[-1] for fact in prompt.split(" . ")[:-2]]
        assert sorted(end for end in ends if end.removeprefix("not-") == asked) == [f"not-{asked}", asked]


def test_answers_are_balanced_exactly() -> None:
    task = SPEC.build()

    for split in ("train", "validation", "test"):
        answers = [solution for *_, solution in texts(task, split)]
        assert answers.count("true") == answers.count("false") == len(answers) / 2


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


PROMPT = "every c1 is not-p0 . every c2 is c1 . every c3 is p0 . e0 is {} . e0 is p0 ?"


@pytest.mark.parametrize(("first", "answer"), [("c2", False), ("c3", True)])
def test_the_solver_follows_the_facts(first: str, answer: bool) -> None:
    assert entailed(PROMPT.format(first).split()) is answer


@pytest.mark.parametrize(
    "prompt",
    [
        PROMPT.format("c4"),
        PROMPT.format("c2").replace("e0 is p0 ?", "e0 is p1 ?"),
        PROMPT.format("c2").replace("e0 is p0 ?", "e1 is p0 ?"),
        PROMPT.format("c2").removesuffix(" ?"),
        PROMPT.format("c2").replace("every c2 is c1", "every c1"),
        PROMPT.format("c2").replace("not-p0", "not p0"),
        PROMPT.format("c2").replace("every c1 is not-p0", "every c1 is c2"),
        "e0 is c1 .",
        "e0 is c1 . e0 is ?",
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
    others = torch.cat((concepts.flatten(1), (rest + 1) % 2), 1)  # other properties, signs and entities

    assert torch.equal(maker.key(problems), maker.key(asked))
    assert torch.equal(maker.key(problems), maker.key(others))
    assert len(maker.key(problems).unique(dim=0)) == 9


def test_too_few_problems_for_three_splits_are_refused() -> None:
    """One chain of two concepts has two sets of links."""
    with pytest.raises(RunError, match=r"expected a problem for .* set fields that allow more problems"):
        Deduction(hops=1, distractors=0, train=40, validation=6, test=6).build()

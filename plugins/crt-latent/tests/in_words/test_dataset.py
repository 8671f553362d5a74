"""Generated tasks as text: the same problems, answers checked by solving them, and tokenizers that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from crt_latent.in_words.dataset import WordTraces
from crt_latent.in_words.spec import InWords
from crt_latent.metamath.spec import MetaMath
from crt_latent.tasks.spec import Arithmetic, Deduction
from crt_latent.tasks.task import Task
from crt_latent.traces import split_trace
from crt_laws import obeys
from crt_nn.text import of_words
from crtcore.errors import RunError

TASK = Arithmetic(digits=2, train=60, validation=10, test=10)

test_the_laws = obeys(InWords(dataset=TASK, tokenizer="set by the laws"))


def bytes_tokenizer(folder: Path) -> str:
    """A tokenizer of bytes."""
    made = Tokenizer(
        models.BPE({letter: place for place, letter in enumerate(pre_tokenizers.ByteLevel.alphabet())}, [])
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    return str(folder)


def built(folder: Path, task: Any = TASK) -> WordTraces:
    dataset: WordTraces = InWords(dataset=task, tokenizer=bytes_tokenizer(folder)).build()
    return dataset


def rows(dataset: Any, split: str = "test") -> Tensor:
    data: Tensor = dataset.take(split, torch.arange(dataset.sizes[split])).data
    return data


@pytest.mark.parametrize("task", [TASK, Deduction(train=30, validation=5, test=5)], ids=["sums", "deduction"])
def test_a_row_has_the_words_of_the_task(tmp_path: Path, task: Any) -> None:
    dataset, inner = built(tmp_path, task), task.build()

    assert isinstance(dataset, Task)
    assert dataset.sizes == inner.sizes
    for own, theirs in zip(rows(dataset), rows(inner), strict=True):
        assert dataset.words(own).split() == inner.words(theirs).split()


def test_an_id_is_a_byte_of_a_word_with_a_space_before_it(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    trace = split_trace(rows(dataset)[:1], dataset.vocabulary)

    assert dataset.vocabulary == 256 + 3
    assert trace.prompt.shape[1] == 2 * (2 + 1 + 2 + 1)  # digits, +, digits, =
    assert dataset.words(trace.prompt[0]).startswith(" ")


def test_true_answers_hold_and_others_do_not(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    ids = rows(dataset)
    prompt = split_trace(ids, dataset.vocabulary).prompt
    think, answer, end = range(256, 259)

    assert dataset.check(prompt, ids).all()
    assert not dataset.check(prompt, ids.roll(1, 0)).any()
    assert not dataset.check(prompt, ids.where(ids != end, -1)).any()  # it did not end
    assert not dataset.check(prompt, ids.where(ids != answer, think)).any()
    unread = torch.tensor([answer, 300, end]).expand(len(ids), -1)  # a code in the answer
    assert not dataset.check(prompt, unread).any()
    empty = torch.tensor([answer, end]).expand(len(ids), -1)
    assert not dataset.check(prompt, empty).any()


def test_a_word_that_is_not_of_the_task_is_a_wrong_answer(tmp_path: Path) -> None:
    dataset = built(tmp_path)
    prompt = split_trace(rows(dataset)[:1], dataset.vocabulary).prompt
    words = dataset._text.ids([" four"])[0]

    assert not dataset.check(prompt, torch.tensor([[257, *words, 258]])).any()
    with pytest.raises(ValueError, match="expected a prompt of these traces, got ' four'"):
        dataset.check(torch.tensor([words]), torch.tensor([[257, 258]]))


def test_a_tokenizer_without_the_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(of_words(["[UNK]", "one"])))

    with pytest.raises(RunError, match=r"in-words: expected a tokenizer that gives '.*' back, got '\[UNK\]"):
        InWords(dataset=TASK, tokenizer=str(tmp_path)).build()


def test_only_generated_tasks_have_words() -> None:
    with pytest.raises(ValueError, match="expected a generated task, such as 'arithmetic'"):
        InWords(dataset=MetaMath(file="a", tokenizer="b"), tokenizer="b")

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from crt_latent.metamath.dataset import SPLITS, MetaMathTraces
from crt_latent.metamath.entries import split_of
from crt_latent.metamath.spec import MetaMath
from crt_latent.tasks.task import Task
from crt_latent.traces import split_trace
from crt_laws import obeys
from crt_nn.text import of_words
from crtcore.errors import RunError

WORDS = ["[UNK]", "What", "is", "plus", "and", "make", "####", "The", "answer", "is:", *map(str, range(60))]
THINK, ANSWER, END = range(len(WORDS), len(WORDS) + 3)

test_the_laws = obeys(MetaMath(file="set by", tokenizer="the laws", length=64))


def entry(left: int, right: int, **changes: str) -> dict[str, str]:
    total = left + right
    return {
        "query": f"What is {left} plus {right}",
        "response": f"{left} and {right} make {total}\n#### {total}\nThe answer is: {total}",
        "type": "GSM_AnsAug",
        "original_question": f"{left} + {right}",
        **changes,
    }


ENTRIES = [entry(left, right) for left in range(20) for right in range(4)]


def laid(folder: Path, entries: Any = ENTRIES, **fields: int) -> MetaMath:
    """Writes the entries and a word tokenizer to a folder."""
    (folder / "metamath.json").write_text(json.dumps(entries))
    (folder / "tokenizer.json").write_text(json.dumps(of_words(WORDS)))
    return MetaMath(file=str(folder / "metamath.json"), tokenizer=str(folder), **fields)


def every(dataset: MetaMathTraces, split: str) -> torch.Tensor:
    return dataset.take(split, torch.arange(dataset.sizes[split])).data


def words_of(ids: list[int]) -> str:
    return " ".join(WORDS[id_] for id_ in ids if id_ >= 0)


def test_a_trace_is_query_steps_and_answer_between_the_last_three_ids(tmp_path: Path) -> None:
    dataset = laid(tmp_path).build()

    by_query = {}
    for split in SPLITS:
        for parts in zip(*split_trace(every(dataset, split), dataset.vocabulary), strict=True):
            query, steps, answer = (words_of(part.tolist()) for part in parts)
            by_query[query] = steps, answer

    assert dataset.vocabulary == END + 1
    assert by_query == {
        f"What is {left} plus {right}": (
            f"{left} and {right} make {left + right} #### {left + right}",
            str(left + right),
        )
        for left in range(20)
        for right in range(4)
    }


def test_only_the_prompt_has_no_weight(tmp_path: Path) -> None:
    dataset = laid(tmp_path).build()

    ids, _, weight = dataset.take("train", torch.arange(3))

    assert weight is not None
    for row, weights in zip(ids.tolist(), weight.tolist(), strict=True):
        begun, length = row.index(THINK), sum(id_ >= 0 for id_ in row)
        assert weights == [0.0] * begun + [1.0] * (length - begun) + [0.0] * (len(row) - length)


def test_rephrasings_of_a_question_stay_together(tmp_path: Path) -> None:
    others = [{**each, "query": f"make {each['query']}"} for each in ENTRIES]

    dataset = laid(tmp_path, ENTRIES + others).build()

    for split in SPLITS:
        queries = [words_of(query.tolist()) for query in split_trace(every(dataset, split), dataset.vocabulary).prompt]
        assert {query.removeprefix("make ") for query in queries} == {q for q in queries if not q.startswith("make")}
        assert len(queries) == 2 * sum(split_of(each["original_question"]) == split for each in ENTRIES)


def test_about_a_twentieth_of_questions_is_held_out_for_each_split() -> None:
    splits = [split_of(f"question {number}") for number in range(20_000)]

    for split in ("validation", "test"):  # 1000 expected, 30.8 standard deviation: 200 off in 1 of 1e10
        assert abs(splits.count(split) - 1000) < 200


def test_entries_that_are_left_out_are_counted(tmp_path: Path) -> None:
    odd = [
        entry(1, 1, response="no idea"),
        entry(1, 2, response="The answer is:  "),
        ENTRIES[0],
        entry(1, 3, query="What " * 40),
    ]

    dataset = laid(tmp_path, ENTRIES + odd, length=40).build()

    assert dataset.left_out == {"unanswered": 2, "too long": 1, "repeated": 1}
    assert sum(dataset.sizes.values()) == len(ENTRIES)


def test_the_answer_follows_the_last_mark(tmp_path: Path) -> None:
    twice = [entry(left, 0, response=f"The answer is: 7 and The answer is: {left}") for left in range(60)]

    dataset = laid(tmp_path, twice).build()

    trace = split_trace(every(dataset, "train"), dataset.vocabulary)
    assert {words_of(steps.tolist()) for steps in trace.steps} == {"The answer is: 7 and"}


def test_answers_are_checked_like_those_of_other_tasks(tmp_path: Path) -> None:
    dataset: Task = laid(tmp_path).build()
    assert isinstance(dataset, Task)
    prompt = torch.tensor([[WORDS.index(word) for word in ("What", "is", "4", "plus", "3")] + [THINK]]).repeat(5, 1)
    seven, eight = WORDS.index("7"), WORDS.index("8")

    right = dataset.check(
        prompt,
        torch.tensor(
            [
                [ANSWER, seven, END, -1],
                [eight, ANSWER, seven, END],
                [ANSWER, eight, END, -1],
                [ANSWER, seven, -1, -1],
                [ANSWER, END + 4, seven, END],
            ]
        ),
    )

    assert right.tolist() == [True, True, False, False, False]


def test_a_prompt_of_other_data_is_refused(tmp_path: Path) -> None:
    dataset = laid(tmp_path).build()

    with pytest.raises(ValueError, match="expected a prompt of these traces, got 'plus plus'"):
        dataset.check(torch.tensor([[3, 3]]), torch.tensor([[ANSWER, 1, END]]))


def test_words_of_a_row_have_codes_by_number(tmp_path: Path) -> None:
    dataset = laid(tmp_path).build()

    text = dataset.words(torch.tensor([1, 2, THINK, END + 1, END + 3, 5, ANSWER, 4, END, -1]))

    assert text == "What is <think> <0> <2> make <answer> and <end>"


def test_file_tokenizer_and_length_change_the_checksum(tmp_path: Path) -> None:
    spec = laid(tmp_path)
    first = spec.build().checksum
    longer = MetaMath(file=spec.file, tokenizer=spec.tokenizer, length=512).build().checksum
    fewer = laid(tmp_path, ENTRIES[:-1]).build().checksum
    laid(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(of_words([*WORDS, "more"])))

    assert len({first, longer, fewer, spec.build().checksum}) == 4


def test_the_tokenizer_neither_adds_nor_truncates(tmp_path: Path) -> None:
    spec = laid(tmp_path)
    rules = of_words(WORDS)
    rules |= {
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "post_processor": {
            "type": "BertProcessing", "sep": ["[UNK]", 0], "cls": ["[UNK]", 0],
        },
    }  # fmt: skip
    plain = spec.build()
    (tmp_path / "tokenizer.json").write_text(json.dumps(rules))

    assert torch.equal(every(spec.build(), "test"), every(plain, "test"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"metamath: expected a list in JSON in .*metamath.json, got none \(.*\); name MetaMathQA's file"),
        ("{}", "expected a list in .*, got dict; join lines of JSON"),
        ("[3]", "entry 0: expected a text 'query', got None"),
        (
            json.dumps([*ENTRIES, {"query": "a", "response": "b"}]),
            "entry 80: expected a text 'original_question', got N",
        ),
        (json.dumps([entry(0, 0, response="0")]), "expected responses in .* with 'The answer is:', got none among 1"),
        (
            json.dumps(ENTRIES[:1]),
            "expected entries in each split of .*metamath.json, got .* without .*; use a file with more",
        ),
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: str, message: str) -> None:
    spec = laid(tmp_path)
    (tmp_path / "metamath.json").write_text(content)

    with pytest.raises(RunError, match=message):
        spec.build()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"the tokenizer of a model in .*tokenizer.json, got no such file; put it there"),
        (os.mkfifo, r"the tokenizer of a model in .*tokenizer.json, got no regular file; name a file"),
        (lambda path: path.write_text("{}"), r"a tokenizer in .*tokenizer.json, got none \(.*\); name the folder"),
    ],
    ids=["absent", "a pipe", "of another sort"],
)
def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    spec = laid(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    make(tmp_path / "tokenizer.json")

    with pytest.raises(RunError, match=f"metamath: expected {message}"):
        spec.build()


def test_without_the_package_the_error_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = laid(tmp_path)
    for name in ("crt_latent.metamath.dataset", "crt_nn.text"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    with pytest.raises(RunError, match=r"expected the module 'tokenizers', .* pip install crt-latent"):
        spec.build()

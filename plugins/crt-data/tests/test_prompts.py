"""Prompts in files: what a row is, how templates are filled, the splits, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from crt_data.prompts import split_of
from crt_data.specs import Prompts
from crt_laws import obeys
from crt_nn.text import of_words
from crtcore import discover
from crtcore.compose.structure import StructureError, Structurer
from crtcore.errors import RunError
from crtcore.kinds import DatasetSpec

WORDS = ["[UNK]", "Q:", "A:", "yes", "no", *map(str, range(200))]

test_the_example = obeys(Prompts(file="data/a.jsonl", tokenizer="data/model"))


def lay(folder: Path, lines: list[Any], **fields: Any) -> Prompts:
    (folder / "tokenizer.json").write_text(json.dumps(of_words(WORDS)))
    (folder / "a.jsonl").write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines))
    return Prompts(file=str(folder / "a.jsonl"), tokenizer=str(folder), **fields)


def rows(spec: Prompts) -> dict[str, list[tuple[list[int], list[int]]]]:
    """The prompt and the reference of each row, by split."""
    dataset = spec.build()
    result = {}
    for split, size in dataset.sizes.items():
        batch = dataset.take(split, torch.arange(size))
        assert batch.weight is not None
        parts = zip(batch.data.tolist(), batch.weight.tolist(), strict=True)
        result[split] = [
            ([x for x, w in zip(ids, weight, strict=True) if x >= 0 and not w],
             [x for x, w in zip(ids, weight, strict=True) if w])
            for ids, weight in parts
        ]  # fmt: skip
    return result


def words(*ids: Any) -> list[int]:
    return [WORDS.index(str(each)) for each in ids]


def test_a_row_is_a_filled_template_and_its_reference(tmp_path: Path) -> None:
    lines = [{"q": {"n": f"{n} {n}"}, "a": "yes" if n % 2 else "no"} for n in range(60)]

    read = rows(lay(tmp_path, lines, template="Q: {q.n}\nA:", reference="{a} {q.n}"))

    expected: dict[str, list[tuple[list[int], list[int]]]] = {"train": [], "validation": [], "test": []}
    for n in range(60):
        row = words("Q:", n, n, "A:"), words("yes" if n % 2 else "no", n, n)
        expected[split_of(f"Q: {n} {n}\nA:")].append(row)
    assert read == expected


def test_most_prompts_are_for_tests_and_a_few_for_each_other_split() -> None:
    splits = [split_of(f"prompt {n}") for n in range(10_000)]

    # Four standard deviations of a share of a tenth are 120.
    assert abs(splits.count("train") - 1000) < 120
    assert abs(splits.count("validation") - 1000) < 120


def test_rows_of_a_group_are_of_one_split(tmp_path: Path) -> None:
    lines = [{"prompt": str(n), "reference": "yes", "in": {"book": f"book {n % 40}"}} for n in range(80)]
    repeated = {"prompt": "0", "reference": "yes", "in": {"book": "another"}}

    read = rows(lay(tmp_path, [*lines, repeated], group="{in.book}"))

    books = {split: {(prompt[0] - 5) % 40 for prompt, _ in each} for split, each in read.items()}
    assert books == {
        split: {n for n in range(40) if split_of(f"book {n}") == split} for split in ("train", "validation", "test")
    }
    assert sum(map(len, read.values())) == 80


def test_braces_without_a_name_and_text_of_fields_stay_as_they_are(tmp_path: Path) -> None:
    lines = [{"prompt": f"{n} {{prompt}} {{ }}", "reference": "yes"} for n in range(60)]
    (tmp_path / "a").mkdir()

    read = rows(lay(tmp_path / "a", lines, template="{prompt} {} 7"))

    assert {tuple(prompt[1:]) for each in read.values() for prompt, _ in each} == {(0, 0, 0, 0, WORDS.index("7"))}


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    lines = [{"prompt": str(n), "reference": "yes"} for n in range(60)]
    wrong = [{"prompt": "1", "reference": ""}, {"prompt": "1 " * 9, "reference": "no"}]
    spec = lay(tmp_path, [*lines, *lines[:5], *wrong], length=8)

    dataset = spec.build()

    assert sum(dataset.sizes.values()) == 60
    assert dataset.left_out == {"empty or too long": 2}


def test_its_ids_are_read_as_text(tmp_path: Path) -> None:
    dataset = lay(tmp_path, [{"prompt": str(n), "reference": "yes"} for n in range(60)]).build()

    assert dataset.text(words("A:", "yes", 7)) == "A: yes 7"


GOOD = [{"prompt": str(n), "reference": "yes"} for n in range(60)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*GOOD, {"prompt": "1"}], "line 61: expected the field 'reference', got none; correct the line"),
        ([{"prompt": 1, "reference": "yes"}], "line 1: expected a text in 'prompt', got 1"),
        ([["prompt"]], "line 1: expected the field 'prompt', got none"),
        (['{"prompt": "a"'], "line 1: "),
        (['{"prompt": "\\ud800", "reference": "yes"}'], "line 1: "),
        ([""], "expected JSON Lines, got an empty one"),
        (["", ""], "expected rows in each split"),
        (GOOD[:2], "expected rows in each split"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(RunError) as error:
        lay(tmp_path, lines).build()

    assert str(tmp_path / "a.jsonl") in str(error.value)
    assert message in str(error.value)


def test_a_template_without_a_field_is_refused() -> None:
    values = {"use": "prompts", "file": "a", "tokenizer": "b", "template": "Say something"}

    with pytest.raises(StructureError, match=r"expected a field in braces, such as \{prompt\}, got 'Say something'"):
        Structurer(discover())(values, DatasetSpec)

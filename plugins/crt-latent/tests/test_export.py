"""The export: written files are plain JSON, and arguments that do not fit are refused."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from crt_latent.export import export
from crt_latent.mixing.alphabet import Alphabet
from crt_latent.mixing.mixed import Chunking, mixed
from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.spec import AffineChain
from crt_latent.traces import join_trace, split_trace
from crtcore.errors import RunError

CODES = torch.arange(12.0).view(6, 2)


@functools.cache
def task() -> GeneratedTask:
    return AffineChain(steps=2, train=8, validation=4, test=4).build()


def alphabet() -> Alphabet:
    return Alphabet(task().vocabulary, len(CODES))


def rows(split: str) -> Tensor:
    """Returns rows of a split; in every other row the first chunk is a code."""
    trace = split_trace(task().take(split, torch.arange(4)).data, task().vocabulary)
    chosen = torch.tensor([[True], [False], [True], [False]])
    codes = torch.tensor([[0, 1], [2, 3], [4, 5], [0, 0]])
    return join_trace(mixed(trace, codes, chosen, chunking=Chunking(8, 8), alphabet=alphabet()), task().vocabulary)


def exported(folder: Path) -> Path:
    splits = {split: [rows(split)[:3], rows(split)[3:]] for split in ("train", "test")}
    export(folder / "out", task(), splits, alphabet=alphabet(), codes=CODES)
    return folder / "out"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_exported_rows_can_be_read(tmp_path: Path, split: str) -> None:
    folder = exported(tmp_path)

    lines = [json.loads(line) for line in (folder / "data" / f"{split}.jsonl").read_text().splitlines()]

    assert [line["input_ids"] for line in lines] == [[id_ for id_ in row if id_ >= 0] for row in rows(split).tolist()]


def test_labels_are_the_ids_without_the_prompt(tmp_path: Path) -> None:
    for line in (exported(tmp_path) / "data" / "train.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert record["labels"] == [-100] * 6 + record["input_ids"][6:]  # two operations have six ids


def test_the_tokenizer_has_a_text_for_each_id(tmp_path: Path) -> None:
    folder = exported(tmp_path)

    tokenizer, added = read(folder / "tokenizer.json"), read(folder / "added_tokens.json")

    text_of = {id_: text for text, id_ in (tokenizer["model"]["vocab"] | added).items()}
    assert sorted(text_of) == list(range(alphabet().size))
    text = task().take("train", torch.arange(1)).data[0]
    assert " ".join(text_of[id_] for id_ in text.tolist()) == task().words(text)
    assert added["<latent_0>"] == task().vocabulary
    assert (added["<boLatent>"], added["<eoLatent>"]) == (task().vocabulary + 6, task().vocabulary + 7)


def test_delimiters_codes_and_bracket_are_special_tokens(tmp_path: Path) -> None:
    tokenizer = read(exported(tmp_path) / "tokenizer.json")

    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"] if token["special"]}
    assert sorted(special.values()) == list(range(task().vocabulary - 3, alphabet().size))
    assert special["<think>"] == task().vocabulary - 3


def test_exported_vectors_can_be_read(tmp_path: Path) -> None:
    tensors = safetensors.torch.load_file(exported(tmp_path) / "codes.safetensors")

    assert torch.equal(tensors["codes"], CODES)


def test_the_card_names_every_split(tmp_path: Path) -> None:
    card = (exported(tmp_path) / "README.md").read_text()

    for split in ("train", "test"):
        assert f"  - split: {split}\n    path: data/{split}.jsonl\n" in card


def test_an_existing_folder_is_not_changed(tmp_path: Path) -> None:
    exported(tmp_path)

    with pytest.raises(RunError, match=r"export: expected a new folder, got .*out, which exists"):
        exported(tmp_path)


def test_an_id_beyond_the_alphabet_is_refused(tmp_path: Path) -> None:
    beyond = torch.tensor([[alphabet().size]])

    with pytest.raises(ValueError, match=f"expected ids below {alphabet().size}, got {alphabet().size}"):
        export(tmp_path / "out", task(), {"train": [beyond]}, alphabet=alphabet(), codes=CODES)


def test_another_number_of_codes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected an alphabet of the .* ids of the task and 5 codes, got Alphabet"):
        export(tmp_path / "out", task(), {}, alphabet=alphabet(), codes=CODES[:5])

"""Exports a mixed data set and its vocabulary for the libraries datasets, tokenizers and transformers.

Axes: b batch, n ids of a row, k codes, d code width. Id -1 means absent, only at the right end.
None of these libraries is needed to write it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.tasks.task import Task
from crt_latent.traces import lengths, loss_weights
from crtcore.errors import RunError

IGNORED = -100
"""The label of ids without loss, as in torch and transformers."""


def export(
    folder: Path,
    task: Task,
    splits: Mapping[str, Iterable[Int[Tensor, "_ _"]]],
    *,
    alphabet: Alphabet,
    codes: Float[Tensor, "k d"],
) -> None:
    """Writes rows of mixed traces by split, a word tokenizer with codes and brackets, and the vectors of the codes.

    `data/SPLIT.jsonl` has `input_ids` and `labels` in each line; labels are not shifted and -100 on the prompt.
    `tokenizer.json`, `tokenizer_config.json` and `added_tokens.json` are the vocabulary, `codes.safetensors` has a row
    for each code in the order of ids, and `README.md` lists the splits for `load_dataset`.
    Raises: RunError if the folder exists, ValueError if an id is beyond the alphabet, or the alphabet is not that of
    the task with these codes.
    """
    if (alphabet.text, alphabet.codes) != (task.vocabulary, len(codes)):
        raise ValueError(
            f"expected an alphabet of the {task.vocabulary} ids of the task and {len(codes)} codes, got {alphabet}"
        )
    try:
        (folder / "data").mkdir(parents=True)
    except FileExistsError as error:
        raise RunError(
            f"export: expected a new folder, got {folder}, which exists; name another, or delete it"
        ) from error
    for split, batches in splits.items():
        with (folder / "data" / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for line in _lines(batches, alphabet):
                file.write(line + "\n")
    texts = [task.words(torch.tensor([id_])) for id_ in range(alphabet.text)]
    added = {f"<latent_{code}>": alphabet.text + code for code in range(alphabet.codes)}
    added |= {"<boLatent>": alphabet.begin, "<eoLatent>": alphabet.close}
    _write(folder / "added_tokens.json", added)
    _write(folder / "tokenizer.json", _tokenizer(texts, added))
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": texts[-1], "clean_up_tokenization_spaces": False},
    )
    safetensors.torch.save_file({"codes": codes.detach().cpu().contiguous()}, folder / "codes.safetensors")
    (folder / "README.md").write_text(_card(splits), encoding="utf-8")


def _lines(batches: Iterable[Int[Tensor, "_ _"]], alphabet: Alphabet) -> Iterator[str]:
    for ids in batches:
        if ids.numel() and int(ids.max()) >= alphabet.size:
            raise ValueError(f"expected ids below {alphabet.size}, got {int(ids.max())}")
        labels = ids.where(loss_weights(ids, alphabet.text) > 0, IGNORED)
        for row, label, length in zip(ids.tolist(), labels.tolist(), lengths(ids).tolist(), strict=True):
            yield json.dumps({"input_ids": row[:length], "labels": label[:length]})


def _tokenizer(texts: list[str], added: Mapping[str, int]) -> dict[str, Any]:
    """Returns a tokenizer that splits at spaces, as the library tokenizers writes it; unknown words are errors."""
    marks = {text: id_ for id_, text in enumerate(texts) if id_ >= len(texts) - 3}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": id_, "content": text, **flags} for text, id_ in {**marks, **added}.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {text: id_ for id_, text in enumerate(texts)},
            "unk_token": "<unk>",
        },
    }


def _card(splits: Iterable[str]) -> str:
    files = "".join(f"  - split: {split}\n    path: data/{split}.jsonl\n" for split in splits)
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

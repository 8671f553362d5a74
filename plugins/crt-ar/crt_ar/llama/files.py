"""Reads and writes folders of a Llama as transformers does: `config.json` and safetensors, sharded or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor

from crt_ar.llama.config import NAME, config_of, read_config, table
from crt_ar.llama.layout import EMBEDDING, HEAD, Place, places, published, put
from crt_ar.llama.network import LlamaTransformer
from crt_nn.backends import Backend
from crtcore.errors import RunError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = 5 * 10**9
"""Most bytes of a file, unless one tensor has more; the default of transformers."""
_COMPUTED = "rotary_emb.inv_freq"
"""Suffix of tensors in old files that readers compute themselves."""


def read_llama(
    folder: str | Path,
    vocabulary: int | None = None,
    classes: int | None = None,
    *,
    attention: Backend = "auto",
    recompute: bool = False,
) -> LlamaTransformer:
    """Reads the Llama in `folder`, in float32; its start id is `bos_token_id`, or else the first `eos_token_id`.

    A row that begins with the start id, as tokenizers of transformers make them, is not given a second one. A
    `vocabulary` larger than the folder's adds rows, which start at the mean of the others; rows of classes start as
    that of the start id. Both are to be trained.
    Raises: RunError if the folder holds no complete Llama, or its vocabulary is larger than `vocabulary`.
    """
    folder = Path(folder).absolute()
    config = read_config(folder)
    known = config.vocabulary
    if vocabulary is not None and vocabulary < known:
        raise RunError(
            f"llama: expected a vocabulary of at least {known} ids, as {folder} has rows for them, "
            f"got {vocabulary}; use data of that model's tokenizer"
        )
    with torch.device("meta"):  # no first values are drawn, as they would be overwritten
        prior = LlamaTransformer(
            config.shape, vocabulary or known, classes, start=config.start, merge=True, attention=attention,
            recompute=recompute,
        )  # fmt: skip
    empty = {name: torch.empty(weight.shape) for name, weight in prior.named_parameters()}
    prior.load_state_dict(empty, assign=True)
    _fill(folder, prior, known)
    with torch.no_grad():
        for layer in (prior.embedding, prior.head):
            if layer is not None and len(layer.weight) > known:
                layer.weight[known:] = layer.weight[:known].mean(0)
        if prior.prefixes is not None:
            prior.prefixes.weight[:] = 0 if prior.first is None else prior.embedding.weight[prior.first]
    return prior


def write_llama(folder: str | Path, prior: LlamaTransformer, *, shard: int = SHARD) -> None:
    """Writes `prior` in its own precision to a new folder, in several files if it has more than `shard` bytes.

    Raises: RunError if the folder is not empty, or the prior has classes, which a Llama has not.
    """
    folder = Path(folder).absolute()
    if prior.prefixes is not None:
        raise RunError(f"llama: expected a prior without classes to write, got one with {prior.classes}")
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"llama: expected a new folder, got {folder}, which is not empty; name another")
    folder.mkdir(parents=True, exist_ok=True)
    weights = _weights(prior)
    dtype = str(prior.embedding.weight.dtype).removeprefix("torch.")
    _dump(folder / NAME, config_of(prior.shape, prior.vocabulary, prior.first, dtype))
    parts = _parts(prior, shard)
    files: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        file = SINGLE if len(parts) == 1 else f"model-{number:05}-of-{len(parts):05}.safetensors"
        tensors = {theirs: published(weights[at.name], at).cpu().contiguous() for theirs, at in part.items()}
        safetensors.torch.save_file(tensors, folder / file, metadata={"format": "pt"})
        files |= dict.fromkeys(part, file)
    if len(parts) > 1:
        total = sum(weight.nbytes for weight in weights.values())
        _dump(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": files})


def _fill(folder: Path, prior: LlamaTransformer, known: int) -> None:
    """Loads the tensors in a folder into a prior, one after another; the first `known` ids have rows there.

    Raises: RunError if a tensor is missing, unknown or of another shape, or a tied one differs from the embedding.
    """
    weights, targets = _weights(prior), _every_place(prior, known)
    shapes = {theirs: list(weights[at.name][at.rows].shape) for theirs, at in targets.items()}
    if prior.head is None:
        shapes[HEAD] = shapes[EMBEDDING]
    seen, tied = set[str](), None
    for file, theirs, content in _tensors(folder):
        if theirs.endswith(_COMPUTED):
            continue
        if (shape := content.get_slice(theirs).get_shape()) != shapes.get(theirs):
            raise _mismatch(file, theirs, shapes.get(theirs, "absent"), shape)
        seen.add(theirs)
        if isinstance(prior.embedding.weight, FakeTensor):
            continue  # crt-cost counts on tensors without contents
        if theirs in targets:
            put(weights[targets[theirs].name], targets[theirs], content.get_tensor(theirs))
        else:
            tied = content.get_tensor(theirs)
    if missing := sorted(targets.keys() - seen):
        raise _mismatch(folder, missing[0], shapes[missing[0]], "absent")
    embedding = prior.embedding.weight[:known]
    if tied is not None and not torch.equal(tied.to(embedding), embedding):
        raise RunError(
            f"llama: {folder}: expected {HEAD!r} to be the embedding, as config.json ties them, got another; "
            "set tie_word_embeddings to false there"
        )


def _every_place(prior: LlamaTransformer, known: int) -> dict[str, Place]:
    """Maps published names to places, without the output layer of a tied Llama."""
    result = {EMBEDDING: Place("embedding.weight", slice(known))} | places(prior.stack)
    return result if prior.head is None else result | {HEAD: Place("head.weight", slice(known))}


def _weights(prior: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach() for name, weight in prior.named_parameters()}


def _parts(prior: LlamaTransformer, shard: int) -> list[dict[str, Place]]:
    """Splits the places of a prior's tensors, in the order of layers, into parts of at most `shard` bytes."""
    weights = _weights(prior)
    parts: list[dict[str, Place]] = [{}]
    filled = 0
    for theirs, place in _every_place(prior, prior.vocabulary).items():
        size = weights[place.name][place.rows].nbytes
        if parts[-1] and filled + size > shard:
            parts.append({})
            filled = 0
        parts[-1][theirs] = place
        filled += size
    return parts


def _tensors(folder: Path) -> Iterator[tuple[Path, str, Any]]:
    """Yields the path of a file, the name of a tensor in it, and the open file, for all tensors in a folder.

    Raises: RunError if a file is missing or damaged, or its tensors are not those of the index.
    """
    for file, names in _files(folder).items():
        try:
            with safetensors.safe_open(file, framework="pt") as content:
                if names is not None and names != set(content.keys()):
                    odd = min(names ^ set(content.keys()))
                    raise RunError(
                        f"llama: expected {file} to hold the tensors of {INDEX}, got a difference in {odd!r}"
                    )
                for theirs in content.keys():  # noqa: SIM118 - not a mapping
                    yield file, theirs, content
        except (OSError, safetensors.SafetensorError) as error:
            raise RunError(f"llama: cannot read {file} ({error}); copy that file again") from error


def _files(folder: Path) -> Mapping[Path, set[str] | None]:
    """Returns the files of a folder with the names that the index lists for each; None: there is no index."""
    if (folder / SINGLE).exists():
        return {folder / SINGLE: None}
    if not (folder / INDEX).exists():
        raise RunError(
            f"llama: expected {SINGLE} or {INDEX} in {folder}, got neither; "
            "convert weights of another format by save_pretrained of transformers"
        )
    listed = table(folder / INDEX).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise RunError(f"llama: expected {folder / INDEX} to have a weight_map of names to files, got {listed!r}")
    files: dict[Path, set[str]] = {}
    for theirs, name in listed.items():
        if not isinstance(name, str) or Path(name).name != name:
            raise RunError(
                f"llama: {folder / INDEX}: {theirs}: expected the name of a file in the folder, got {name!r}"
            )
        files.setdefault(folder / name, set()).add(theirs)
    if missing := [file.name for file in files if not file.exists()]:
        raise RunError(
            f"llama: expected {missing[0]} in {folder}, as {INDEX} names it, got no such file; copy it there"
        )
    return files


def _mismatch(where: Path, theirs: str, expected: object, got: object) -> RunError:
    return RunError(f"llama: {where}: expected {theirs!r} to be {expected}, got {got}; does it fit config.json?")


def _dump(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

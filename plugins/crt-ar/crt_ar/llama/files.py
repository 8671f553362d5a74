"""Reads and writes folders of Llamas and related families as transformers does: `config.json` and safetensors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor

from crt_ar.llama.config import Config, config_of, read_config
from crt_ar.llama.grown import GrownRows
from crt_ar.llama.layout import EMBEDDING, HEAD, Place, places, published, put, shapes
from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.values import NAME
from crt_nn.backends import Backend
from crt_nn.json_files import json_object
from crt_nn.tensor_files import Form, check_type, finite, headers, numbers, shared_type
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
    dtype: torch.dtype | None = torch.float32,
) -> LlamaTransformer:
    """Reads the Llama, or the model of a related family, in `folder`.

    Weights take `dtype`; None: that of the files, or float32 if they have several types, or float64. The start id is
    `bos_token_id`, or else the first `eos_token_id`; a row that begins with it, as tokenizers of transformers make
    them, is not given a second one. A `vocabulary` larger than the folder's adds rows, which start at the mean of the
    others; rows of classes start as that of the start id. Both are to be trained.
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
    files, own = _checked(folder, config)
    with torch.device("meta"):  # no first values are drawn, as they would be overwritten
        prior = LlamaTransformer(
            config.shape, vocabulary or known, classes, start=config.start, merge=True, attention=attention,
            recompute=recompute,
        )  # fmt: skip
    empty = {name: torch.empty(weight.shape, dtype=dtype or own) for name, weight in prior.named_parameters()}
    prior.load_state_dict(empty, assign=True)
    if not isinstance(prior.embedding.weight, FakeTensor):  # crt-cost counts on tensors without contents
        _fill(folder, files, prior, known)
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


def _checked(folder: Path, config: Config) -> tuple[list[Path], torch.dtype]:
    """Returns the files of a folder and the type of their weights, once all tensors are those of its `config.json`.

    Names, shapes and types are compared. Nothing of the size that `config.json` states is made before.
    Raises: RunError if a tensor is missing, unknown, or of another shape or type.
    """
    forms: dict[str, tuple[Path, Form]] = {}
    files = _files(folder)
    for file, names in files.items():
        held = {name: (file, form) for name, form in headers(file, "llama").items()}
        if names is not None and names != held.keys():
            odd = min(names ^ held.keys())
            raise RunError(
                f"llama: {file}: expected the tensors that {INDEX} lists, got a difference in {odd!r:.120}; "
                "fetch all files of that model again"
            )
        forms |= {name: form for name, form in held.items() if not name.endswith(_COMPUTED)}
    types = {form.dtype for _, form in forms.values()}
    for name, sizes in shapes(config.shape, config.vocabulary):  # ends at the first layer that is not there
        file, form = forms.pop(name, (folder, None))
        _check(file, name, sizes, form)
    if config.shape.tied and HEAD in forms:
        file, form = forms.pop(HEAD)
        _check(file, HEAD, [config.vocabulary, config.shape.width], form)
    for name, (file, form) in forms.items():
        _check(file, name, "absent", form)
    return list(files), shared_type(types)


def _check(file: Path, name: str, expected: object, form: Form | None) -> None:
    got = form.shape if form else "absent"
    if got != expected:
        raise RunError(f"llama: {file}: expected {name!r:.120} to be {expected}, got {got}; does it fit config.json?")
    if form:
        check_type(file, "llama", name, form.dtype)


def _fill(folder: Path, files: Sequence[Path], prior: LlamaTransformer, known: int) -> None:
    """Loads tensors into a prior, one after another; the first `known` ids have rows in the files.

    Raises: RunError if a tensor is not finite, or a tied one differs from the embedding.
    """
    own, targets, tied = _weights(prior), _every_place(prior, known), None
    for file in files:
        for name, tensor in numbers(file, "llama"):
            if name in targets:
                weight = own[targets[name].name]
                put(weight, targets[name], finite(file, "llama", name, tensor, weight.dtype))
            elif name == HEAD:
                tied = tensor
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
    grown = {name: each.weight.detach() for name, each in prior.named_modules() if isinstance(each, GrownRows)}
    own = {name: each.detach() for name, each in prior.named_parameters() if name.rpartition(".")[0] not in grown}
    return own | {f"{name}.weight": rows for name, rows in grown.items()}


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


def _files(folder: Path) -> Mapping[Path, set[str] | None]:
    """Returns the files of a folder with the names that the index lists for each; None: there is no index."""
    if os.path.lexists(folder / SINGLE):
        return {folder / SINGLE: None}
    if not os.path.lexists(folder / INDEX):
        raise RunError(
            f"llama: expected {SINGLE} or {INDEX} in {folder}, got neither; "
            "convert weights of another format by save_pretrained of transformers"
        )
    listed = json_object(folder / INDEX, "llama").get("weight_map")
    if not isinstance(listed, dict) or not listed:
        got = f"{listed!r:.120}; fetch that file again"
        raise RunError(f"llama: expected {folder / INDEX} to have a weight_map of names to files, got {got}")
    files: dict[Path, set[str]] = {}
    for theirs, name in listed.items():
        if not isinstance(name, str) or Path(name).name != name:
            got = f"{name!r:.120}; fetch that file again"
            raise RunError(
                f"llama: {folder / INDEX}: {theirs!r:.120}: expected the name of a file in the folder, got {got}"
            )
        files.setdefault(folder / name, set()).add(theirs)
    return files


def _dump(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

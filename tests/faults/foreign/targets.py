"""Small valid files that other programs write, their readers here, and a second reading in plain Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from crt_ar import Llama, LlamaGen
from crt_ar.llama.files import _every_place, _weights, read_llama, write_llama
from crt_ar.llama.layout import published
from crt_ar.public import load_llamagen
from crt_ar.public import names as gpt_names
from crt_basics.priors.saved import write_run
from crt_basics.priors.specs import Saved, Table
from crt_data.specs import TokenFiles
from crt_fidelity.moments import stored
from crt_vq import VQ, VQGAN
from crt_vq.tokenizers.llamagen_files import load_llamagen_tokenizer
from crt_vq.tokenizers.llamagen_files import names as vq_names

Reading: TypeAlias = "dict[str, Any]"
"""What files hold, by name: shapes and bytes of numbers, or plain values."""
NUMBERS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LENGTH = 8
"""Tokens of a window."""


class Target(NamedTuple):
    """A kind of file, or of folder."""

    name: str
    lay: Callable[[Path], None]
    """Writes valid files to a folder."""
    read: Callable[[Path], Reading]
    """Reads them as users do."""
    again: Callable[[Path], Reading] | None = None
    """A second reading of files without checksums, which may be damaged so that they hold other values."""
    listed: bool = False
    """Whether the reader lists a folder to get its files, so that one that is gone is no fault."""


def form(tensor: Any) -> tuple[list[int], bytes]:
    """Shape of an array and its numbers in float64, with one zero."""
    values = np.asarray(tensor.detach().double() if isinstance(tensor, Tensor) else tensor, np.float64) + 0
    return list(values.shape), values.tobytes()


def exact(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Random numbers of these shapes that float16 and bfloat16 hold, too."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randint(-16, 17, value.shape, generator=generator) / 8 for name, value in sorted(tensors.items())
    }


def headed(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file, parsed by its published format alone; raises whatever it stumbles on."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, about in json.loads(raw[8:start]).items():
        if name != "__metadata__":
            content = raw[start:][slice(*about["data_offsets"])]
            if about["dtype"] == "BF16":
                wide = np.frombuffer(content, "<u2").astype("<u4") << 16
                values = wide.view("<f4")
            else:
                values = np.frombuffer(content, NUMBERS[about["dtype"]])
            tensors[name] = values.reshape(about["shape"])
    return tensors


@cache
def gpt() -> Any:
    """A small prior of LlamaGen's."""
    return LlamaGen(layers=1, width=8, heads=2).build(5, 4, 2)


@cache
def vqgan() -> Any:
    """A small tokenizer of LlamaGen's."""
    spec = VQGAN(channels=32, multipliers=(1,), blocks=1, latent=4)
    return spec.build(VQ(codes=5, width=2).build(), torch.zeros(1, 3, 4, 4))


def loaded(load_into: Callable[[Path, Any], None], path: Path, module: nn.Module, names: dict[str, str]) -> Reading:
    """Loads a file into a module that nothing is left in: a refused file must have changed nothing."""
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        load_into(path, module)
    except BaseException:
        after = module.state_dict()
        if not all(torch.equal(value, after[name]) for name, value in before.items()):
            raise AssertionError("partly loaded") from None
        raise
    reading = {theirs: form(module.state_dict()[ours].clone()) for ours, theirs in names.items()}
    module.load_state_dict(before)
    return reading


def public_pair(kind: str, suffix: str, *, old: bool = False) -> Target:
    """The weights of a prior or a tokenizer of LlamaGen, in a file of this suffix."""
    make, names_of, load_into = {
        "gpt": (gpt, gpt_names, load_llamagen),
        "vq": (vqgan, vq_names, load_llamagen_tokenizer),
    }[kind]

    def lay(folder: Path) -> None:
        state = make().state_dict()
        tensors = exact({theirs: state[ours] for ours, theirs in names_of(make()).items()})
        if suffix == ".safetensors":
            safetensors.torch.save_file(tensors, folder / f"w{suffix}")
        else:
            torch.save({"model": tensors, "steps": 7}, folder / f"w{suffix}", _use_new_zipfile_serialization=not old)

    def read(folder: Path) -> Reading:
        return loaded(load_into, folder / f"w{suffix}", make(), names_of(make()))

    def again(folder: Path) -> Reading:
        tensors = headed(folder / f"w{suffix}")
        tensors.pop("quantize.codebook_used", None)
        return {name: form(value) for name, value in tensors.items()}

    name = f"{kind}{'-old' if old else ''}{suffix}"
    return Target(name, lay, read, again if suffix == ".safetensors" else None)


def llama(*, shards: bool) -> Target:
    """A folder of a small Llama, in one file or in several."""

    def lay(folder: Path) -> None:
        prior = Llama(layers=1, width=8, heads=2, key_heads=1, hidden=4, start=3).build(5, 0, None)
        prior.load_state_dict(exact(prior.state_dict()))
        write_llama(folder / "llama", prior, shard=400 if shards else 10**9)
        config = json.loads((folder / "llama" / "config.json").read_text())
        (folder / "llama" / "config.json").write_text(json.dumps(config | {"rope_scaling": ROPE}, indent=1))

    def read(folder: Path) -> Reading:
        prior = read_llama(folder / "llama")
        own = _weights(prior)
        places = _every_place(prior, prior.vocabulary)
        shape = prior.shape
        settings = [shape.layers, shape.width, shape.heads, shape.key_heads, shape.hidden, shape.tied]
        settings += [shape.base, shape.epsilon, shape.positions, shape.scaling and list(shape.scaling)]
        return {"config": [*settings, prior.vocabulary, prior.first]} | {
            name: form(published(own[place.name], place)) for name, place in places.items()
        }

    def again(folder: Path) -> Reading:
        config = json.loads((folder / "llama" / "config.json").read_text())
        settings = [config["num_hidden_layers"], config["hidden_size"], config["num_attention_heads"]]
        settings += [config.get("num_key_value_heads") or settings[2], config["intermediate_size"]]
        settings += [config.get("tie_word_embeddings", False)]
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        rope = {"rope_theta": config.get("rope_theta", 10_000), **rope}
        defaults = {"rms_norm_eps": 1e-6, "max_position_embeddings": 2048}
        settings += [float(rope["rope_theta"])]
        settings += [default if config.get(key) is None else config[key] for key, default in defaults.items()]
        llama3 = rope.get("rope_type", rope.get("type", "default")) == "llama3"
        settings += [[rope[key] for key in list(ROPE)[1:]] if llama3 else None]
        reading: Reading = {"config": [*settings, config["vocab_size"], config.get("bos_token_id", 1)]}
        single = folder / "llama" / "model.safetensors"
        index = {"": single.name}
        if not single.exists():
            index = json.loads((folder / "llama" / "model.safetensors.index.json").read_text())["weight_map"]
        for file in set(index.values()):
            tensors = {name: form(value) for name, value in headed(folder / "llama" / file).items()}
            reading |= {name: value for name, value in tensors.items() if not name.endswith("rotary_emb.inv_freq")}
        if reading["config"][5]:
            reading.pop("lm_head.weight", None)  # tied, and compared with the embedding
        return reading

    return Target(f"llama{'-shards' if shards else ''}", lay, read, again)


def lay_saved(folder: Path) -> None:
    """A checkpoint of a stage that trained a table."""
    table = torch.arange(36, dtype=torch.float64).reshape(3, 4, 3)
    write_run(folder, {"part.prior.logits": table})


def read_saved(folder: Path) -> Reading:
    """The weights of that stage."""
    prior = Saved(run=str(folder / "example" / "run"), prior=Table(order=1)).build(3, 4, 2)
    return {name: form(value) for name, value in prior.state_dict().items()}


def lay_tokens(folder: Path) -> None:
    """Tokens of nanoGPT."""
    for name, count in (("train.bin", 1200), ("val.bin", 300)):
        np.random.default_rng(count).integers(50_257, size=count).astype("<u2").tofile(folder / name)


def read_tokens(folder: Path) -> Reading:
    """All windows."""
    data = TokenFiles(folder=str(folder), length=LENGTH, vocabulary=2**16).build()
    return {split: data.take(split, torch.arange(size)).data.tolist() for split, size in data.sizes.items()}


def again_tokens(folder: Path) -> Reading:
    """All windows, without numpy's maps."""
    rows = []
    for name in ("train.bin", "val.bin"):
        tokens = memoryview((folder / name).read_bytes()).cast("H").tolist()
        rows.append([tokens[at : at + LENGTH] for at in range(0, len(tokens) - LENGTH + 1, LENGTH)])
    half = (len(rows[1]) + 1) // 2
    return {"train": rows[0], "validation": rows[1][:half], "test": rows[1][half:]}


def lay_moments(folder: Path) -> None:
    """Moments of features, as guided-diffusion keeps them."""
    np.savez_compressed(folder / "m.npz", mu=np.arange(6.0), sigma=np.eye(6))


def read_moments(folder: Path) -> Reading:
    """The moments."""
    return {name: form(value) for name, value in stored(str(folder / "m.npz")).items()}


FILES = (
    public_pair("gpt", ".pt"),
    public_pair("gpt", ".pt", old=True),
    public_pair("gpt", ".safetensors"),
    public_pair("vq", ".pt"),
    public_pair("vq", ".safetensors"),
    llama(shards=False),
    llama(shards=True),
    Target("saved", lay_saved, read_saved),
    Target("tokens", lay_tokens, read_tokens, again_tokens),
    Target("moments", lay_moments, read_moments),
)

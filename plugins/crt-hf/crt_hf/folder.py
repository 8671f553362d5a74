"""Reads a model from a local folder: configuration and safetensors, no code, no pickle, nothing downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crt_hf import families
from crt_hf.library import quietly, transformers
from crt_nn.json_files import json_object
from crtcore.errors import RunError, in_one_line

CONFIG, GENERATION = "config.json", "generation_config.json"
DTYPES = ("auto", "float32", "bfloat16", "float16")
_CODE = "one whose code is in the folder, which is never run"
_LARGEST = 2**24
"""Bytes of a JSON file that are read."""
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def read_model(folder: str | Path, dtype: str = "auto") -> Any:
    """The `PreTrainedModel` in a folder, in evaluation.

    Raises: RunError if there is no folder, or no model in it that is supported.
    """
    folder = checked(folder)
    check_dtype(dtype)
    config = read_config(folder)
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    model, notes = _loaded(
        folder, transformers().AutoModelForCausalLM, config=config, dtype=dtype, use_safetensors=True,
        attn_implementation="eager" if capped else "sdpa", output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are named below
    )  # fmt: skip
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if odd := sorted(map(str, notes.get(key) or ())):
            raise RunError(
                f"huggingface: {folder}: expected the weights that {CONFIG} describes, got {key.replace('_', ' ')}: "
                f"{', '.join(odd):.200}; fetch all files of that model again"
            )
    return model.eval().requires_grad_(False)


def check_dtype(dtype: str) -> None:
    """Nothing, if there is such a type of weights.

    Raises: RunError.
    """
    if dtype not in DTYPES:
        raise RunError(f"huggingface: dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}")


def read_config(folder: Path) -> Any:
    """The configuration in a folder, of a family that is supported.

    Raises: RunError.
    """
    table = read_table(folder / CONFIG)
    if (family := table.get("model_type")) not in families.FAMILIES:
        if "auto_map" in table:
            raise RunError(f"huggingface: {folder}: expected a family of transformers, got {_CODE}")
        raise families.unknown(family)
    config = _loaded(folder, transformers().AutoConfig)
    if getattr(config, "quantization_config", None):
        raise RunError(f"huggingface: {folder}: expected weights in floating point, got quantization_config")
    families.masks(config)
    return config


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder.

    Raises: RunError if there is none.
    """
    if not has_tokenizer(folder):
        raise RunError(f"huggingface: {folder}: expected a tokenizer (tokenizer.json), got none; give prompts as ids")
    about = folder / "tokenizer_config.json"
    if about.exists() and "auto_map" in read_table(about):
        raise RunError(f"huggingface: {about}: expected a tokenizer of transformers, got {_CODE}")
    return _loaded(folder, transformers().AutoTokenizer)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a tokenizer."""
    return any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json"))


def checked(folder: str | Path) -> Path:
    """The folder, if it can hold a model: a local one with a configuration and safetensors.

    Raises: RunError that names what came instead.
    """
    path = Path(folder)
    expected = f"huggingface: {path}: expected a local folder with {CONFIG} and safetensors"
    if path.suffix == ".gguf":
        raise RunError(f"{expected}, got a GGUF file; load it by transformers once, and save it by save_pretrained")
    if not path.exists():
        hint = "a name on the hub is not downloaded here; fetch it first, and name the folder"
        raise RunError(f"{expected}, got no such folder; {hint if len(path.parts) < 3 else 'name another'}")
    if not path.is_dir():
        raise RunError(f"{expected}, got a file")
    path = path.absolute()
    if not (path / CONFIG).exists() and any(path.glob("*.gguf")):
        raise RunError(f"{expected}, got GGUF files; load one by transformers once, and save it by save_pretrained")
    read_table(path / CONFIG)
    if not any(path.glob("*.safetensors")):
        pickles = sorted(each.name for pattern in _PICKLES for each in path.glob(pattern))
        got = f"pickled weights ({pickles[0]}), which can run code; save them by save_pretrained" if pickles else "none"
        raise RunError(f"huggingface: {path}: expected weights in safetensors, got {got}")
    return path


def _loaded(folder: Path, loader: Any, **more: Any) -> Any:
    """What a loader of transformers makes of a folder, without a network and without code that is in it."""
    try:
        with quietly():
            return loader.from_pretrained(str(folder), local_files_only=True, **more)
    except Exception as error:  # transformers raises many kinds for what is in a file
        raise RunError(
            f"huggingface: {folder}: expected what {loader.__name__} of transformers reads, got "
            f"{in_one_line(error):.300}; fetch all files of that model again"
        ) from error


def read_table(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises: RunError if there is none.
    """
    return json_object(path, "huggingface")

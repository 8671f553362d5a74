#!/bin/sh
# transformers' generate samples with an assistant that has another tokenizer (`tokenizer` and `assistant_tokenizer` are
# given, as it asks): universal speculative decoding, arXiv:2502.05202, whose algorithms are lossless. Guess the law of
# what it draws, where the assistant has one word that the target lacks:
#   a) that of the target, as with an assistant of the same tokenizer;  b) a little off, by rounding;  c) another one.
# It is c. The assistant's head is cut to the shared words in the order of `get_vocab()` of its tokenizer, a hash map that
# is in another order in each process, while its logits are read as if they were in the order of ids. Each word is
# verified with the chance of another word: what the target nearly never writes can come nearly always. With the same
# vocabulary in the order of ids the law is right.
# Usage: sh findings/an-assistant-of-another-tokenizer-changes-the-law.sh; it installs what it pins in a temporary folder
# (a torch for the CPU), and fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 numpy==2.4.6
cd "$place"
HF_HUB_OFFLINE=1 "$place/venv/bin/python" - <<'PYTHON'
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL, WORDS, DRAWS = ["[PAD]", "[UNK]", "[END]"], [f"w{number}" for number in range(12)], 1500
PROMPT = [3, 4, 5]
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


def distance(law: torch.Tensor, **given: object) -> float:
    """The total variation between the first new id of many samples and its law."""
    prompt = torch.tensor([PROMPT])
    options = {"attention_mask": torch.ones_like(prompt), "max_new_tokens": 2, "do_sample": True, "top_k": 0}
    drawn = [int(target.generate(prompt, **options, **given)[0, len(PROMPT)]) for _ in range(DRAWS)]
    return float((torch.bincount(torch.tensor(drawn), minlength=len(law)) / DRAWS - law).abs().sum() / 2)


ours, theirs = [*SPECIAL, *WORDS], [*SPECIAL, "another", *WORDS[::-1]]
target, own = model(0, ours), tokenizer(ours)
with torch.no_grad():
    law = target(torch.tensor([PROMPT])).logits[0, -1].softmax(0)
ordered = tokenizer(theirs)
vocabulary = sorted(ordered.get_vocab().items(), key=lambda each: each[1])
ordered.get_vocab = lambda: dict(vocabulary)
seen = {
    "no assistant": distance(law),
    "an assistant of the same tokenizer": distance(law, assistant_model=model(1, ours)),
    "the worst of four of another tokenizer": max(
        distance(law, assistant_model=model(seed, theirs), tokenizer=own, assistant_tokenizer=tokenizer(theirs))
        for seed in range(1, 5)
    ),
    "one whose vocabulary is in the order of ids": distance(
        law, assistant_model=model(1, theirs), tokenizer=own, assistant_tokenizer=ordered
    ),
}
for name, each in seen.items():
    print(f"{name:46} total variation {each:.3f}, {DRAWS} samples")
plain, same, other, sorted_ = seen.values()
assert max(plain, same, sorted_) < 0.08 < 0.2 < other, "transformers changed: this finding is out of date"
PYTHON

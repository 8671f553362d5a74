#!/bin/sh
# transformers' generate prepares logits processors and hands them to `custom_generate`. Guess: a repetition penalty,
# which by its documentation maps ids and scores to scores, can be called with some rows of the batch, as a decoder
# does that drops rows or scores several continuations of one.
# It cannot where the batch has padding: it holds the padding of each row, and raises for another number of rows.
# Without padding it can.
# Usage: sh findings/generate-prepares-a-penalty-for-one-batch.sh; it installs what it pins in a temporary folder (a
# torch for the CPU), and fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 transformers==5.23.0
cd "$place"
HF_HUB_OFFLINE=1 "$place/venv/bin/python" - <<'PYTHON'
import torch
from transformers import LlamaConfig, LlamaForCausalLM

config = LlamaConfig(vocab_size=9, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                     num_key_value_heads=2, bos_token_id=1, eos_token_id=2, pad_token_id=0)
model = LlamaForCausalLM(config).eval()
ids = torch.tensor([[0, 3, 4], [5, 6, 7]])


def outcome(mask):
    seen = []

    def decode(model, input_ids, logits_processor, **_):
        (penalty,) = logits_processor
        try:
            penalty(input_ids[:1], torch.zeros(1, 9))
            seen.append("one row is served")
        except ValueError as error:
            seen.append(f"ValueError: {error}")
        return input_ids

    model.generate(ids, attention_mask=mask, max_new_tokens=2, do_sample=False, repetition_penalty=1.2,
                   custom_generate=decode)
    return seen[0]


padded = outcome(torch.tensor([[0, 1, 1], [1, 1, 1]]))
whole = outcome(torch.ones_like(ids))
print("with padding:", padded)
print("without padding:", whole)
changed = "transformers changed: this finding is out of date"
assert padded == "ValueError: Incompatible `prompt_ignore_length` batch size", changed
assert whole == "one row is served", changed
PYTHON

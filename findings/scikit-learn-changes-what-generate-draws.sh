#!/bin/sh
# Samples 80 ids by transformers' generate with a draft model, from the same seed, before and after scikit-learn is
# installed; nothing else differs, and the code does not import it.
# Guess: the ids are the same, as the seed, the models and the settings are.
# They are not: where scikit-learn can be imported, generate fits a threshold to the draft's probabilities after each
# round, and drafts on only while they exceed it. Rounds have other lengths, so that the same seed gives other ids and
# the draft three times the calls here. Speeds measured in one environment are not those of another.
# Usage: sh findings/scikit-learn-changes-what-generate-draws.sh; it installs what it pins in a temporary folder, and
# fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 transformers==5.23.0 numpy==2.4.6
cat > "$place/draw.py" <<'PYTHON'
import copy
import json
import sys
from importlib.util import find_spec

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

transformers.logging.set_verbosity_error()
torch.manual_seed(0)
shape = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                    bos_token_id=0, eos_token_id=None, pad_token_id=1)
target = LlamaForCausalLM(shape).eval()
target.lm_head.weight.data *= 40  # so that it is sure of some ids
draft = copy.deepcopy(target)
for weight in draft.parameters():
    weight.data += 0.3 * weight.data.std() * torch.randn_like(weight)
calls, forward = 0, draft.forward


def counted(*args, **fields):
    global calls
    calls += 1
    return forward(*args, **fields)


draft.forward = counted
torch.manual_seed(1)
ids = target.generate(torch.tensor([[2, 3, 4]]), assistant_model=draft, do_sample=True, top_k=0, max_new_tokens=80)
print(f"transformers {transformers.__version__}, scikit-learn {'is' if find_spec('sklearn') else 'not'} installed:",
      f"{calls} draft calls, ids ... {ids[0, 10:20].tolist()} ...")
json.dump([calls, ids[0].tolist()], open(sys.argv[1], "w"))
PYTHON
"$place/venv/bin/python" "$place/draw.py" "$place/without"
"$place/venv/bin/python" "$place/draw.py" "$place/again"
"$place/venv/bin/python" -m pip install -q scikit-learn==1.9.1
"$place/venv/bin/python" "$place/draw.py" "$place/with"
"$place/venv/bin/python" - "$place" <<'PYTHON'
import json
import sys

(calls, ids), again, (more, others) = (json.load(open(f"{sys.argv[1]}/{name}")) for name in ("without", "again", "with"))
place = next((at for at, pair in enumerate(zip(ids, others)) if pair[0] != pair[1]), None)
print(f"the first other id is at place {place} of {len(ids)}")
assert again == [calls, ids], "one environment gives other ids: this finding is out of date"
assert place is not None and more > 2 * calls, "scikit-learn changes nothing: this finding is out of date"
PYTHON

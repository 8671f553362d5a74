#!/bin/sh
# Widens the vocabulary of a model by 200 ids with transformers' resize_token_embeddings, as one does for new tokens.
# Guess, from its documentation: new rows are drawn from a normal distribution with the mean and the covariance of the
# old rows, so that they differ from one another as the old rows do.
# They are drawn with 1e-9 of that covariance: they spread by 3e-5 of the old rows, and all new ids have nearly the same
# logits. With fewer old ids than channels the covariance is not positive definite, and all new rows are equal, bit for
# bit. A model cannot distinguish new ids, such as codes, at first.
# Usage: sh findings/resize-token-embeddings-draws-the-mean.sh; it installs what it pins in a temporary folder, and
# fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 transformers==5.23.0 numpy==2.4.6
"$place/venv/bin/python" - <<'PYTHON'
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

transformers.logging.set_verbosity_error()
for ids, channels in ((512, 64), (48, 64)):
    torch.manual_seed(0)
    shape = LlamaConfig(vocab_size=ids, hidden_size=channels, intermediate_size=64, num_hidden_layers=1,
                        num_attention_heads=2, bos_token_id=0, eos_token_id=1)
    model = LlamaForCausalLM(shape)
    model.resize_token_embeddings(ids + 200)
    rows = model.get_input_embeddings().weight.data
    old, new = rows[:ids], rows[ids:]
    spread = float(new.std(0).mean() / old.std(0).mean())
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {ids} ids of {channels} channels:",
          f"new rows spread by {spread:.1e} of the old ones, {len(torch.unique(new, dim=0))} distinct rows of 200")
    expected = 1e-5 < spread < 1e-4 if ids > channels else len(torch.unique(new, dim=0)) == 1
    assert expected, "transformers changed: this finding is out of date"
PYTHON

#!/bin/sh
# transformers' generate takes an assistant of Gemma 4 to draft several ids from one position. Guess: when sampling, the
# logits that come with the drafted ids are those of the law that the ids were drawn from, as speculative sampling needs.
# They are not: each id is the likeliest, and the logits that come with it are the assistant's own. Speculative sampling
# with these emits another law than the target's: here its first id is 0 in 0.4 of cases, where the target has 0.2. With
# the law of one certain id instead, it emits the target's.
# A stand-in with fixed logits takes the place of the assistant's network; drafting and sampling are transformers' own.
# Usage: sh findings/gemma4-assistant-drafts-the-likeliest-id.sh; it installs what it pins in a temporary folder (a torch
# for the CPU), and fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 transformers==5.23.0
cd "$place"
HF_HUB_OFFLINE=1 "$place/venv/bin/python" - <<'PYTHON'
from types import SimpleNamespace

import torch
from torch import nn
from transformers import GenerationConfig
from transformers.generation.candidate_generator import SinglePositionMultiTokenCandidateGenerator
from transformers.generation.utils import _speculative_sampling

DRAFT, TARGET = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.5, 0.3])
ROUNDS = 10_000  # a share's standard error is 0.005 at most
torch.set_num_threads(1)


class Gemma4AssistantForCausalLM(nn.Module):
    device = torch.device("cpu")
    generation_config = GenerationConfig(num_assistant_tokens=1)

    def forward(self, inputs_embeds, **_):
        return SimpleNamespace(logits=DRAFT.log()[None, None], last_hidden_state=inputs_embeds[:, :, :4])


torch.manual_seed(0)
generator = SinglePositionMultiTokenCandidateGenerator(
    Gemma4AssistantForCausalLM(), nn.Embedding(3, 4), GenerationConfig(do_sample=True, max_length=9))
prompt = torch.tensor([[1, 2]])
keys = torch.zeros(1, 1, 2, 4)
outputs = SimpleNamespace(hidden_states=(torch.zeros(1, 2, 4),), shared_kv_states={"full_attention": (keys, keys)})
ids, logits = generator.get_candidates(
    prompt, model_kwargs={}, model_outputs=outputs, is_first_iteration=False, n_last_matches=0)
print("drafted:", ids[0, 2:].tolist(), "with the law", [round(x, 3) for x in logits.softmax(-1)[0, 0].tolist()])


def first_ids(draft_logits):
    target, counts = TARGET.log().expand(1, 2, 3), torch.zeros(3)
    for _ in range(ROUNDS):
        valid, _ = _speculative_sampling(ids, draft_logits, 1, target)
        counts[valid[0, 0]] += 1
    return counts / ROUNDS


own = first_ids(logits)
certain = first_ids(torch.tensor([[[0.0, -torch.inf, -torch.inf]]]))
print("target:", TARGET.tolist())
print("emitted with the law that was handed on:", own.tolist())
print("emitted with the law of a certain id:   ", certain.tolist())
changed = "transformers changed: this finding is out of date"
assert ids[0, 2:].tolist() == [0] and torch.allclose(logits.softmax(-1)[0, 0], DRAFT), changed
assert (own - torch.tensor([0.4, 0.4, 0.2])).abs().max() < 0.025, changed
assert (certain - TARGET).abs().max() < 0.025, changed
PYTHON

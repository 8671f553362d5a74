#!/bin/sh
# transformers reads a GGUF file of float32 weights, nothing in it quantised, as an ordinary float32 model. By its
# documentation such a model has its full weights, for further training. Guess what `save_pretrained` does with it:
#   a) it saves the model;  b) it saves it with a note on GGUF in its configuration;  c) it raises.
# It is c: the model counts as quantised by the format of its file, whatever the types of its weights, and removing
# `quantization_config` from its configuration changes nothing. A new model of the same configuration without that
# entry, with the weights loaded into it, can be saved.
# Usage: sh findings/a-model-from-gguf-cannot-be-saved.sh; it installs what it pins in a temporary folder (a torch for
# the CPU), and fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0 numpy==2.4.6
cd "$place"
HF_HUB_OFFLINE=1 "$place/venv/bin/python" - <<'PYTHON'
import numpy as np
import transformers
from gguf import GGUFWriter
from transformers import AutoConfig, AutoModelForCausalLM

IDS, WIDTH, INNER, HEADS = 16, 8, 16, 2
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def write(path: str) -> None:
    """A Llama of one layer in float32."""
    file = GGUFWriter(path, "llama")
    file.add_context_length(32)
    file.add_embedding_length(WIDTH)
    file.add_block_count(1)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_vocab_size(IDS)
    file.add_rope_dimension_count(WIDTH // HEADS)
    shapes = {"token_embd": (IDS, WIDTH), "output": (IDS, WIDTH), "output_norm": (WIDTH,)}
    shapes |= {f"blk.0.{name}_norm": (WIDTH,) for name in ("attn", "ffn")}
    shapes |= {f"blk.0.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_gate": (INNER, WIDTH), "blk.0.ffn_up": (INNER, WIDTH), "blk.0.ffn_down": (WIDTH, INNER)}
    random = np.random.default_rng(0)
    for name, shape in shapes.items():
        file.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def saved(model: transformers.PreTrainedModel) -> str:
    try:
        model.save_pretrained("saved")
    except ValueError as error:
        return f"ValueError: {str(error).partition(' - ')[0]}"
    return "saved"


write("small.gguf")
model = AutoModelForCausalLM.from_pretrained(".", gguf_file="small.gguf")
print("read:", type(model).__name__, {str(each.dtype) for each in model.parameters()})
seen = [saved(model)]
fields = {key: value for key, value in model.config.to_dict().items() if key != "quantization_config"}
del model.config.quantization_config
seen.append(saved(model))
copy = AutoModelForCausalLM.from_config(AutoConfig.for_model(**fields))
copy.load_state_dict(model.state_dict())
seen.append(saved(copy))
for name, each in zip(("as read", "without quantization_config", "a new model with its weights"), seen, strict=True):
    print(f"{name}: {each}")
refused = "ValueError: The model is quantized with gguf and is not serializable"
assert seen == [refused, refused, "saved"], "transformers changed: this finding is out of date"
PYTHON

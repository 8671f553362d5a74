"""Runs tests on one thread and checks shape annotations."""

import jaxtyping
import torch

torch.set_num_threads(1)
jaxtyping.install_import_hook(["crt_hf"], "beartype.beartype")

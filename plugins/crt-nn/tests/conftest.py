"""Runs tests on one thread and checks shape annotations."""

import jaxtyping
import torch

torch.set_num_threads(1)  # more are far slower on a loaded machine
jaxtyping.install_import_hook(["crt_nn"], "beartype.beartype")

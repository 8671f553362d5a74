"""One thread, and the shapes in signatures checked as the tests run."""

import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)
install_import_hook("crt_vq", "beartype.beartype")

"""One thread, and shape annotations that are checked as the tests run."""

import jaxtyping
import torch

torch.set_num_threads(1)  # more are far slower on a loaded machine
jaxtyping.install_import_hook(["crt_laws"], "beartype.beartype")

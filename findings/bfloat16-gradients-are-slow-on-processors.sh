#!/bin/sh
# Multiplies 96 rows by a bfloat16 matrix of 1,536 by 576 in torch on a processor, as a linear layer does forwards (by the
# transposed matrix) and for the gradient of its input (by the matrix as it lies). Guess: both take as long, as they are
# as many products, and at most as long as by float32 with the matrix converted first, as torch would else do that.
# On a processor without AVX-512 the layer takes 18 ms, the gradient 90, and the gradient by float32 3.6, both conversions
# included, with the same error: for bfloat16 torch uses no library's product there. Through a frozen bfloat16 model of
# 135 million weights that is 24 s a step.
# Usage: sh findings/bfloat16-gradients-are-slow-on-processors.sh; it installs what it pins in a temporary folder and
# fails if that changed; with AVX-512 it measures and says that it decides nothing.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 numpy==2.4.6
cat > "$place/products.py" <<'PYTHON'
import time

import torch

torch.set_num_threads(1)
torch.manual_seed(0)
matrix = torch.randn(1536, 576).bfloat16()
rows, gradients = torch.randn(96, 576).bfloat16(), torch.randn(96, 1536).bfloat16()


def milliseconds(product):
    best = float("inf")
    for _ in range(10):
        began = time.process_time()
        product()
        best = min(best, time.process_time() - began)
    return best * 1000


forwards = milliseconds(lambda: torch.nn.functional.linear(rows, matrix))
backwards = milliseconds(lambda: gradients @ matrix)
converted = milliseconds(lambda: (gradients.float() @ matrix.float()).bfloat16())
print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}: layer {forwards:.1f} ms, gradient"
      f" {backwards:.1f} ms, gradient by float32 {converted:.1f} ms")
exact = gradients.double() @ matrix.double()
for name, product in (("bfloat16", gradients @ matrix), ("float32", gradients.float() @ matrix.float())):
    off = float((product.bfloat16().double() - exact).norm() / exact.norm())
    print(f"by {name} it is off by {off:.1e} of its norm")
if torch.backends.cpu.get_cpu_capability() == "AVX2":
    assert backwards > 2 * forwards > 2 * converted, "torch changed: this finding is out of date"
    assert backwards > 8 * converted, "torch changed: this finding is out of date"
else:
    print("this processor has other products: it decides nothing")
PYTHON
"$place/venv/bin/python" "$place/products.py"

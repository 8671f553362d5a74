"""The rules as device code, equal to `crt_verify.rules` bit for bit: on a GPU, and with one thread a block on a CPU."""

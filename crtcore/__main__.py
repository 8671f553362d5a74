"""`python -m crtcore`: the command `crt`, where crt-cli, the package that brings it, is installed."""

import runpy
import sys
from importlib.util import find_spec

if __name__ == "__main__":
    if find_spec("crt_cli") is None:
        sys.exit("the command line is a package of its own: pip install crt-cli")
    runpy.run_module("crt_cli", run_name="__main__", alter_sys=True)

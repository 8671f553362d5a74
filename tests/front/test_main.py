"""`python -m crtcore` is the command, where its package is installed."""

from __future__ import annotations

import subprocess
import sys


def test_the_core_as_a_program_is_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "crtcore", "--version"], capture_output=True, text=True, check=True)
    crt = subprocess.run([sys.executable, "-m", "crt_cli", "--version"], capture_output=True, text=True, check=True)

    assert run.stdout == crt.stdout
    assert run.stdout.startswith("crt, version ")


def test_without_the_command_s_package_one_line_says_what_to_install() -> None:
    code = (
        "import importlib.util as u, runpy; find = u.find_spec; "
        "u.find_spec = lambda name, package=None: None if name == 'crt_cli' else find(name, package); "
        "runpy.run_module('crtcore', run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert run.stderr == "the command line is a package of its own: pip install crt-cli\n"

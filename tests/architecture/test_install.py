"""The script that installs packages of this repository gives pip what a requirement needs, each package once."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "plugins"))
import install

ROOT = install.ROOT


def folders(words: list[str]) -> list[str]:
    """The folders of this repository that pip is given, relative to its root."""
    given = [word.partition("[")[0] for before, word in pairwise(words) if before == "-e"]
    return [str(Path(folder).relative_to(ROOT)) for folder in given]


def test_a_package_brings_the_packages_here_that_it_needs() -> None:
    assert set(folders(install.words(["crt-ar"]))) == {"plugins/crt-ar", ".", "plugins/crt-nn"}


def test_an_extra_brings_its_packages_each_once() -> None:
    names = folders(install.words(["crtcore[all]"]))

    assert sorted(names) == sorted({*names})
    assert {Path(name).name for name in names if name.startswith("plugins")} == {
        path.name for path in ROOT.glob("plugins/crt-*")
    }


def test_what_is_not_here_is_left_to_pip() -> None:
    assert install.words(["-q", "pytest>=8", "crt-vq"])[:2] == ["-q", "pytest>=8"]


SETTINGS = [
    ":env:.find-links='/one /two'",
    ":env:.timeout='180'",
    "global.constraint='/etc/constraints.txt'",
    "global.find-links='/three'",
    "global.index-url='https://mirror/simple'",
    "install.constraint='/etc/install.txt'",
    "global.cert='/etc/own.pem'",
]


@pytest.mark.parametrize("lines", [SETTINGS, SETTINGS[::-1]], ids=["forward", "backward"])  # releases of pip differ
def test_uv_gets_what_pip_is_set_to_and_variables_hold_over_files(lines: list[str]) -> None:
    assert install.handed("\n".join(lines), {}) == {
        "UV_FIND_LINKS": "/one,/two",
        "UV_CONSTRAINT": "/etc/install.txt",
        "UV_INDEX_URL": "https://mirror/simple",
        "SSL_CERT_FILE": "/etc/own.pem",
        "UV_SYSTEM_CERTS": "1",  # pip trusts the system's too
    }


def test_what_uv_is_given_stays() -> None:
    assert "UV_CONSTRAINT" not in install.handed("\n".join(SETTINGS), {"UV_CONSTRAINT": "mine.txt"})


@pytest.mark.parametrize(("value", "shares"), [("true", True), ("false", False)])
def test_an_environment_that_sees_packages_of_the_system_is_recognised(
    tmp_path: Path, value: str, shares: bool
) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = {value}\n")

    assert install.shares_packages(tmp_path) == shares


def test_a_python_without_an_environment_shares_nothing(tmp_path: Path) -> None:
    assert not install.shares_packages(tmp_path)


@pytest.mark.parametrize("name", ["numpy", "crt-nothing"])
def test_another_package_needs_nothing_here(name: str) -> None:
    assert list(install.needed(name, install.projects())) == []

"""The components of the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

from crt_verify import plugin
from crt_verify.specs import TreeDecoding
from crtcore import FieldError, Registry

COMPONENTS = plugin.crt_components()


def test_it_brings_every_decoder_by_name() -> None:
    registry = Registry.of([("verify", component) for component in COMPONENTS])

    names = registry.names("decoder")

    trees = ["block", "greedy-tree", "likeliest-tree", "multi-block", "rsd-c", "rsd-s", "sd", "spectr", "traversal"]
    assert names == sorted([*trees, "gumbel-list", "jacobi", "lookup", "suffix"])


def test_every_pairing_is_exact() -> None:
    decoders = [component.examples[0] for component in COMPONENTS if issubclass(component.spec, TreeDecoding)]

    built = [decoder.build() for decoder in decoders]  # refuses with the reason

    assert len(built) == 9


def test_describing_it_imports_no_torch() -> None:
    code = "import sys, crt_verify.plugin as plugin; plugin.crt_components(); sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["sd", "block", "spectr", "multi-block", "rsd-s", "likeliest-tree"])
def test_a_path_has_at_least_one_id(name: str) -> None:
    spec = next(component.spec for component in COMPONENTS if component.name == name)

    with pytest.raises(FieldError, match="length: expected at least 1, got 0"):
        spec(length=0)


@pytest.mark.parametrize("name", ["rsd-c", "traversal", "greedy-tree", "gumbel-list"])
@pytest.mark.parametrize("branching", [(), (2, 0)])
def test_every_level_has_a_child(name: str, branching: tuple[int, ...]) -> None:
    spec = next(component.spec for component in COMPONENTS if component.name == name)

    with pytest.raises(FieldError, match="branching: expected numbers of at least 1"):
        spec(branching=branching)

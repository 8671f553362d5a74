"""Device code with one thread a block: the reference's bits and distribution, and the target's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_nn.native.compiler import NotBuilt
from crt_verify.kernels import build, host
from crt_verify.kernels.host import HostRule
from crt_verify.kernels.names import NAMES
from crt_verify.rules.tree_batch import ACCEPT, FINAL
from crt_verify.tree import batch
from crt_verify.verdict import FAULTS

from ..rules.test_exact import CHAINS, CHILDREN, FEW, INDEPENDENT, SHAPES, distance, emitted, rows, trees
from ..strategies import Pair, drafts, pairs
from .cases import REFERENCE, WORDS, Cases, differing, ragged, spoiled

RULES: dict[str, HostRule] = {label: host.rule(name, **keywords) for label, (name, keywords) in WORDS.items()}
LAYOUTS = ("path-serial", "node-parallel")
REPEATS = (*INDEPENDENT, "target-only")


def test_every_rule_has_device_code() -> None:
    assert set(NAMES) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_ten_thousand_ragged_trees_have_the_references_bits(name: str) -> None:
    cases = ragged(name, seed=1)
    expected = REFERENCE[name].verify(*cases)

    verdicts = [attrs.evolve(RULES[name], layout=layout).verify(*cases) for layout in LAYOUTS]

    assert (expected.fault == 0).all()
    assert {0, 1, 2, 3} <= set(expected.length.tolist())
    assert [differing(expected, verdict) for verdict in verdicts] == [0, 0]


@pytest.mark.parametrize("name", RULES)
def test_ten_thousand_faulty_trees_have_the_references_bits(name: str) -> None:
    cases = spoiled(ragged(name, seed=2), seed=3)
    expected = REFERENCE[name].verify(*cases)

    verdict = RULES[name].verify(*cases)

    unread = ({3, 4} if name == "target-only" else set()) | (set() if REFERENCE[name].chain else {7})
    assert {fault % len(FAULTS) for fault in expected.fault.tolist()} == set(range(len(FAULTS))) - unread
    assert differing(expected, verdict) == 0


@pytest.mark.parametrize("name", RULES)
@settings(FEW, max_examples=30)
@given(data=st.data(), number=st.sampled_from(host.NUMBERS), seed=st.integers(0, 2**31))
def test_hard_rows_have_the_references_bits(name: str, data: st.DataObject, number: torch.dtype, seed: int) -> None:
    draft = data.draw(drafts(chain=REFERENCE[name].chain, repeats=name in REPEATS))
    one, generator = batch([draft.tree]), torch.Generator().manual_seed(seed)
    uniforms = (torch.randint(top, one.tokens.shape, generator=generator) for top in (ACCEPT, FINAL))
    cases = Cases(one, draft.p[None].to(number), draft.q[None].to(number), *uniforms)

    verdict = RULES[name].verify(*cases)

    assert differing(REFERENCE[name].verify(*cases), verdict) == 0


LONG = {1000: 40, 1537: 9, 131_100: 4}
"""Nodes by vocabulary. The last id is drawn from runs of 512 ids, or from 256 longer ones; the last run is not full."""


@pytest.mark.parametrize("vocabulary", LONG)
@pytest.mark.parametrize("name", RULES)
def test_a_long_row_and_a_wide_tree_have_the_references_bits(name: str, vocabulary: int) -> None:
    cases = ragged(name, seed=4, size=3, nodes=LONG[vocabulary], vocabulary=vocabulary)

    verdict = RULES[name].verify(*cases)

    assert differing(REFERENCE[name].verify(*cases), verdict) == 0


@pytest.mark.parametrize("name", RULES)
@FEW
@given(pair=pairs(3), data=st.data())
def test_over_all_branches_rows_have_the_targets_distribution(name: str, pair: Pair, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(CHAINS[:2] if REFERENCE[name].chain else SHAPES[:5]))
    p, q = rows(pair)

    chances = emitted(RULES[name].distribution, trees(q, shape, CHILDREN[name]), p, q)

    assert distance(chances, p, 3) <= 1e-12


# Device code that is broken on purpose is caught.


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of sources to change, which are compiled in place of ours."""
    for path in build.sources():
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    monkeypatch.setattr(host, "FLAGS", (*(flag for flag in host.FLAGS if flag != "-O3"), "-O0"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.source_hash.cache_clear()
    host.library.cache_clear()
    yield tmp_path
    build.source_hash.cache_clear()
    host.library.cache_clear()


@pytest.mark.parametrize(
    ("file", "ours", "theirs"),
    [("round.cuh", "bar < gain * ACCEPT", "bar <= gain * ACCEPT"), ("residual.cuh", "left.scale + step", "step")],
)
def test_broken_device_code_is_caught(broken: Path, file: str, ours: str, theirs: str) -> None:
    text = (broken / file).read_text()
    assert ours in text
    (broken / file).write_text(text.replace(ours, theirs))
    cases = ragged("recursive", seed=1)

    verdict = RULES["recursive"].verify(*cases)

    assert differing(REFERENCE["recursive"].verify(*cases), verdict) > 0


def test_a_run_that_counts_a_rejected_id_is_caught(broken: Path) -> None:
    text = (broken / "steps.cuh").read_text()
    counted = "sums[tree[child].token / length] -= own;"
    assert counted in text
    (broken / "steps.cuh").write_text(text.replace(counted, ""))
    cases = ragged("target-only", seed=4, size=300, nodes=9, vocabulary=1537)

    verdict = RULES["target-only"].verify(*cases)

    assert differing(REFERENCE["target-only"].verify(*cases), verdict) > 0


def test_an_error_repeats_the_compilers_output(broken: Path) -> None:
    (broken / "host.cpp").write_text("no code\n")

    with pytest.raises(NotBuilt, match=r"expected g\+\+ .* to compile, got status 1:\n.*host.cpp:1:1: error"):
        host.library()


def test_a_missing_compiler_is_named() -> None:
    with pytest.raises(NotBuilt, match="expected the compiler 'g--' in PATH, got none"):
        build.version("g--")

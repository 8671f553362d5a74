"""The kernels and the reference emit the same ids, and a decoder reports which of them it uses, and why."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_basics.priors.table import TablePrior
from crt_nn.native.compiler import version
from crt_verify import specs, verifier
from crt_verify.drafters import Chain, Drafter
from crt_verify.kernels import device as gpu
from crt_verify.kernels import host
from crt_verify.tree_decoder import TreeDecoder
from crt_verify.verdict import Verdict
from crt_verify.verifier import Verifier
from crtcore import Limits, Sampling
from crtcore.errors import PriorError, RunError
from crtcore.kinds import Request

from .test_tree_decoder import PAIRS, SMALL, table

CPU = torch.device("cpu")
PROMPT = torch.tensor([[1, 0, 4], [2, -1, -1], [-1, -1, -1], [3, 3, -1], [0, 1, -1]])
DECODERS = [
    specs.SpeculativeDecoding(length=3),
    specs.BlockVerification(length=3),
    specs.SpecTr(paths=2, length=3),
    specs.RSDC(branching=(3, 1, 2)),
    specs.RSDS(width=3, length=3),
    specs.TraversalVerification(branching=(2, 2)),
    specs.GreedyTree(branching=(3, 2)),
]


def draws(decoder: TreeDecoder, target: TablePrior, draft: TablePrior, sampling: Sampling) -> list[Any]:
    """The generation of a batch of prompts of several lengths."""
    request = Request(PROMPT, Limits(length=12, stop=(4,)), sampling)
    drawn = decoder.generate(target, request, draft=draft)
    return [field.tolist() for field in drawn if isinstance(field, torch.Tensor)]  # all but seconds and notes


def both(drafter: Drafter, rule: str, target: TablePrior, draft: TablePrior, sampling: Sampling) -> list[Any]:
    """The same draws by the kernels and by the reference."""
    return [draws(TreeDecoder(drafter, rule, each), target, draft, sampling) for each in ("kernels", "torch")]


@pytest.mark.parametrize(("drafter", "rule"), [*PAIRS, *((each.drafter, each.rule) for each in DECODERS)], ids=str)
@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 2**31),
    spread=st.sampled_from([0.3, 2.0, 12.0]),
    sampling=st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.3, 1.0]),
        top_k=st.sampled_from([0, 2]),
        banned=st.sampled_from([(), (1,), (0, 3)]),
    ),
    dtypes=st.tuples(*[st.sampled_from([torch.float32, torch.float64])] * 2),
)
def test_the_kernels_and_the_reference_draw_the_same_ids(
    drafter: Drafter, rule: str, seed: int, spread: float, sampling: Sampling, dtypes: tuple[torch.dtype, ...]
) -> None:
    target, draft = (table(seed + place, vocabulary=5, spread=spread).to(dtype) for place, dtype in enumerate(dtypes))

    kernels, reference = both(drafter, rule, target, draft, sampling)

    assert kernels == reference


@pytest.mark.parametrize("spec", DECODERS, ids=str)
@pytest.mark.parametrize("broken", ["target", "draft"])
def test_a_fault_is_the_same_error(spec: specs.TreeDecoding, broken: str) -> None:
    logits = torch.zeros(1, 6, 5, dtype=torch.float64)
    logits[0, 2] = math.nan  # after id 2
    priors = {"target": table(0, 5), "draft": table(1, 5)} | {broken: TablePrior(logits)}

    messages = []
    for requested in ("kernels", "torch"):
        with pytest.raises(PriorError, match=rf"^{broken}, row \d+, step \d+: expected logits with a finite") as error:
            draws(TreeDecoder(spec.drafter, spec.rule, requested), *priors.values(), Sampling())
        messages.append(str(error.value))

    assert messages[0] == messages[1]


@pytest.mark.parametrize("spec", DECODERS, ids=str)
def test_a_wrong_kernel_emits_other_ids(spec: specs.TreeDecoding, monkeypatch: pytest.MonkeyPatch) -> None:
    original = host.HostRule.verify

    def wrong(self: host.HostRule, *args: Any) -> Verdict:
        verdict = original(self, *args)
        return verdict._replace(path=torch.full_like(verdict.path, -1), length=torch.zeros_like(verdict.length))

    monkeypatch.setattr(host.HostRule, "verify", wrong)
    target = table(0, vocabulary=5)

    kernels, reference = both(spec.drafter, spec.rule, target, target, Sampling())

    assert kernels != reference


# What a decoder reports


@pytest.fixture
def afresh() -> Iterator[None]:
    """Nothing is compiled or cached, before and after a test."""
    for known in (host.library, verifier.failure):
        known.cache_clear()
    yield
    for known in (host.library, verifier.failure):
        known.cache_clear()


@pytest.fixture
def no_compiler(afresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "COMPILER", "g--")


@pytest.fixture
def failing_compiler(afresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "FLAGS", ("--no-such-flag",))


def used_by(requested: str, drafter: Drafter = SMALL[Chain], dtype: torch.dtype = torch.float64) -> TreeDecoder:
    """A decoder that has verified."""
    decoder = TreeDecoder(drafter, "single", requested)
    draws(decoder, table(0, 5).to(dtype), table(1, 5).to(dtype), Sampling())
    return decoder


@pytest.mark.parametrize("requested", ["auto", "kernels"])
def test_the_kernels_are_named_with_their_compiler(requested: str) -> None:
    assert used_by(requested).backend == f"kernels ({version('g++').splitlines()[0]} on cpu)"


def test_torch_by_name_calls_no_compiler(no_compiler: None) -> None:
    assert used_by("torch").backend == "torch"


def test_there_is_no_backend_before_the_first_verdict() -> None:
    decoder = TreeDecoder(Chain(length=1), "single")

    assert getattr(decoder, "backend", None) is None


def test_auto_uses_torch_without_a_compiler_and_reports_why(no_compiler: None) -> None:
    reason = "expected the compiler 'g--' in PATH, got none: code is compiled at first use"

    assert used_by("auto").backend == f"torch ({reason})"


def test_auto_uses_torch_where_a_compiler_fails_and_repeats_its_error(failing_compiler: None) -> None:
    backend = used_by("auto").backend

    assert backend.startswith("torch (expected g++ --no-such-flag")
    assert "got status 1: g++: error: unrecognized command-line option" in backend
    assert "\n" not in backend


def test_auto_uses_torch_without_a_cache(afresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    backend = used_by("auto").backend

    assert backend.startswith(f"torch (expected to write {tmp_path / 'file'}")
    assert backend.endswith("got Not a directory)")


def test_kernels_by_name_are_an_error_without_a_compiler(no_compiler: None) -> None:
    with pytest.raises(RunError, match="ask for 'auto' or 'torch' instead: expected the compiler 'g--' in PATH"):
        used_by("kernels")


def test_kernels_by_name_are_an_error_with_the_compilers_output(failing_compiler: None) -> None:
    with pytest.raises(RunError, match=r"got status 1:\ng\+\+: error: unrecognized command-line option"):
        used_by("kernels")


def test_a_failing_compiler_is_called_once(failing_compiler: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compiled = host.compiled
    monkeypatch.setattr(host, "compiled", lambda *args, **words: calls.append(args) or compiled(*args, **words))

    for length in (1, 1, 2, 3):
        used_by("auto", Chain(length=length))

    assert len(calls) == 1


def test_the_backend_is_chosen_once_for_a_device_and_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.dtype] = []
    obstacle = verifier.obstacle
    monkeypatch.setattr(
        verifier, "obstacle", lambda on, dtype, nodes: asked.append(dtype) or obstacle(on, dtype, nodes)
    )
    decoder = TreeDecoder(SMALL[Chain], "single")

    for dtype in (torch.float32, torch.float32, torch.float64):
        draws(decoder, table(0, 5).to(dtype), table(1, 5).to(dtype), Sampling())

    assert asked == [torch.float32, torch.float64]


@pytest.mark.parametrize(
    ("on", "dtype", "reason"),
    [
        ("mps", torch.float32, "there are no kernels for mps"),
        ("cuda", torch.float64, "the kernels take float32 on a GPU, got float64"),
    ],
)
def test_the_reason_is_reported_where_there_are_no_kernels(on: str, dtype: torch.dtype, reason: str) -> None:
    assert verifier.obstacle(torch.device(on), dtype, 3) == reason


def test_on_a_gpu_its_kernels_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "failure", lambda on, nodes: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda on: (9, 0))
    chosen = Verifier("traversal", {"replacement": True}, nodes=3)

    verify = chosen._choose(torch.device("cuda"), torch.float32)

    assert verify.__self__ == gpu.rule("traversal", replacement=True)
    assert chosen.backend == "kernels (sm_90)"


def test_trees_that_kernels_do_not_take_are_left_to_torch(afresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    original = host.HostRule.verify

    def verify(self: host.HostRule, trees: Any, *args: Any) -> Verdict:
        if trees.parents.shape[1] > 3:
            raise RuntimeError(f"expected at most 3 nodes, got {trees.parents.shape[1]}")
        return original(self, trees, *args)

    monkeypatch.setattr(host.HostRule, "verify", verify)

    backends = [used_by("auto", Chain(length=length)).backend.partition(" (") for length in (2, 3)]

    assert [backends[0][0], "".join(backends[1])] == ["kernels", "torch (expected at most 3 nodes, got 4)"]


def test_an_unknown_verification_is_refused() -> None:
    with pytest.raises(ValueError, match="verification: expected one of auto, kernels, torch, got 'gpu'"):
        TreeDecoder(Chain(length=1), "single", "gpu")


@pytest.mark.parametrize("spec", DECODERS, ids=str)
def test_every_spec_passes_its_verification_on(spec: specs.TreeDecoding) -> None:
    assert type(spec)(verification="torch").build().verifier.requested == "torch"
    assert spec.build().verifier.requested == "auto"


def test_nothing_is_compiled_before_a_verdict(tmp_path: Path) -> None:
    code = "import crt_verify.tree_decoder, crt_verify.specs as specs; specs.RSDC().build()"

    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)})

    assert not list(tmp_path.iterdir())

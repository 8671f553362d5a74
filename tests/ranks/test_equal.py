"""The law of training over ranks: all readings and weights are those of one process, to the rounding of float32.

A launch of ranks trains all scenarios. The last two, the offenders, break the law on purpose: noise by the row of a
rank instead of the row of the batch, and gradients that are not weighed by rows.
"""

from __future__ import annotations

import copy
import itertools
import math
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from crt_run.runs import checkpoint
from crt_run.runs.execute import execute, take_part
from crt_run.runs.records import RECORDS, read_records
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import Stopped
from crtcore.kinds import Plan
from crtcore.registry import discover

SECONDS = 540
READING, WEIGHT = 2e-5, 5e-5
"""Largest difference of a reading relative to itself, and of all weights relative to their norm.

AdamW makes steps of full size of gradients that are rounding alone, such as those of biases of keys.
"""
TRAINING = {"tokenizer": {"steps": 6, "batch": 10}}
"""A batch that four ranks cannot cut into equal parts."""
IMAGES: dict[str, Any] = {
    "experiment": {"use": "compression"},
    "dataset": {"use": "digits", "test": 20, "validation": 20},
    "tokenizer": {"use": "conv", "channels": 4},
    "training": TRAINING,
}
BOOK = {"use": "vq", "codes": 16, "decay": 0.9, "start": "k-means", "patience": 2}
CAUSAL = {"use": "causal", "width": 8, "heads": 1, "layers": 1, "weight": 0.5, "ramp": 0.0}
GAN = {
    "use": "adversarial", "layers": 1, "channels": 4, "start": 0.3, "adaptive": True,
    # The gradient of the last bias is 0 but for rounding; its steps are small, and `gradient_norm` compares the rest.
    "optimizer": {"learning_rate": 1e-8, "warmup": 0.0, "decay": "constant"},
}  # fmt: skip
SCENARIOS: dict[str, dict[str, Any]] = {
    "crt-with-gan": {
        **IMAGES,
        "bottleneck": BOOK,
        "regularizer": [CAUSAL, GAN],
    },
    "entropies": {
        **IMAGES,
        "bottleneck": {"use": "lfq", "width": 6},
        "regularizer": [{"use": "causal-ce", "width": 8, "heads": 1, "layers": 1}],
    },
    "noisy": {
        **IMAGES,
        "bottleneck": {
            "use": "perturbed", "share": 1.0, "neighbours": 4, "bottleneck": {"use": "vq", "codes": 16, "decay": 0.9},
        },
    },
    "rates": {
        **IMAGES,
        "bottleneck": {"use": "gaussian", "width": 4, "latent": 3, "free_bits": 0.05},
        "regularizer": [{"use": "rate-squared", "weight": 0.01}],
    },
    "two-stage": {
        **IMAGES,
        "experiment": {"use": "two-stage", "evaluations": 2, "samples": 8},
        "bottleneck": {"use": "fsq", "levels": [3, 3]},
        "prior": {"use": "transformer", "layers": 1, "width": 16, "heads": 2},
        "decoder": {"use": "ancestral"},
        "training": {**TRAINING, "prior": {"steps": 5, "batch": 9, "checkpoint": 2}},
    },
    "traces": {
        "experiment": {"use": "latent-reasoning", "tested": 4},
        "sampling": {"temperature": 0.0},
        "dataset": {"use": "affine-chain", "modulus": 5, "steps": 2, "verbosity": 10, "train": 40, "test": 10},
        "tokenizer": {"use": "text-chunks", "chunk": 16, "rate": 16, "width": 8, "heads": 2},
        "bottleneck": {"use": "vq", "codes": 8, "start": "k-means"},
        "prior": {"use": "transformer", "layers": 1, "width": 16, "heads": 2},
        "decoder": {"use": "ancestral"},
        "training": {"tokenizer": {"steps": 4, "batch": 6}, "prior": {"steps": 4, "batch": 6}},
    },
}  # fmt: skip
OFFENDERS = {"noise-by-rank": "noisy", "equal-weights": "entropies"}
STOPPED = "stopped"
VARIANTS = {"in-parts": "noisy", "cut": "two-stage", STOPPED: "two-stage"}
"""Scenarios that end as others do: with steps in two parts; with weights of the prior cut over ranks; and with those
and stopped by two ranks in a step, then gone on with by other numbers of ranks."""


def plan(name: str) -> Plan:
    document = copy.deepcopy(SCENARIOS[{**OFFENDERS, **VARIANTS}.get(name, name)])
    if name == "in-parts":
        document["training"]["tokenizer"]["accumulate"] = 2
    if name in ("cut", STOPPED):
        document["training"]["prior"]["sharding"] = "full"
    (point,) = study(Document({"name": name, **document}, {}), discover()).points
    return point.plan


@contextmanager
def offending(name: str) -> Iterator[None]:
    """Breaks the law, if `name` is that of an offender."""
    from crt_nn import ranks
    from crt_run.training import order, shares

    with pytest.MonkeyPatch.context() as patch:
        if name == "noise-by-rank":
            patch.setattr(order, "rows_at_hand", range)
        if name == "equal-weights":
            patch.setattr(ranks.Share, "weight", property(lambda share: 1 / share.parts))
            assert shares.Share is ranks.Share
        yield


def work(folder: Path) -> None:
    """One rank: its share of all scenarios."""
    from crt_run.ranks import environment
    from crt_run.ranks.group import joined, together

    torch.set_num_threads(1)
    group = joined(environment.place())
    for name in sys.argv[2:] or (*SCENARIOS, *VARIANTS, *OFFENDERS):
        calls = itertools.count()

        def stopping(name: str = name, calls: Iterator[int] = calls) -> bool:
            """True on the last rank alone, in the third step of the prior: opening a stage asks, too."""
            return name == STOPPED and group.size == 2 and not group.first and next(calls) >= 9

        with together(group), offending(name), suppress(Stopped):
            if group.first:
                execute(plan(name), folder / name)
            else:
                piece = {"document": plan(name).document, "runs": str(folder / name)}
                take_part(piece, folder / f"rank-{group.rank}-{name}", stopping)
            group.meet()
    os._exit(0)  # torch 2.13 aborts now and then where a process with gloo ends by itself


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


def launched(folder: Path, ranks: int) -> list[int]:
    """The exit statuses of that many ranks."""
    names = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env=os.environ
            | names
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"},
        )
        for rank in range(ranks)
    ]
    try:
        return [worker.wait(SECONDS) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


def readings(runs: Path) -> dict[tuple[str, int, str], float]:
    """Stage, step and name to each reading in a folder of runs."""
    return {
        (line["stage"], line["step"], name): value
        for path in sorted(runs.glob(f"stages/*/*/{RECORDS}"))
        for line in read_records(path)
        for name, value in line.items()
        if isinstance(value, float)
    }


def weights(runs: Path) -> dict[str, torch.Tensor]:
    """The final weights of all stages, by stage and name; statistics that nothing reads are left out."""
    return {
        f"{path.parent.parent.name}: {name}": value
        for path in sorted(runs.glob("stages/*/*/final"))
        for name, value in checkpoint.load(path).tensors.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }


def norm(tensors: Mapping[str, torch.Tensor]) -> float:
    return math.sqrt(sum(float(value.double().square().sum()) for value in tensors.values()))


def differences(one: Mapping[Any, float], other: Mapping[Any, float]) -> dict[Any, float]:
    assert one.keys() == other.keys()
    return {name: abs(value - other[name]) / max(abs(value), 1e-2) for name, value in one.items()}


def check_equal(expected: Path, got: Path) -> None:
    """Checks that all readings and weights of two folders of runs agree."""
    apart = differences(readings(expected), readings(got))
    worst = max(apart, key=lambda name: apart[name])

    assert len(apart) > 10
    assert apart[worst] < READING, (got, worst, apart[worst])
    one, other = weights(expected), weights(got)
    assert one.keys() == other.keys()
    gap = norm({key: value.double() - other[key].double() for key, value in one.items()}) / norm(one)
    assert gap < WEIGHT, (got, gap)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every scenario in one process."""
    folder = tmp_path_factory.mktemp("alone")
    for name in SCENARIOS:
        execute(plan(name), folder / name)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every scenario on two ranks."""
    folder = tmp_path_factory.mktemp("two")
    assert launched(folder, 2) == [0, 0]
    return folder


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, two: Path) -> Path:
    """Every scenario on four ranks, and what two ranks were stopped in."""
    folder = tmp_path_factory.mktemp("four")
    shutil.copytree(two / STOPPED, folder / STOPPED)
    assert launched(folder, 4) == [0] * 4
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("ranks", ["two", "four"])
def test_ranks_train_as_one_process(ranks: str, alone: Path, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(ranks)

    for name in (*SCENARIOS, "in-parts", "cut"):
        check_equal(alone / VARIANTS.get(name, name), folder / name)


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "offender"), [("two", "noise-by-rank"), ("four", "equal-weights")])
def test_an_offender_breaks_the_law(ranks: str, offender: str, alone: Path, request: pytest.FixtureRequest) -> None:
    """Two ranks have five rows each, so that equal weights are right there."""
    folder: Path = request.getfixturevalue(ranks)

    apart = differences(readings(alone / OFFENDERS[offender]), readings(folder / offender))

    assert max(apart.values()) > 100 * READING


@pytest.mark.slow
def test_a_checkpoint_of_two_ranks_goes_on_in_one_process(alone: Path, two: Path, tmp_path: Path) -> None:
    shutil.copytree(two / STOPPED, tmp_path / STOPPED)
    assert list(tmp_path.glob(f"{STOPPED}/stages/prior/*/step-000000003"))

    execute(plan(STOPPED), tmp_path / STOPPED)

    check_equal(alone / VARIANTS[STOPPED], tmp_path / STOPPED)


@pytest.mark.slow
def test_a_checkpoint_of_two_ranks_goes_on_in_four(alone: Path, four: Path) -> None:
    assert list(four.glob(f"{STOPPED}/stages/prior/*/final"))

    check_equal(alone / VARIANTS[STOPPED], four / STOPPED)


if __name__ == "__main__":
    work(Path(sys.argv[1]))

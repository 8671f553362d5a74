"""A small study of toys, for tests of what runs studies and draws their reports: fixtures for a conftest."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import attrs
import pytest
import tomli

from crt_laws.toys import Chain, Patches
from crtcore.compose.document import Document
from crtcore.compose.plan import override, study
from crtcore.compose.study import Study
from crtcore.hooks import Component
from crtcore.kinds import (
    Done,
    ExecutorSpec,
    Experiment,
    ExperimentSpec,
    Figure,
    Findings,
    Json,
    Measurement,
    Plan,
    Role,
    Row,
    Work,
)
from crtcore.registry import Registry, discover

TOY = """\
name = "toy"

[experiment]
use = "two-stage"
evaluations = 3

[executor]
use = "here"

[dataset]
use = "digits"

[tokenizer]
use = "patches"

[bottleneck]
use = "fsq"
levels = [3, 3]

[[regularizer]]
use = "chain"
weight = 0.5

[prior]
use = "table"
order = 1

[decoder]
use = "ancestral"

[[metric]]
use = "code-length"

[training.tokenizer]
steps = 9
batch = 16
checkpoint = 4

[training.prior]
steps = 7
batch = 16
checkpoint = 3
"""


@attrs.frozen(kw_only=True)
class Here(ExecutorSpec):
    """Runs work in this process, one piece after another."""

    def build(self) -> Inline:
        """The executor."""
        return Inline()


class Inline:
    """Runs every piece in this process."""

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Runs all pieces."""
        for place, piece in enumerate(pieces):
            yield Done(place, work(piece, partial(report, place)), None)


@attrs.frozen(kw_only=True)
class Scan(ExperimentSpec):
    """Two made-up decoders at each budget; the seed is added to their speed."""

    roles: ClassVar[Mapping[str, Role]] = {}
    stages: ClassVar[Mapping[str, str]] = {}
    figures: ClassVar[tuple[Figure, ...]] = (
        Figure(across="budget", lines="decoder", numbers=("speed", "accepted"), columns=("temperature",)),
    )

    budgets: tuple[int, ...] = (2, 4)
    """Budgets that are measured."""
    faster: float = 0.0
    """Added to every speed."""

    def build(self) -> Experiment:
        """The experiment."""
        return lambda plan, run: Findings({}, [self.row(at, name, plan.seed) for at in self.budgets for name in "ab"])

    def row(self, budget: int, decoder: str, seed: int) -> Row:
        """The numbers of one decoder at one budget."""
        speed = 10.0 * budget + (decoder == "b") + seed + self.faster
        return Row(
            {"decoder": decoder, "budget": budget, "temperature": 0.5},
            {
                "speed": Measurement(speed, "ids per second", 100, speed - 0.25, speed + 0.25),
                "accepted": Measurement(budget / 2, "ids", 50),
            },
        )


INSTALLED = ("basics", "run", "scaling")
"""Plugins whose components the registry of toys has."""
REGISTRY = Registry.of(
    [
        *((plugin, component) for plugin, component in discover() if plugin in INSTALLED),
        ("toys", Component("patches", spec=Patches, summary="linear patches", examples=(Patches(),))),
        ("toys", Component("chain", spec=Chain, summary="linear prediction", examples=(Chain(),))),
        ("toys", Component("here", spec=Here, summary="this process", examples=(Here(),))),
        ("toys", Component("scan", spec=Scan, summary="made-up points", examples=(Scan(),))),
    ]
)

SCAN = """\
name = "scan"

[experiment]
use = "scan"

[executor]
use = "here"
"""

Describe = Callable[..., Study]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Describe:
    """Makes a study of toys from `a.b=value` texts."""
    for name in ("crt_run.runs.execute", "crt_report.page"):
        if importlib.util.find_spec(name.partition(".")[0]):
            monkeypatch.setattr(f"{name}.discover", lambda: REGISTRY)

    def make(*overrides: str, text: str = TOY) -> Study:
        document = Document(tomli.loads(text), {})
        override(document, overrides)
        return study(document, REGISTRY)

    # `work` sets one; a fixture that yields is called as a function under type checks
    request.addfinalizer(partial(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM)))  # noqa: PT021
    return make


@pytest.fixture
def toy_plan(toy: Describe) -> Callable[..., Plan]:
    """Makes the plan of the one point."""
    return lambda *overrides: toy(*overrides).points[0].plan


@pytest.fixture
def scan(toy: Describe) -> Describe:
    """Makes a study of made-up points from `a.b=value` texts."""
    return lambda *overrides: toy(*overrides, text=SCAN)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The folder of all runs."""
    return tmp_path / "runs"

"""From a spec file to the report: settings keep their types, and the trade-offs that an experiment names are drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import tomli
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from crt_laws.toy_studies import REGISTRY
from crt_report import across, figures, page, plane
from crt_run.sweeps.summary import gather
from crt_run.sweeps.sweep import run
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.compose.study import Study
from crtcore.hooks import Component
from crtcore.kinds import Experiment, ExperimentSpec, Findings, Measurement, Plan, Role, TradeOff
from crtcore.registry import Registry

TRADED = TradeOff(across="invented_size", up="invented_loss", summed=True, floor="invented_least")


@attrs.frozen(kw_only=True)
class Every(ExperimentSpec):
    """Has a field of each type that a spec file can set; its numbers are the seed's."""

    roles: ClassVar[Mapping[str, Role]] = {"bottleneck": Role("bottleneck")}
    stages: ClassVar[Mapping[str, str]] = {}
    trade_offs: ClassVar[tuple[TradeOff, ...]] = (
        TRADED,
        TradeOff(across="never_measured", up="invented_loss"),
        TradeOff(across="invented_size", up="invented_loss", joined="experiment.text"),
    )

    whole: int = 0
    share: float = 0.5
    on: bool = False
    text: str = ""
    sizes: tuple[int, ...] = ()
    words: tuple[str, ...] = ()

    def build(self) -> Experiment:
        """The experiment."""
        return lambda plan, run: Findings({name: self.number(place, plan) for place, name in enumerate(NUMBERS)})

    def number(self, place: int, plan: Plan) -> Measurement:
        """A number that differs between points and seeds."""
        return Measurement(1.0 + place + plan.seed + len(self.text) + self.whole, "nats", 3)


NUMBERS = ("invented_size", "invented_loss", "invented_least")
SPEC = """\
name = "every"
executor.use = "here"
experiment.use = "every"
bottleneck = {{ use = "fsq", levels = [3, 3] }}
[sweep]
seed = [0, 1]
"{path}" = {values}
"""
VALUES = {
    "experiment.whole": "[8, -1, 0x10]",
    "experiment.share": "[0.5, 1e-05, 3.0]",
    "experiment.on": "[false, true]",
    "experiment.text": r"""["8", "true", "plain", "", "a=1", "a=1, b", '"q"', "é"]""",
    "experiment.sizes": "[[], [4, 4], [4]]",
    "experiment.words": '[["a, b"], ["a", "b"], ["a=1"]]',
    "bottleneck": '[{ use = "fsq", levels = [3, 3] }, { use = "fsq", levels = [5] }]',
    "bottleneck.levels": "[[3, 3], [5]]",
}
Make = Callable[[str], Study]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, toy: object) -> Make:
    """Makes the study of a spec file's text."""
    every = ("every", Component("every", spec=Every, summary="every type", examples=(Every(),)))
    registry = Registry.of([*((plugin, component) for plugin, component in REGISTRY), every])
    for name in ("crt_run.runs.execute", "crt_report.page"):
        monkeypatch.setattr(f"{name}.discover", lambda: registry)
    return lambda text: study(Document(tomli.loads(text), {}), registry)


def swept(study: Study, runs: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of the sweep once it ran, and what its file holds."""
    folder = gather(study, runs, run(study, runs, lambda index, event: None))
    return folder, json.loads((folder / "sweep.json").read_bytes())


@pytest.mark.parametrize("path", VALUES)
def test_settings_keep_their_type_and_value(make: Make, runs: Path, path: str) -> None:
    text = SPEC.format(path=path, values=VALUES[path])
    written = tomli.loads(text)["sweep"][path]

    folder, sweep = swept(make(text), runs)

    settings = [run["settings"] for run in sweep["runs"][: len(written)]]
    assert repr(settings) == repr([{path: value} for value in written])  # 1 and 1.0 and true are equal, their texts not
    assert len(sweep["arms"]) == len(written)
    assert all(numbers["invented_loss"]["n"] == 2 for numbers in sweep["arms"].values())
    assert page.render(folder).path.read_text().count("not measured") == 0


def test_only_a_setting_of_numbers_is_an_axis(make: Make, runs: Path) -> None:
    drawn = {}
    for path, values in VALUES.items():
        _, sweep = swept(make(SPEC.format(path=path, values=values)), runs)
        _, standings = across.placed(sweep, {})
        drawn[path] = [each.value for each in standings]

    assert {path: places for path, places in drawn.items() if places} == {
        "experiment.whole": [8, -1, 16],
        "experiment.share": [0.5, 1e-05, 3.0],
    }


def test_a_line_is_called_by_its_value(make: Make, runs: Path) -> None:
    folder, sweep = swept(make(SPEC.format(path="experiment.text", values=VALUES["experiment.text"])), runs)

    places = plane.placed(sweep, tomli.loads((folder / "spec.toml").read_text()), Every.trade_offs[-1])

    assert {place.line for place in places} == {
        '"8"', '"true"', "plain", '""', '"a=1"', '"a=1, b"', '"\\"q\\""', '"é"'
    }  # fmt: skip


def test_the_trade_offs_that_an_experiment_names_are_drawn(
    make: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = swept(make(SPEC.format(path="experiment.whole", values="[0, 4]")), runs)
    drawn: dict[str, Figure] = {}
    save = figures.save

    def kept(figure: Figure, path: Path) -> Path:
        drawn[path.name] = figure
        return save(figure, path)

    monkeypatch.setattr(figures, "save", kept)

    text = page.render(folder).path.read_text()

    (axis,) = drawn["trade-off.png"].axes  # none for a number that was not measured
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("invented size (nats)", "invented loss (nats)")
    scattered = [each for each in axis.collections if isinstance(each, PathCollection)]
    seeds = [[tuple(map(float, place)) for place in each.get_offsets()] for each in scattered]
    assert seeds == [[(1.0, 2.0), (2.0, 3.0)], [(5.0, 6.0), (6.0, 7.0)]]
    named = {each.get_text() for each in axis.get_legend().get_texts()}
    assert named == {"invented least", "baseline, experiment.whole=0", "baseline, experiment.whole=4"}
    level = next(line for line in axis.lines if line.get_label() == "invented least")
    assert list(level.get_ydata()) == [3.5, 3.5]
    totals = [line for line in axis.lines if line.get_linewidth() == 0.6]
    assert len(totals) > 2
    for (left, right), (high, low) in (line.get_data() for line in totals):
        assert left + high == pytest.approx(right + low)
    assert "<h2>The trade-off</h2>" in text
    assert (folder / "plane-1.png").is_file()


def test_an_experiment_without_trade_offs_has_none_drawn(
    make: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Every, "trade_offs", ())
    folder, _ = swept(make(SPEC.format(path="experiment.whole", values="[0, 4]")), runs)

    text = page.render(folder).path.read_text()

    assert "trade-off" not in text
    assert not (folder / "trade-off.png").exists()

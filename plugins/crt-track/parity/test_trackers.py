"""Each tracker with its real library and without a network: what it has kept is read back through the library."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crt_track.sinks import TRACKERS, check

DRIVE = """
import json, socket, sys
from pathlib import Path

def refused(*_, **__):
    raise AssertionError("a connection was opened")

connect = socket.socket.connect
def local(self, address):
    if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"):
        return connect(self, address)
    refused()
socket.socket.connect = local
socket.getaddrinfo = refused

from crt_track.plugin import Tracking

tracking, runs = Tracking(), Path("runs")
folders = [runs / "toy" / name for name in ("aaaaaaaaaaaa", "bbbbbbbbbbbb")]
for place, folder in enumerate(folders):
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"numbers": {"bits": {"value": 2.5, "unit": "bits", "n": 1}}}))
    tracking.crt_run_started(folder, {"name": "toy", "seed": place, "prior": {"use": "table", "orders": [1, 2]}})
for step in (1, 2, 3):  # both runs at a time, and two stages with steps of their own
    for place, folder in enumerate(folders):
        tracking.crt_reading(folder, "tokenizer", 10 * step, "loss", step / 4)
        tracking.crt_reading(folder, "prior", step, "loss", place + step / 2)
tracking.crt_run_ended(folders[0], None)
tracking.crt_run_ended(folders[1], "no memory")
assert not tracking.broken, tracking.broken
"""


@pytest.fixture
def driven(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a process has written two runs that overlap to a tracker."""
    name = request.param
    check([name])
    places = {"TRACKIO_DIR": str(tmp_path / "trackio"), "WANDB_DIR": str(tmp_path), "HOME": str(tmp_path)}
    for variable, value in {**places, "CRT_TRACK": name}.items():
        monkeypatch.setenv(variable, value)
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(variable, raising=False)
    command = [sys.executable, "-c", DRIVE]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "warning" not in ended.stderr, ended.stderr
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("driven", ["tensorboard"], indirect=True)
def test_tensorboard_has_the_readings(driven: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for place, name in enumerate(("aaaaaaaaaaaa", "bbbbbbbbbbbb")):
        events = EventAccumulator(str(driven / "runs" / "toy" / name / "tensorboard"))
        events.Reload()

        assert [(e.step, e.value) for e in events.Scalars("prior/loss")] == [(s, place + s / 2) for s in (1, 2, 3)]
        assert [(e.step, e.value) for e in events.Scalars("tokenizer/loss")] == [(10 * s, s / 4) for s in (1, 2, 3)]
        assert ("result/bits" in events.Tags()["scalars"]) == (place == 0)


@pytest.mark.parametrize("driven", ["trackio"], indirect=True)
def test_trackio_has_the_readings(driven: Path) -> None:
    text = """
import json, trackio
from trackio.sqlite_storage import SQLiteStorage
runs = sorted(trackio.Api().runs("toy"), key=lambda run: run.name)
logs = [SQLiteStorage.get_logs("toy", run.name) for run in runs]
print(json.dumps([[run.name, run.config["prior.use"], each] for run, each in zip(runs, logs)], default=str))
"""
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=driven)
    runs = json.loads(ended.stdout.splitlines()[-1])

    assert [run[0][:13] for run in runs] == ["aaaaaaaaaaaa-", "bbbbbbbbbbbb-"]
    for place, (_, use, rows) in enumerate(runs):
        assert use == "table"
        assert [(row["step"], row["prior/loss"]) for row in rows if "prior/loss" in row] == [
            (step, place + step / 2) for step in (1, 2, 3)
        ]
        assert [row["result/bits"] for row in rows if "result/bits" in row] == [2.5] * (place == 0)


@pytest.mark.parametrize("driven", ["mlflow"], indirect=True)
def test_mlflow_has_the_readings(driven: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{driven}/mlflow.db")
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    runs = sorted(client.search_runs([experiment.experiment_id]), key=lambda run: str(run.info.run_name))

    assert [run.info.status for run in runs] == ["FINISHED", "FAILED"]
    for place, run in enumerate(runs):
        history = client.get_metric_history(run.info.run_id, "prior/loss")
        assert sorted((each.step, each.value) for each in history) == [(step, place + step / 2) for step in (1, 2, 3)]
        assert run.data.params["seed"] == str(place)
        assert run.data.params["prior.use"] == "table"
        assert run.data.metrics.get("bits") == (2.5 if place == 0 else None)


def records(content: bytes) -> Iterator[bytes]:
    """The records in a file of W&B: a log of LevelDB (blocks of 32 KiB) after seven bytes of its own."""
    place, whole = 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:  # too little for a header: padding
            place += 32768 - place % 32768
            continue
        _, size, kind = struct.unpack("<IHB", content[place : place + 7])
        whole += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


@pytest.mark.parametrize("driven", ["wandb"], indirect=True)
def test_wandb_has_the_readings_offline(driven: Path) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    by_name = {}
    for path in (driven / "wandb").glob("offline-run-*/*.wandb"):
        rows, name, code = [], "", None
        for record in map(Record.FromString, records(path.read_bytes())):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                name = record.run.display_name
            elif kind == "history":
                items = record.history.item
                rows.append({item.nested_key[0] if item.nested_key else item.key: json.loads(item.value_json)
                             for item in items})  # fmt: skip
            elif kind == "exit":
                code = record.exit.exit_code
        by_name[name[:12]] = rows, code

    for place, name in enumerate(("aaaaaaaaaaaa", "bbbbbbbbbbbb")):
        rows, code = by_name[name]
        assert [(row["prior/step"], row["prior/loss"]) for row in rows if "prior/loss" in row] == [
            (step, place + step / 2) for step in (1, 2, 3)
        ]
        assert code == place


def test_every_tracker_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")

    assert all(f'"driven", ["{name}"]' in text for name in TRACKERS)


def test_a_connection_would_be_noticed(tmp_path: Path) -> None:
    offender = DRIVE.partition("from crt_track")[0] + "socket.create_connection(('192.0.2.1', 80), timeout=1)"

    ended = subprocess.run([sys.executable, "-c", offender], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert "a connection was opened" in ended.stderr

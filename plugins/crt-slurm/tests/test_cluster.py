"""What Slurm's commands are given, by commands in their place; with Slurm itself the tests in `parity` run too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crt_slurm.executor import Jobs
from crt_slurm.queues import ARRAY, Cluster
from crt_slurm.spec import Slurm
from crtcore.errors import RunError

SBATCH = """\
#!/bin/sh
cat "$1" >> sbatch.sh
echo one >> submitted
echo "Submitted batch job $(wc -l < submitted | tr -d ' ')"
"""
LOUD = "#!/bin/sh\necho 'sbatch: error: Invalid partition name specified' >&2\nexit 1\n"
QUEUED = "#!/bin/sh\nprintf '1_0 1_0 1\\n1_7 1_7 1\\n9 9_N/A 9\\n'\n"
KEPT = '#!/bin/sh\necho "$@" >> scancel\n'
BROKEN = "#!/bin/sh\nexit 1\n"


def put(name: str, text: str) -> None:
    path = Path("bin") / name
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(autouse=True)
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with commands of Slurm that write down what they are given."""
    monkeypatch.chdir(tmp_path)
    Path("bin").mkdir()
    for name, text in {"sbatch": SBATCH, "srun": BROKEN, "squeue": QUEUED, "scancel": KEPT}.items():
        put(name, text)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))


def flags() -> set[str]:
    lines = Path("sbatch.sh").read_text().splitlines()
    return {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}


def test_what_a_spec_asks_for_is_asked_of_sbatch(tmp_path: Path) -> None:
    spec = Slurm(partition="long", account="ours", minutes=90, cpus=4, gpus=2, memory=16, parallel=3)

    jobs = Cluster(spec).submit([tmp_path / str(number) for number in range(5)])

    assert jobs == [f"1_{number}" for number in range(5)]
    assert flags() >= {
        "partition=long", "account=ours", "time=90", "cpus-per-task=4", "gpus-per-node=2", "mem=16GB", "array=0-4%3",
    }  # fmt: skip


def test_what_a_spec_leaves_open_is_the_cluster_s_choice(tmp_path: Path) -> None:
    Cluster(Slurm()).submit([tmp_path / "0", tmp_path / "1"])

    assert not {flag.partition("=")[0] for flag in flags()} & {"partition", "account", "gpus-per-node", "mem"}


def test_many_pieces_are_several_arrays_that_share_the_jobs_at_a_time(tmp_path: Path) -> None:
    jobs = Cluster(Slurm(parallel=10)).submit([tmp_path / str(number) for number in range(ARRAY + 2)])

    assert len(set(jobs)) == ARRAY + 2
    assert {flag for flag in flags() if flag.startswith("array")} == {f"array=0-{ARRAY - 1}%5", "array=0-1%2"}


def test_a_job_that_squeue_does_not_list_has_ended_and_without_squeue_none_has() -> None:
    queue = Cluster(Slurm())

    listed = queue.alive(["1_0", "1_1", "1_7", "9", "1"])
    put("squeue", BROKEN)
    unknown = queue.alive(["1_0", "1_1"])

    assert listed == {"1_0", "1_7", "9", "1"}
    assert unknown == {"1_0", "1_1"}


def test_jobs_that_wait_are_removed_and_those_that_run_get_a_signal() -> None:
    Cluster(Slurm()).terminate(["1_7", "1_0"])

    assert Path("scancel").read_text().splitlines() == [
        "--quiet --state=PENDING 1_0 1_7", "--quiet --signal=TERM --state=RUNNING 1_0 1_7",
    ]  # fmt: skip


def test_jobs_that_sbatch_refuses_are_one_error() -> None:
    put("sbatch", LOUD)

    with pytest.raises(RunError, match=r"sbatch refused the jobs: Invalid partition name specified$"):
        list(Jobs(Slurm()).run(os.path.commonpath, [{}, {}], lambda *_: None))  # type: ignore[arg-type]


def test_without_slurm_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(RunError, match=r"expected Slurm's command sbatch, got none; .* executor\.cluster=local"):
        list(Jobs(Slurm()).run(os.path.commonpath, [{}], lambda *_: None))  # type: ignore[arg-type]


def test_an_executor_without_work_writes_nothing() -> None:
    assert list(Jobs(Slurm()).run(os.path.commonpath, [], lambda *_: None)) == []  # type: ignore[arg-type]

    assert [path.name for path in Path().iterdir()] == ["bin"]


def test_work_that_jobs_cannot_import_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a function of a module"):
        list(Jobs(Slurm()).run(lambda piece, report: piece, [{}], lambda *_: None))

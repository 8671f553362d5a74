"""What a job runs: one piece of work, by the folder that it lies in.

submitit pickles the function and the path of the folder, so it is by name that the job finds this function.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import filelock
from submitit import JobEnvironment
from submitit.core.utils import DelayedSubmission, UncompletedJobError

from crt_cli import guard
from crt_slurm.places import ANSWER, JOB, LOCK, PIECE, Place
from crtcore.errors import in_one_line
from crtcore.spec import resolve

PATIENCE = 10.0
"""Seconds in which a job before it, of the same piece, may end."""
SAVED = {"stopped": True}
"""The answer of a run that has saved and can go on."""
STOPPED = "stopped before it began; give the same command again"


def do(folder: str) -> str:
    """Does the piece in a folder, and leaves the answer there; returns how it ended, for the log.

    A piece that another job does is left to it. SIGTERM asks the work to stop. So does the signal that Slurm sends
    before the time is over; then the job is put back into the queue, and goes on from what is saved.
    """
    place, environment = Place(Path(folder)), JobEnvironment()
    asked: list[int] = []
    leaving: list[int] = []

    def leave(number: int, _: Any) -> None:
        leaving.append(number)
        signal.raise_signal(signal.SIGTERM)  # to whatever handles it now

    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    requeue: Any = signal.signal(environment._usr_sig(), leave)
    try:
        with filelock.FileLock(place.folder / LOCK, timeout=PATIENCE):
            place.write(JOB, {"id": environment.job_id, "process": os.getpid()})
            answer, problem = _done(place, asked)
            if (answer == SAVED or problem == STOPPED) and not place.stopping:
                if not leaving:
                    return "stopped by another hand"  # without an answer, as Slurm may begin this job again
                answer, problem = None, _requeued(requeue, leaving[0])
            place.write(ANSWER, {"answer": answer, "problem": problem})
    except filelock.Timeout:
        return "another job does this piece"
    return problem or "done"


def _again(folder: str) -> DelayedSubmission:
    """What submitit submits when a job is put back into the queue."""
    return DelayedSubmission(do, folder)


do.checkpoint = _again  # type: ignore[attr-defined]  # where submitit looks


def _done(place: Place, asked: list[int]) -> tuple[Any, str | None]:
    """The answer or the problem of a piece; it does not begin if a signal has asked it to stop."""
    import torch

    order = json.loads((place.folder / PIECE).read_bytes())
    torch.set_num_threads(order["threads"])
    try:
        with guard.installed():
            work = resolve(order["work"])
            if asked:
                return None, STOPPED
            answer = work(order["piece"], place.add)
            json.dumps(answer)
    except BaseException as error:  # whatever a component raises, such as SystemExit
        return None, in_one_line(error)
    return answer, None


def _requeued(requeue: Any, number: int) -> str:
    """Puts this job back into the queue and ends it; returns why that cannot be.

    Raises: SystemExit once it is there.
    """
    try:
        requeue(number, None)
    except UncompletedJobError as error:
        return f"{error} executor.minutes may be too few; the same command goes on from what is saved"
    return "not put back into the queue; the same command goes on from what is saved"

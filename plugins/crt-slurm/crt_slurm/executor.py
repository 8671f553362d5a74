"""The executor: submits a job for each piece, follows their folders, and finds the jobs of a killed command again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from crt_cli.console import say
from crt_run.runs import files
from crt_slurm.places import JOB, STOP, Place, named, places
from crt_slurm.queues import Queue, queue_of
from crt_slurm.spec import Slurm
from crtcore.kinds import Done, Json, Work

GRACE = 30.0
"""Seconds in which what a job left, on another node, may come after the job has left the queue."""
AGAIN = 2.0
"""Seconds between two requests to stop: one that comes as a process starts is lost."""


class Jobs:
    """A job for each piece; one that ends without an answer loses only its own piece."""

    def __init__(self, spec: Slurm) -> None:
        self.spec = spec
        self.grace = GRACE if spec.cluster == "slurm" else 1.0

    @cached_property
    def queue(self) -> Queue:
        """Made where it is needed, as submitit makes its folder then.

        Raises: RunError if there is no Slurm here.
        """
        return queue_of(self.spec)

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Runs all pieces; jobs of a command that was killed, which do the same, are waited for and not doubled.

        Closing the iterator removes the jobs that wait, sends SIGTERM to those that run, and waits until they have
        saved. An interrupt during that wait kills them.
        Raises: RunError if there is no Slurm, if the jobs are refused, or if their folder cannot be written.
        """
        if not pieces:
            return
        folder = Path(self.spec.folder).absolute()
        made = places(folder, named(work), pieces, self.spec.cpus)
        known = {place: job["id"] for place, (each, _) in enumerate(made) if (job := each.job)}
        alive = self.queue.alive(known.values())
        going = {place: job for place, job in known.items() if job in alive}
        left = [place for place in range(len(made)) if place not in going][::-1]
        if going:
            say(f"slurm: waiting for {len(going)} job(s) of an earlier command: {_listed(list(going.values()))}")
        ended: dict[int, float] = {}  # when the job of a place was first missing in the queue
        looked = time.monotonic()
        try:
            while left or going:
                alive |= self._submit(made, left, going)
                if time.monotonic() - looked >= self.queue.look:
                    alive, looked = self.queue.alive(going.values()), time.monotonic()
                for place, job in list(going.items()):
                    answer = made[place][0].answer
                    for event in made[place][0].events():
                        report(place, event)
                    if answer:
                        del going[place]
                        yield Done(place, answer["answer"], answer["problem"])
                    elif job in alive:
                        ended.pop(place, None)
                    elif (moved := made[place][0].job.get("id", job)) != job:
                        going[place] = moved  # another job does the piece
                        alive.add(moved)
                    elif time.monotonic() - ended.setdefault(place, time.monotonic()) >= self.grace:
                        del going[place]
                        yield Done(place, None, self._died(folder, job))
                time.sleep(self.queue.pause if going else 0)
        finally:
            self._stop([made[place][0] for place in going], set(going.values()))
            self.queue.close()

    def _submit(self, made: list[tuple[Place, str]], left: list[int], going: dict[int, str]) -> set[str]:
        """Submits as many jobs as there is room for, and returns their ids."""
        count = min(len(left), self.queue.room - len(going)) if self.queue.room else len(left)
        chosen = [left.pop() for _ in range(max(count, 0))]
        if not chosen:
            return set()
        for place in chosen:
            made[place][0].begin(made[place][1])
        with files.writing(made[chosen[0]][0].folder):
            jobs = self.queue.submit([made[place][0].folder for place in chosen])
        if self.spec.cluster == "slurm":
            say(f"slurm: {len(jobs)} job(s) submitted: {_listed(jobs)}; `squeue --me` lists them")
        for place, job in zip(chosen, jobs, strict=True):
            going[place] = job
            if not made[place][0].job:
                made[place][0].write(JOB, {"id": job})
        return set(jobs)

    def _died(self, folder: Path, job: str) -> str:
        return (
            f"job {job} ended without an answer (killed, cancelled, or out of memory or time; its log is "
            f"{folder / 'submitit' / f'{job}_0_log.err'}); give the same command again"
        )

    def _stop(self, places: Sequence[Place], jobs: set[str]) -> None:
        """Asks jobs to stop until they have ended; kills them if that is interrupted."""
        if not jobs:
            return
        try:
            for place in places:
                place.write(STOP, {})
            asked = -AGAIN
            while jobs := self.queue.alive(jobs):
                if time.monotonic() - asked >= AGAIN:
                    self.queue.terminate(jobs)
                    asked = time.monotonic()
                time.sleep(self.queue.pause)
        finally:
            if jobs:
                self.queue.kill(jobs)
                self._kill(places)

    def _kill(self, places: Sequence[Place]) -> None:
        """Here, the processes of jobs too: those that stand for the jobs have not handed anything on."""
        if self.spec.cluster == "local":
            for place in places:
                with contextlib.suppress(ProcessLookupError, KeyError):
                    os.kill(place.job["process"], signal.SIGKILL)


def _listed(jobs: Sequence[str]) -> str:
    """A few ids of jobs."""
    return ", ".join(jobs) if len(jobs) < 4 else f"{jobs[0]} to {jobs[-1]}"

"""The process that talks to Ray: `python -m crt_ray.driver` reads orders from stdin and writes what comes to stdout.

Both are lines of JSON. It is a process of its own, as Ray may end or hold up the one that it runs in, where a cluster
is lost or does not answer. At the end of stdin it stops the pieces, and waits for them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from crt_ray.task import Mailbox, done
from crtcore.errors import in_one_line

STORE = 100 * 2**20
"""Bytes of the object store of a Ray that is started here: nothing but short texts is kept there."""
PAUSE = 0.05
"""Seconds between two looks at the mailbox."""
RESOURCES = {"cpus": "CPU", "gpus": "GPU", "memory": "memory"}
"""Field of the spec to the name that Ray has for it."""


def main(orders: TextIO, news: TextIO) -> None:
    """Connects, then does the pieces; what cannot be done is said in one line."""

    def tell(**line: Any) -> None:
        news.write(json.dumps(line) + "\n")
        news.flush()

    settings = json.loads(orders.readline())
    tell(state="connecting")
    try:
        connect(settings["address"])
        lacking = lacks(settings, ray.nodes())
        if lacking and settings["address"] == "local":  # nothing will be added
            tell(state="lost", problem=lacking)
            return
        tell(state="ready", note=f"waiting for Ray: {lacking}" if lacking else None)
        stopping = threading.Event()
        pieces = orders.readline()
        threading.Thread(target=_end_of, args=(orders, stopping), daemon=True).start()
        for line in ended(settings, json.loads(pieces), stopping):
            tell(**line)
        tell(state="ended")
    except ray.exceptions.RayActorError:  # the mailbox, which is on this machine
        tell(state="lost", problem="its head has ended, or this machine has left the cluster")
    except Exception as error:  # whatever Ray raises
        tell(state="lost", problem=in_one_line(error))


def connect(address: str) -> None:
    """Connects to a cluster, or starts one here. Usage statistics of Ray are off."""
    here = {"object_store_memory": STORE, "include_dashboard": False} if address == "local" else {}
    ray.init(address=address, log_to_driver=False, **here)


def lacks(settings: Mapping[str, Any], nodes: list[Any]) -> str:
    """What no machine of the cluster has enough of for one piece; empty if there is one."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    wanted = {field: settings[field] for field in RESOURCES if settings[field]}
    if any(all(node.get(RESOURCES[field], 0) >= wanted[field] for field in wanted) for node in alive):
        return ""
    asked = ", ".join(f"{field} = {value:g}" for field, value in wanted.items())
    there = "; ".join(", ".join(f"{node.get(RESOURCES[field], 0):g} {field}" for field in wanted) for node in alive)
    return f"expected a machine with {asked}, got {there or 'none'}"


def ended(settings: Mapping[str, Any], pieces: list[str], stopping: threading.Event) -> Iterator[dict[str, Any]]:
    """Events of pieces, and each piece as it ends; those that are stopped are waited for."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    mailbox = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
    task = ray.remote(done).options(
        num_cpus=settings["cpus"], num_gpus=settings["gpus"], memory=settings["memory"] or None,
        max_retries=settings["retries"],
    )  # fmt: skip
    waiting = {task.remote(mailbox, place, piece): place for place, piece in enumerate(pieces)}
    began: set[int] = set()
    cancelled = False
    while waiting:
        if stopping.is_set() and not cancelled:
            cancelled = True
            for reference in waiting:
                ray.cancel(reference, force=False)
        ready, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=PAUSE)
        for text in ray.get(mailbox.take.remote()):
            place, event = json.loads(text)
            if event is None and place in began:
                event = {"event": "note", "text": "its process died, and Ray has begun it again"}
            began.add(place)
            if event is not None:
                yield {"place": place, "event": event}
        for reference in ready:
            yield {"place": waiting.pop(reference), **_end(reference, settings["retries"])}


def _end(reference: Any, retries: int) -> dict[str, Any]:
    """The answer or problem of a piece that has ended."""
    try:
        answer, problem = json.loads(ray.get(reference))
    except ray.exceptions.WorkerCrashedError:
        times = f"{retries + 1} times" if retries else "once"
        again = "give the same command again"
        return {"answer": None, "problem": f"a worker process died {times} (killed, or out of memory); {again}"}
    except ray.exceptions.RayError as error:
        return {"answer": None, "problem": in_one_line(error)}
    return {"answer": answer, "problem": problem}


def _end_of(orders: TextIO, stopping: threading.Event) -> None:
    """Waits until the command asks for a stop, or is gone."""
    while orders.readline():
        time.sleep(0)
    stopping.set()


if __name__ == "__main__":
    news = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Ray prints is no news
    main(sys.stdin, news)
    news.close()
    ray.shutdown()

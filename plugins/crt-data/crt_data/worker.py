"""A process that decodes images: reads requests as lines of JSON, and writes pixels to memory it shares with its owner.

It ends with its standard input, and so with whatever started it.

Usage: python -m crt_data.worker DESCRIPTOR
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from typing import Any

import numpy as np

from crt_data.readers import Reader, pixels, reader
from crtcore.errors import RunError


def main() -> None:
    """Serves requests until there are no more."""
    for each in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C and schedulers signal all processes, and the owner saves
        signal.signal(each, signal.SIG_IGN)
    memory = int(sys.argv[1])
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)  # what a decoder prints is no reply
        first = json.loads(sys.stdin.readline())
        source, size = reader(*first["reader"]), first["size"]
        shared: mmap.mmap | None = None
        for line in sys.stdin:
            request = json.loads(line)
            if shared is None or len(shared) < request["end"]:
                shared = mmap.mmap(memory, request["end"])
            try:
                replies.write(f"{json.dumps({'problem': _served(request, source, size, shared)})}\n")
                replies.flush()
            except BrokenPipeError:  # nobody waits for it
                os._exit(1)


def _served(request: dict[str, Any], source: Reader, size: int, shared: mmap.mmap) -> str | None:
    """Decodes the images of a request; what is wrong with the first that cannot be, or None."""
    places, words = request["places"], request["words"]
    rows = np.ndarray((len(places), 3, size, size), np.uint8, shared, request["at"])
    try:
        for row, place in enumerate(places):
            rows[row] = pixels(source, place, size, words[row] if words else None)
    except RunError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main()

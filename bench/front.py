"""Time of the commands of the front: they read spec files and list components, and train nothing.

Each command runs in a process of its own, from the checkout it is given, in turn with the one it is compared with. A
first round, which compiles the sources, does not count.

Usage: python bench/front.py [--beside CHECKOUT] [--rounds N]
       git worktree add ../before COMMIT makes a checkout to compare with.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = ("check specs/figures/latent-cot-full.toml", "check specs/quickstart.toml", "list", "schema")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of the commands of the front.")
    parser.add_argument("--beside", type=Path, help="another checkout, to compare with")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    checkouts = [*([arguments.beside.resolve()] if arguments.beside else []), ROOT]
    print("| command | elapsed | processor | ratio to the other checkout, elapsed and processor |")
    print("| --- | --- | --- | --- |")
    for command in COMMANDS:
        taken: list[list[tuple[float, float]]] = [[] for _ in checkouts]
        for _ in range(arguments.rounds + 1):
            for times, checkout in zip(taken, checkouts, strict=True):
                times.append(seconds(command.split(), checkout))
        before, *rest = [[statistics.median(each) for each in zip(*times[1:], strict=True)] for times in taken]
        elapsed, used = rest[0] if rest else before
        ratio = f"{elapsed / before[0]:.3f} and {used / before[1]:.3f}" if rest else ""
        print(f"| `crt {command}` | {elapsed * 1000:.0f} ms | {used * 1000:.0f} ms | {ratio} |", flush=True)


def seconds(words: list[str], checkout: Path) -> tuple[float, float]:
    """Elapsed and processor seconds of one command."""
    packages = os.pathsep.join(map(str, [checkout, *sorted(checkout.glob("plugins/crt-*"))]))
    environment = {**os.environ, "PYTHONPATH": packages}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # sources are compiled once, as in an installation
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "crt_cli", *words], cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()

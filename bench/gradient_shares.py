"""How much of a tokenizer's training is its regulariser's: the share of the gradient at the features.

    python bench/gradient_shares.py SWEEP [--json]

SWEEP is the folder of a sweep of runs with a stage `tokenizer`, as `crt run` prints it. The share is the sum of the
norms of the gradients of the regularisers' weighted losses, one for each, over that sum and the norm of the tokenizer's
own, as a mean over the readings of the second half of the steps; a run records some fifty. `--json` writes
bench/results/NAME-shares.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crt_run.present.tables import spread
from crt_run.runs.numbers import written
from crt_run.statistics import interval
from crt_run.sweeps.summary import read_sweep

RESULTS = Path(__file__).parent / "results"
NORM, OWN = "feature_gradient_norm.", "feature_gradient_norm.tokenizer"


def share(lines: Sequence[Mapping[str, Any]]) -> float | None:
    """The mean share of regularisers in readings of the second half; None: nothing was recorded of it."""
    shares = []
    for line in lines:
        if OWN in line and line["step"] > line["steps"] / 2:
            others = sum(value for name, value in line.items() if name.startswith(NORM) and name != OWN)
            shares.append(others / (others + line[OWN]))
    return sum(shares) / len(shares) if shares else None


def read(sweep: Path) -> dict[str, Any]:
    """The shares of all finished runs of a sweep, by arm.

    Raises: ValueError if no run has any.
    """
    runs = []
    for each in read_sweep(sweep)["runs"]:
        folder = sweep.parent / Path(each["folder"]).name
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        stage = sweep.parent.parent / about["stages"]["tokenizer"]["folder"]
        text = (stage / "records.jsonl").read_text(encoding="utf-8")
        value = share([json.loads(line) for line in text.splitlines()])
        if value is not None:
            runs.append({"arm": each["arm"], "seed": about["seed"], "share": value})
    if not runs:
        raise ValueError(f"{sweep}: expected runs with {OWN} in the records of their tokenizers, got none")
    return {"name": sweep.parent.name, "runs": runs}


def rows(record: Mapping[str, Any]) -> Iterator[str]:
    """Rows of markdown: the mean share of each arm with its interval over seeds."""
    by_arm: dict[str, list[float]] = {}
    for run in record["runs"]:
        by_arm.setdefault(run["arm"], []).append(run["share"])
    for arm, values in by_arm.items():
        yield f"| {arm} | {spread(written(interval(values, 'of the gradient')))} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    made = read(options.sweep)
    print(*rows(made), sep="\n")
    if options.json:
        (RESULTS / f"{made['name']}-shares.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")

"""Where the bits of a finished study go: by position, by class, and what a prior gains from context.

    python bench/where_bits_go.py SWEEP [--json]

SWEEP is the folder of a sweep of two-stage runs on images, as `crt run` prints it; runs that have not finished are left
out and named. Bits are of the held-out samples that a run was scored on, ids under its trained prior. `--json` writes
bench/results/NAME-bits.json. Codebooks with fewer pairs of codes than there are training samples also get the mutual
informations of ids, from the ids of training samples; larger ones have too many pairs to count.
Axes: b samples, n ids of a sample, k cells of an image.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import entropies
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_basics.metrics.code_length import TwoPartCode, residual_bits
from crt_run.likelihood import CHUNK
from crt_run.loading.loaded import LoadedRun, load_run
from crt_run.present.tables import change, spread
from crt_run.runs.numbers import written
from crt_run.runs.provenance import git_state, versions
from crt_run.statistics import interval, paired
from crt_run.sweeps.summary import read_sweep
from crt_run.training.ids import StoredIds, batches
from crt_run.training.ids import spread as chosen_rows
from crt_run.training.sampling import decoded, taken, train_data
from crtcore.kinds import Dataset, Prior

RESULTS = Path(__file__).parent / "results"
NEAR = 1e-3
"""Most by which bits here may differ from those of the run, as a share: rounding on another processor."""
Numbers = dict[str, float]


def bits_of_ids(
    prior: Prior, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None
) -> Float[Tensor, "b n"]:  # fmt: skip
    """What each id costs the prior."""
    parts = []
    for rows in torch.split(torch.arange(len(ids), device=ids.device), CHUNK):
        logits = prior(ids[rows], None if class_ids is None else class_ids[rows])[:, :-1]
        likelihood = logits.double().log_softmax(-1).gather(2, ids[rows][..., None])[..., 0]
        parts.append(-likelihood / math.log(2))
    return torch.cat(parts)


def in_cells(images: Float[Tensor, "b c y x"], side: int) -> Float[Tensor, "b*k c h w"]:
    """Images cut into `side` times `side` cells, row by row.

    Raises: ValueError if a cell would not be whole.
    """
    batch, channels, high, wide = images.shape
    if high % side or wide % side:
        raise ValueError(f"expected images whose sides are multiples of {side}, got {high} by {wide}")
    cut = images.view(batch, channels, side, high // side, side, wide // side)
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def ids_of(run: LoadedRun, dataset: Dataset, split: str, rows: Tensor) -> StoredIds:
    """The ids and the classes of samples."""
    ids, classes = [], []
    for batch in batches(dataset, split, rows):
        known = None if batch.class_ids is None else batch.class_ids.to(run.device)
        ids.append(run.tokenizer.encode(batch.data.to(run.device), known))
        classes.append(known)
    there = [each for each in classes if each is not None]
    return StoredIds(torch.cat(ids), torch.cat(there) if there else None, None)


@torch.inference_mode()
def measured(run: LoadedRun) -> dict[str, Any]:
    """The numbers of one run: sums over a sample, and means by position, by cell and by class.

    Raises: ValueError if ids cost another number of bits than the run's result says, or are no square of cells.
    """
    plan, tokenizer = run.plan, run.tokenizer
    dataset, vocabulary = plan.parts["dataset"].build(), tokenizer.vocabulary
    assert vocabulary is not None  # as there is a prior
    fitted, rows = (chosen_rows(dataset.sizes[split], plan.experiment.samples) for split in ("train", "test"))
    train = ids_of(run, dataset, "train", chosen_rows(dataset.sizes["train"]))
    held_out = ids_of(run, dataset, "test", rows)
    spent = bits_of_ids(run.prior, held_out.ids, held_out.class_ids).cpu()  # b n
    expected = run.results["id_code_length_bits"].value
    if not math.isclose(float(spent.sum(1).mean()), expected, rel_tol=NEAR):
        raise ValueError(f"{run.folder}: expected ids of {expected} bits a sample, got {float(spent.sum(1).mean())}")
    front = getattr(plan.parts["tokenizer"], "count", 0)  # ids of a `prefix`, which lie before those of cells
    rest = rest_in_cells(run, dataset, train, held_out, fitted=fitted, rows=rows, cells=tokenizer.length - front)
    alone = entropies.held_out_alone(train.ids, held_out.ids, vocabulary).cpu()
    sums = {
        "ids": float(spent.sum(1).mean()),
        "alone": float(alone.sum()),
        "context": float(alone.sum() - spent.sum(1).mean()),
        "rest": float(rest.sum(1).mean()),
        "both": float(spent.sum(1).mean() + rest.sum(1).mean()),
        "front": float(spent[:, :front].sum(1).mean()),
    }
    by_class = {}
    if held_out.class_ids is not None:
        for one in held_out.class_ids.unique().tolist():
            own = (held_out.class_ids == one).cpu()
            by_class[str(one)] = {"ids": float(spent[own].sum(1).mean()), "rest": float(rest[own].sum(1).mean())}
    return {
        "sums": sums | counted(train, vocabulary, sums["ids"]),
        "by_position": {"ids": spent.mean(0).tolist(), "alone": alone.tolist()},
        "by_cell": {"ids": spent.mean(0)[front:].tolist(), "rest": rest.mean(0).tolist()},
        "by_class": by_class,
    }


def rest_in_cells(
    run: LoadedRun, dataset: Dataset, train: StoredIds, held_out: StoredIds, *, fitted: Tensor, rows: Tensor, cells: int
) -> Float[Tensor, "b k"]:
    """The bits of the pixels of each cell once the ids of the whole image are known.

    Raises: ValueError if the cells are no square.
    """
    side = math.isqrt(cells)
    if side**2 != cells:
        raise ValueError(f"{run.folder}: expected ids of a square of cells, got {cells}")
    code = TwoPartCode()
    code.fit(train_data(run.plan, dataset, run.tokenizer, train, fitted, held_out=len(rows)))
    made = decoded(run.tokenizer, *held_out.at(torch.arange(len(rows))), image=True)
    real = taken(dataset, "test", rows)
    return residual_bits(in_cells(real, side), in_cells(made, side), code.levels, code.width).view(len(rows), cells)


def counted(train: StoredIds, vocabulary: int, joint: float) -> Numbers:
    """Entropies from counts of training ids, and informations where the pairs of codes are fewer than the samples.

    `correlation` is the sum of entropies less what all ids cost a prior that reads the class, `joint`: as that is at
    least the joint entropy given the class, it is at most the total correlation, with the information on the class.
    """
    assert isinstance(train.ids, Tensor)  # `ids_of` keeps them in memory
    ids = train.ids.cpu()
    alone = float(entropies.miller_madow(entropies.at_positions(ids, vocabulary)).sum())
    numbers = {"entropies": alone, "correlation": alone - joint}
    side = math.isqrt(ids.shape[1])
    if vocabulary**2 > len(ids) or side**2 != ids.shape[1]:
        return numbers
    if isinstance(train.class_ids, Tensor):
        numbers["given_class"] = float(entropies.given_class(ids, train.class_ids.cpu(), vocabulary).sum())
    information = entropies.informations(ids, vocabulary)
    chance = entropies.informations(entropies.shuffled(ids), vocabulary)
    for name, pairs in neighbours(side).items():
        numbers[name] = float(information[pairs].mean())
        numbers[f"{name}_shuffled"] = float(chance[pairs].mean())
    return numbers | {"tree": entropies.tree(information), "tree_shuffled": entropies.tree(chance)}


def neighbours(side: int) -> dict[str, Tensor]:
    """Which two positions of a square, row by row, lie beside each other, one above the other, or farther apart."""
    row, column = torch.arange(side**2) // side, torch.arange(side**2) % side
    down, right = row - row[:, None], column - column[:, None]  # of the later one, from the earlier
    later = (down > 0) | ((down == 0) & (right > 0))
    beside, above = (down == 0) & (right == 1), (down == 1) & (right == 0)
    return {"beside": beside, "above": above, "apart": later & ~beside & ~above}


def by_arm(record: Mapping[str, Any], *path: str) -> dict[str, dict[int, Any]]:
    """A number of every run, by group and seed."""
    numbers: dict[str, dict[int, Any]] = {}
    for run in record["runs"]:
        value = run
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            numbers.setdefault(run["group"], {})[run["seed"]] = value
    return numbers


def differences(record: Mapping[str, Any], *path: str) -> dict[str, dict[str, Any] | None]:
    """The paired difference of a number from the baseline, by group; None where no seed is shared."""
    values = by_arm(record, *path)
    theirs = values.get(record["baseline"], {})
    return {group: paired(mine, theirs, "bits") for group, mine in values.items() if group != record["baseline"]}


def by_place(record: Mapping[str, Any], name: str, part: str) -> dict[str, list[float]]:
    """The mean paired difference from the baseline at each cell (`by_cell`), by group."""
    lists = by_arm(record, name, part)
    theirs = lists.get(record["baseline"], {})
    shown = {}
    for group, mine in lists.items():
        if shared := [seed for seed in mine if seed in theirs and group != record["baseline"]]:
            gaps = torch.tensor([mine[seed] for seed in shared]) - torch.tensor([theirs[seed] for seed in shared])
            shown[group] = gaps.mean(0).tolist()
    return shown


def rows(record: Mapping[str, Any]) -> Iterator[str]:
    """Rows of markdown: means, then paired differences from the baseline, of every sum that all runs have."""
    names = [name for name in record["runs"][0]["sums"] if all(name in run["sums"] for run in record["runs"])]
    gaps = {name: differences(record, "sums", name) for name in names}
    yield f"| bits a sample | {' | '.join(names)} |"
    yield f"|{' --- |' * (len(names) + 1)}"
    for group in dict.fromkeys(run["group"] for run in record["runs"]):
        means = [written(interval(list(by_arm(record, "sums", name)[group].values()), "bits")) for name in names]
        yield f"| {group} | {' | '.join(map(spread, means))} |"
        if group != record["baseline"]:
            cells = ["not paired" if (gap := gaps[name][group]) is None else change(gap) for name in names]
            yield f"| {group}, less {record['baseline']} | {' | '.join(cells)} |"


def details(record: Mapping[str, Any]) -> Iterator[str]:
    """A line for each arm: mean differences from the baseline by cell, row by row, and paired ones by class."""
    for part in ("ids", "rest"):
        for group, values in by_place(record, "by_cell", part).items():
            yield f"{group}, {part} by cell: {', '.join(f'{value:+.2f}' for value in values)}"
        gaps = {one: differences(record, "by_class", one, part) for one in record["runs"][0]["by_class"]}
        for group in dict.fromkeys(run["group"] for run in record["runs"]):
            if shown := [f"{one} {change(gap)}" for one, each in gaps.items() if (gap := each.get(group))]:
                yield f"{group}, {part} by class: {', '.join(shown)}"


def read(sweep: Path) -> tuple[dict[str, Any], list[str]]:
    """The record of a sweep's finished runs, and the runs that have not finished."""
    about, runs, missing = read_sweep(sweep), [], []
    for each in about["runs"]:
        if each["result"] is None:
            missing.append(each["folder"])
            continue
        where = {"arm": each["arm"], "group": each["group"], "seed": each["result"]["seed"]}
        runs.append(where | measured(load_run(sweep.parent.parent / each["folder"])))
    record = {
        "name": f"{about['name']}-bits",
        "command": "python bench/where_bits_go.py SWEEP --json",
        "sweep": about["hash"],
        "baseline": about["baseline"],
        "versions": versions(),
        "git": git_state(),
        "runs": runs,
    }
    return record, missing


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Where the bits of a finished study go.")
    parser.add_argument("sweep", type=Path, help="the folder of a sweep")
    parser.add_argument("--json", action="store_true", help="keep the numbers under bench/results")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    record, missing = read(arguments.sweep.absolute())
    if not record["runs"]:
        parser.error(f"{arguments.sweep}: expected a finished run, got none; give the command `crt run` again")
    print(*rows(record), *details(record), sep="\n")
    if missing:
        print(f"not finished: {', '.join(missing)}")
    if arguments.json:
        (RESULTS / f"{record['name']}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The parts of a GPU day, most useful first: what each runs, for how long, and how it is shrunk in a rehearsal."""

from __future__ import annotations

from typing import NamedTuple

SLOWER = 3
"""How many times as long a part may take in a rehearsal, as two processors compile what sixteen would."""


class Part(NamedTuple):
    """Something that is run."""

    name: str
    what: str
    """One phrase on its purpose."""
    stand_in: str
    """What it runs on in a rehearsal."""
    command: tuple[str, ...]
    """Behind the interpreter: a script and its words."""
    small: tuple[str, ...]
    """What is added in a rehearsal."""
    least: int
    """Seconds that have to be left for it to be worth starting."""
    most: int
    """Seconds after which it is killed."""


PARTS = (
    Part(
        "facts", "the device, its versions and rates", "a CPU",
        ("facts.py",), ("--rounds", "2", "--side", "128"),
        10, 45,
    ),
    Part(
        "correctness", "kernels compiled, and compared with the reference", "the host build; kernels compiled, not run",
        ("correctness.py",), ("--cases", "100", "--wide", "500"),
        60, 150,
    ),
    Part(
        "graphs", "verdicts and commits captured and replayed", "the host build; what a capture forbids is refused",
        ("graphs.py",), ("--cases", "50"),
        20, 60,
    ),
    Part(
        "speed", "tables of verdicts", "the host build",
        ("speed.py",), ("--rounds", "2", "--vocabulary", "64", "--batch", "1", "64"),
        40, 140,
    ),
    Part(
        "attention", "ways of tree attention", "torch on a CPU",
        ("attention.py", "--rounds", "20", "--batch", "1", "64"),
        ("--rounds", "1", "--batch", "1", "--cached", "16", "--heads", "2"),
        30, 90,
    ),
    Part(
        "end_to_end", "whole decoding steps", "torch on a CPU and the host build",
        ("end_to_end.py", "--rounds", "15"), ("--rounds", "2", "--pair", "small", "--batch", "2", "--cached", "8"),
        40, 110,
    ),
    Part(
        "images", "image sampling, eager and by graphs", "torch on a CPU; what a capture forbids is refused",
        ("images.py",),
        ("--size", "small", "--codes", "64", "--side", "4", "--batch", "4", "--rounds", "1", "--backend", "aot_eager"),
        30, 90,
    ),
    Part(
        "sanitizer", "memcheck and racecheck", "the emulated kernels, under the sanitizers of g++",
        ("sanitizer.py",), (),
        30, 90,
    ),
    Part(
        "training", "a study of CRT's weight", "torch on a CPU",
        ("training.py",),
        (
            "--seeds", "2", "--set", "dataset.train=400", "--set", "dataset.validation=32", "--set", "dataset.test=200",
            "--set", "dataset.size=8", "--set", "tokenizer.channels=8", "--set", "bottleneck.codes=16",
            "--set", "sweep.arms.baseline={'regularizer.0.weight'=0}", "--set", "training.tokenizer.steps=10",
            "--set", "training.prior.steps=10",
        ),
        60, 600,
    ),
    Part(
        "rate", "a study of ids and codes by the size of the prior", "torch on a CPU",
        ("training.py", "--spec", "specs/figures/crt-rate-shapes.toml"),
        (
            "--seeds", "1", "--set", "dataset.train=400", "--set", "dataset.validation=32", "--set", "dataset.test=200",
            "--set", "dataset.size=8", "--set", "tokenizer.channels=8", "--set", "training.tokenizer.steps=2",
            "--set", "training.prior.steps=2",
        ),
        120, 600,
    ),
    Part(
        "compute", "a study of the compute that CRT saves", "torch on a CPU",
        ("training.py", "--spec", "specs/figures/crt-scaling-shapes.toml"),
        (
            "--seeds", "2", "--set", "dataset.train=400", "--set", "dataset.validation=32", "--set", "dataset.test=200",
            "--set", "dataset.size=8", "--set", "tokenizer.channels=8", "--set", "bottleneck.codes=16",
            "--set", "experiment.shorter=[10]", "--set", "training.tokenizer.steps=10",
            "--set", "training.prior.steps=20",
        ),
        120, 600,
    ),
)  # fmt: skip
"""Most useful first."""


def rehearsed(part: Part) -> Part:
    """A part shrunk, and what it then runs on."""
    command, what = (*part.command, *part.small), f"{part.what}; on {part.stand_in}"
    return part._replace(command=command, what=what, most=SLOWER * part.most)

"""The keys of spec files that are no components: `crt schema`, `crt show` and docs/spec-files.md are made of this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from crtcore.compose.document import DEEPEST, FILES, LARGEST
from crtcore.compose.grid import POINTS
from crtcore.compose.study import BASELINE, NAME, RESERVED, Claim
from crtcore.settings import Optimizer, Sampling, Training


class Key(NamedTuple):
    """A key or table of a spec file."""

    name: str
    summary: str
    text: str
    """What it does, in paragraphs of Markdown."""
    snippet: str
    """What can be pasted: TOML, or commands of a shell."""
    table: type[Any] | None = None
    """The class whose fields are its keys."""
    form: Mapping[str, Any] | None = None
    """Its JSON Schema where it has no class."""
    commands: bool = False


NAMED = {"pattern": f"^{NAME.pattern}$"}

KEYS = (
    Key(
        "name", "what the file is called",
        f"Letters, digits, `.`, `_` and `-`, at most 100; `{RESERVED}` is taken. Runs lie in the folder `runs/NAME`. "
        "A name changes no result: equal plans share their stages whatever they are called.",
        'name = "quickstart"',
        form={"type": "string", **NAMED, "not": {"const": RESERVED}},
    ),
    Key(
        "seed", "first values, order of data and samples",
        "An integer from 0, by default 0. Everything random comes from it.",
        "seed = 3",
        form={"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    ),
    Key(
        "extends", "another file that this one changes",
        "The path of a spec file, relative to this file. Tables merge key by key; an array, and with it every "
        "`[[table]]`, is replaced whole. A table whose `use` changes starts anew: the fields of the component that was "
        f"there are dropped. At most {FILES} files extend each other, of {LARGEST // 1024} KiB together, with "
        f"{DEEPEST} levels of tables.",
        'extends = "quickstart.toml"\nname = "wider"\n\n[prior]\nwidth = 128',
        form={"type": "string"},
    ),
    Key(
        "training", "how each stage is trained: `[training.STAGE]`",
        "One table for each stage of the experiment; `crt show EXPERIMENT` lists its stages. A stage whose part "
        "brings its weights, as the prior `saved` does, has none. Where a file, an arm or `--set` replaces a trained "
        "part by one that brings its weights, the table stays and is not used.",
        "[training.prior]\nsteps = 600\nbatch = 64\noptimizer = { learning_rate = 2e-3, weight_decay = 0.1 }",
        table=Training,
    ),
    Key(
        "optimizer", "AdamW and the course of its learning rate",
        "A table of its own in `[training.STAGE]`, for the stage's main part, and in a regulariser that learns.",
        "[training.tokenizer]\nsteps = 600\n\n[training.tokenizer.optimizer]\nlearning_rate = 3e-3\nwarmup = 0.1",
        table=Optimizer,
    ),
    Key(
        "sampling", "how logits become the distribution that is sampled",
        "The same for target and draft. Bans and temperature come first; then an id stays if `top_k`, `top_p` and "
        "`min_p` all keep it.",
        "[sampling]\ntemperature = 0.9\ntop_p = 0.95",
        table=Sampling,
    ),
    Key(
        "sweep", "many runs of one file: arms times axes, and claims",
        "Every arm is run at every combination of the axes. A key of `[sweep]` other than `arms` and `claim` is an "
        f"axis. A study has at most {POINTS:,} points, and no two of them may be the same run.",
        '[sweep]\nseed = [0, 1, 2]\n\n[sweep.arms.plain]\n\n[sweep.arms.warm]\nsampling.temperature = 1.2',
    ),
    Key(
        "arms", "settings that are compared: `[sweep.arms.NAME]`",
        "A table for each arm, with the values that it changes by their dotted paths; `regularizer.0.weight` is in "
        f"the first of an array. The arm called `{BASELINE}`, or else the first, is what the others are compared with, "
        "paired by seed. An arm that changes a `use` drops the fields of the component that was there.",
        "[sweep.arms.plain]\n\n[sweep.arms.cold]\nsampling.temperature = 0.7\n\n"
        '[sweep.arms.one-at-a-time]\ndecoder.use = "ancestral"',
    ),
    Key(
        "axes", "values that every arm is run with",
        "An array of values for a dotted path. Values of an axis may be whole tables. The results of an arm are joined "
        "over the axis `seed`, with an interval; the other axes make groups.",
        "[sweep]\nseed = [0, 1, 2]\nsampling.temperature = [0.7, 1.0]",
    ),
    Key(
        "claim", "what the study expects, written before it runs: `[[sweep.claim]]`",
        "The result says of each claim whether it holds, by the 95 % interval of the difference paired by seed. All "
        "claims of a study are corrected together, by Holm's method: one that holds alone may not hold among others. "
        "Outcomes of single samples that are right or wrong have McNemar's test beside it.",
        '[sweep]\nseed = [0, 1, 2]\n\n[sweep.arms.plain]\n\n[sweep.arms.cold]\nsampling.temperature = 0.7\n\n'
        '[[sweep.claim]]\nnumber = "target_calls_per_id"\narm = "cold"\nexpect = "lower"',
        table=Claim,
    ),
    Key(
        "set", "values given on the command line: `--set KEY=VALUE`, or `KEY=VALUE` after the file",
        "Every command that reads a spec file takes them, any number of times. `KEY` is a dotted path, `VALUE` is "
        "TOML, or a text if it is no TOML. They change the file before its sweep does; one that the sweep sets at "
        "every point has no effect, which is an error. Their order does not matter: a table comes before what is "
        "inside it and `use` before other fields. Of two for one key the last counts. A `use` that changes drops the "
        "fields of the component that was there.",
        "crt check SPEC seed=4 sampling.temperature=0.7\n"
        "crt check SPEC --set decoder.use=ancestral\n"
        "crt check SPEC 'training.prior.optimizer={ learning_rate = 1e-3 }'",
        commands=True,
    ),
)  # fmt: skip
"""In the order in which the reference has them."""

BY_NAME = {key.name: key for key in KEYS}

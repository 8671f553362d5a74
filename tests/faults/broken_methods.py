# ruff: noqa: E501  -- a kind in a line
"""Kinds of component whose methods, properties and marks fail, and which commands about it must name it."""

from __future__ import annotations

from broken_plugins import HEAD, HOOK, Kind

BASES = {
    "experiment": "crt_basics.experiments.specs import TwoStage",
    "dataset": "crt_basics.datasets.specs import Digits",
    "tokenizer": "crt_vq.tokenizers.specs import Conv",
    "bottleneck": "crt_vq.bottlenecks.specs import VQ",
    "prior": "crt_basics.priors.specs import Table",
    "decoder": "crt_basics.decoders.specs import Ancestral",
}
"""A sound spec of each kind, which the broken one extends."""
EXAMPLES = {"bottleneck": "Mine(codes=4)"}
READ = ("use", "text", "cost")
"""Commands that read a spec file with the component."""


def of(table: str, name: str, body: str, named: tuple[str, ...] = READ) -> Kind:
    """A kind whose class has this body."""
    text = f"from {BASES[table]} as Base\n@attrs.frozen(kw_only=True)\nclass Mine(Base):\n"
    text += "\n".join(f"    {line}" for line in body.splitlines())
    hook = HOOK.replace("Mine()", EXAMPLES.get(table, "Mine()"))
    keys = "codes = 4\nx = 2" if "args[2]" in body else "codes = 4"
    return Kind(name=f"{table}: {name}", text=f"{HEAD}{text}\n{hook}", named=named, table=table, keys=keys)


def of_method(table: str, signature: str, does: str, named: tuple[str, ...] = READ) -> Kind:
    """A kind with a method, or a property if it takes nothing, that does something."""
    mark = "" if "(" in signature else "@property\n"
    body = "\n".join(f"    {line}" for line in does.splitlines())
    definition = signature if "(" in signature else f"{signature}(self)"
    return of(table, f"{signature}: {does[:40]}", f"{mark}def {definition}:\n{body}", named)


PROBLEMS, STAGES = "problems(self, plan)", "stage_plans(self, plan)"
RAISED = ("raise ValueError('x')", "raise KeyboardInterrupt", "sys.exit(0)", "raise GeneratorExit", "time.sleep(60)")
METHODS = [
    of_method("experiment", PROBLEMS, "raise ValueError('x')"),
    of_method("experiment", STAGES, "sys.exit(0)"),
    of_method("dataset", "form", "raise ValueError('x')"),
    of("bottleneck", "a mark", "x: int = attrs.field(default=1, metadata={'cosmetic': lambda made: sys.exit(0)})"),
    *(of_method("experiment", PROBLEMS, does) for does in (
        *RAISED[1:], "return None", "return 7", "return [7]", "return [('x',)]", "return [(1, 'x')]", "return [('x', None)]",
        "yield 'seed', 'odd'\nraise ValueError('x')", "return iter(int, 1)", "raise type('X', (BaseException,), {})",
        "raise __import__('crtcore.errors').errors.SpecError([])", "raise __import__('crtcore.errors').errors.RunError('x')",
        "print('hello')\nos.write(1, b'hello')\nraise ValueError('x')", "signal.signal(signal.SIGALRM, signal.SIG_DFL)\nraise ValueError('x')",
        "sys.stderr.close()\nraise ValueError('x')", "return plan.nothing",
    )),
    *(of_method("experiment", STAGES, does) for does in (
        *RAISED[2:], "return None", "return 7", "return [7]", "return iter(int, 1)",
        "return [each._replace(training=None) for each in super().stage_plans(plan)]",
        "return [each._replace(name=3) for each in super().stage_plans(plan)]",
        "return [each._replace(total='x') for each in super().stage_plans(plan)]",
    )),
    of_method("experiment", PROBLEMS, "while True: yield 'seed', 'odd'", ()),  # a hundred problems, all its own
    of_method("experiment", PROBLEMS, "return [('a..b', 'odd'), ('', 'odd')]", ()),
    *(of("experiment", f"roles are {value}", f"roles = {value}", ()) for value in (
        "None", "{}", "{'x': 3}", "{3: 3}", "{**Base.roles, 'bottleneck': ('bottleneck', False, False)}",
    )),
    *(of("experiment", f"stages are {value}", f"stages = {value}", ()) for value in ("None", "{'x': 'y'}", "{3: 'prior'}")),
    of("experiment", "figures are 3", "figures = 3", ()),
    of("experiment", "trade_offs are (3,)", "trade_offs = (3,)", ()),
    *(of_method("dataset", "form", does) for does in RAISED[1:]),
    *(of_method("dataset", "sample_shape", does, ()) for does in RAISED),  # only asked where there are no data
    *(of_method("dataset", "build(self)", does, ("cost",)) for does in RAISED[:4] if "Keyboard" not in does),
    of_method("dataset", "build(self)", "return None", ()),
    *(of_method("tokenizer", "form", does) for does in RAISED[:3]),
    *(of_method("bottleneck", "continuous", does) for does in RAISED[:3]),
    *(of_method("bottleneck", "build(self)", does, ("cost",)) for does in RAISED[:4] if "Keyboard" not in does),
    *(of_method("decoder", "drafts", does) for does in RAISED[:3]),
    of_method("prior", "build(self, *_)", "raise ValueError('x')", ("cost",)),
    of("prior", "pretrained", "pretrained = type('X', (), {'__bool__': lambda self: sys.exit(0)})()", ()),
    *(of(table, "__eq__", "def __eq__(self, other): raise ValueError('x')\n__hash__ = None") for table in BASES),
    of("dataset", "__hash__", "def __hash__(self): raise ValueError('x')"),
    of("dataset", "__hash__ hangs", "def __hash__(self): time.sleep(60)"),
    of("dataset", "a list", "x: list = attrs.field(factory=list)"),
    *(of(table, f"{mark} {does}", f"x: str = attrs.field(default='x', metadata={{'{mark}': lambda made: {does}}})")
      for table in ("dataset", "bottleneck") for mark in ("cosmetic", "files") for does in ("1 / 0", "sys.exit(0)", "time.sleep(60)")),
    *(of("bottleneck", f"a validator: {does}", f"x: int = attrs.field(default=1, validator=lambda *args: args[2] == 2 and {does})")
      for does in ("sys.exit(0)", "time.sleep(60)")),
    of("bottleneck", "a default that JSON has not", "x: object = attrs.field(factory=object)"),
    of("bottleneck", "__getattribute__", "def __getattribute__(self, name):\n    if name == 'commitment': raise SystemExit(0)\n    return super().__getattribute__(name)", ()),
]  # fmt: skip

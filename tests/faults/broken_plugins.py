# ruff: noqa: E501  -- a kind in a line
"""Kinds of broken plugin: what the module or the metadata of one do, and what a command may answer then."""

from __future__ import annotations

import attrs

HEAD = """
import atexit, os, signal, subprocess, sys, threading, time
from collections.abc import Callable
import attrs
import click
from crtcore.hooks import Component, hookimpl
from crtcore.kinds import BottleneckSpec, ExperimentSpec, PriorSpec
from crtcore.spec import Spec
"""
SPEC = """
@attrs.frozen(kw_only=True)
class Mine(BottleneckSpec):
    def build(self): ...
"""
HOOK = """
@hookimpl
def crt_components():
    return [Component("unlucky", spec=Mine, summary="mine", examples=(Mine(),))]
"""
COMMAND = """
@hookimpl
def crt_commands():
    return [click.Command("unfold")]
"""
METADATA = "Metadata-Version: 2.1\nName: unlucky-plugin\nVersion: 3.1\n"
ENTRY = "[crtcore]\nunlucky = unlucky_plugin\n"


@attrs.frozen(kw_only=True)
class Kind:
    """One kind of broken plugin."""

    name: str
    text: str | bytes
    """The module."""
    metadata: str | bytes | None = METADATA
    entry: str | bytes = ENTRY
    twin: str = ""
    """The metadata of a second distribution with the same name, if there is one."""
    named: tuple[str, ...]
    """Commands that must name it; empty: it does no harm."""
    gone: tuple[str, ...] = ()
    """Components of others that are gone, as their names are contested."""
    source: str = "unlucky-plugin 3.1"
    table: str = "bottleneck"
    """Where a spec file has its component."""
    keys: str = ""
    """Further lines of [bottleneck] there."""


ALL = ("list", "check", "schema", "show", "run", "help", "own", "laws")
ASKED = ("list", "check", "schema", "show", "run", "own", "laws")
"""Commands that ask plugins for components."""
COMMANDED = ("schema", "show", "run", "help", "own", "laws")
"""Commands that ask plugins for commands."""
UNNAMED = "a distribution without name or version in "


def at_import(name: str, text: str, **more: object) -> Kind:
    return Kind(**{"name": f"import: {name}", "text": f"{HEAD}{text}\n{SPEC}{HOOK}", "named": ALL, **more})  # type: ignore[arg-type]


def in_hook(name: str, text: str, hook: str = "crt_components", **more: object) -> Kind:
    body = "\n".join(f"    {line}" for line in text.splitlines())
    text = f"{HEAD}{SPEC}\n@hookimpl\ndef {hook}():\n{body}\n"
    return Kind(**{"name": f"{hook}: {name}", "text": text, "named": ASKED, **more})  # type: ignore[arg-type]


def raising(text: str) -> str:
    return f"class Odd(Exception):\n    def __str__(self):\n        {text}\nraise Odd"


def harmless(name: str, text: str) -> Kind:
    return at_import(name, text, named=())


def of_spec(name: str, text: str, named: tuple[str, ...] = ("schema",), **more: object) -> Kind:
    return Kind(name=f"spec: {name}", text=HEAD + text + HOOK, named=named, **more)  # type: ignore[arg-type]


def of_field(name: str, field: str, named: tuple[str, ...] = ("schema",)) -> Kind:
    return of_spec(name, SPEC.replace("    def build", f"    {field}\n    def build"), named)


def of_component(name: str, arguments: str) -> Kind:
    text = f"{HEAD}{SPEC}\n@hookimpl\ndef crt_components():\n    return [{arguments}]\n"
    return Kind(name=f"component: {name}", text=text, named=ASKED)


def of_metadata(
    name: str, *, metadata: str | bytes | None = METADATA, entry: str | bytes = ENTRY, **more: object
) -> Kind:
    text = HEAD + SPEC + HOOK if more.pop("works", False) else "1 / 0"
    return Kind(
        **{"name": f"metadata: {name}", "text": text, "metadata": metadata, "entry": entry, "named": ALL, **more}
    )  # type: ignore[arg-type]


FIRST = [
    at_import("KeyboardInterrupt", "raise KeyboardInterrupt"),
    at_import("exit 0", "sys.exit(0)"),
    at_import("its text raises", raising("raise KeyboardInterrupt")),
    at_import("sleeps", "time.sleep(60)"),
    in_hook("GeneratorExit", "raise GeneratorExit"),
    harmless("writes to descriptor 1", "os.write(1, b'hello\\n')\natexit.register(os.write, 1, b'bye\\n')"),
    harmless(
        "closes everything", "sys.stdout.close(); sys.stderr.close(); os.close(1); os.close(2); sys.__stderr__.close()"
    ),
    harmless("leaves a thread", "threading.Thread(target=time.sleep, args=(60,)).start()"),
    of_component("clash", "Component('fsq', spec=Mine, summary='', examples=(Mine(),))"),
    of_metadata("no metadata", metadata=None, source=UNNAMED),
    of_metadata("a line without value", entry="[crtcore]\nunlucky\n"),
    of_field("unresolvable annotation", "x: 'Nowhere' = 1"),
]
FIRST[8] = attrs.evolve(FIRST[8], gone=("fsq",))

RAISED = [
    *(at_import(each, f"raise {each}") for each in (
        "GeneratorExit", "BaseException('x')", "StopIteration", "MemoryError", "NotImplementedError", "AssertionError",
        "SystemExit('bye')", "SystemExit([1])", "BaseExceptionGroup('x', [KeyboardInterrupt()])", "ExceptionGroup('x', [OSError(1, 'x')])",
        "7", "type('X', (BaseException,), {})", "UnicodeDecodeError('utf-8', b'x', 0, 1, 'x')", "click.Abort", "click.UsageError('x')",
        "click.exceptions.Exit(0)", "BrokenPipeError(32, 'x')", "__import__('crtcore.errors').errors.RunError('x')",
        "__import__('crtcore.errors').errors.SpecError([])", "__import__('asyncio').CancelledError",
    )),
    at_import("recursion", "def f(): f()\nf()"),
    at_import("text is no string", raising("return 7")),
    at_import("text is long", raising("return 'x' * 10_000_000")),
    at_import("text has control characters", raising("return '\\x1b[2J\\r\\n\\0\\ud800'")),
    at_import("text hangs", raising("time.sleep(60)")),
    at_import("text exits", raising("sys.exit(0)")),
    at_import("name is long", "raise type('X' * 1_000_000, (Exception,), {})"),
    at_import("type without a name", "class M(type):\n    @property\n    def __name__(cls): raise SystemExit\nraise M('X', (Exception,), {})"),
    at_import("syntax", "def f(:"),
    at_import("indentation", "  x = 1\n y = 2"),
    at_import("missing module", "import nowhere_to_be_found"),
    at_import("missing torch part", "from crtcore import nothing"),
    Kind(name="import: null bytes", text=b"x = 1\0", named=ALL),
    Kind(name="import: not UTF-8", text=b"x = '\xff'", named=ALL),
]  # fmt: skip
HOOKS = [
    *(in_hook(each, f"raise {each}") for each in ("KeyboardInterrupt", "SystemExit(0)", "BaseException", "KeyError('x')")),
    *(in_hook(f"returns {each}", f"return {each}") for each in (
        "None", "7", "'ab'", "[Mine]", "[None]", "{}", "(each for each in [1])", "iter(int, 1)",
    )),
    in_hook("list that cannot be iterated", "class L(list):\n    def __iter__(self): raise SystemExit\nreturn L([1])"),
    in_hook("its repr raises", "class L:\n    def __repr__(self): raise KeyboardInterrupt\nreturn [L()]"),
    in_hook("its repr hangs", "class L:\n    def __repr__(self): time.sleep(60)\nreturn [L()]"),
    in_hook("endless list", "class L(list):\n    def __iter__(self): return iter(lambda: Component('x', spec=Mine, summary='', examples=(Mine(),)), 1)\nreturn L()"),
    Kind(name="hook: misspelt", text=HEAD + SPEC + HOOK.replace("crt_components", "crt_componets"), named=ALL),
    Kind(name="hook: an argument", text=HEAD + SPEC + HOOK.replace("crt_components()", "crt_components(colour)"), named=ALL),
    *(in_hook(each, each, "crt_commands", named=COMMANDED) for each in (
        "raise KeyboardInterrupt", "raise SystemExit(0)", "return 7", "return [7]", "return [click.Command(None)]",
        "return [click.Command(3)]", "time.sleep(60)", "return [click.Command('list')]",
        "class C(click.Command):\n    def get_short_help_str(self, limit=45): raise SystemExit(0)\nreturn [C('mine')]",
    )),
    in_hook("another's command", "return [click.Command('kernels')]", "crt_commands", named=COMMANDED, gone=("kernels",)),
]  # fmt: skip
HANGS = [
    at_import("busy", "while True: pass"),
    at_import("catches Exception", "while True:\n    try: time.sleep(1)\n    except Exception: pass"),
    at_import("catches one BaseException", "try: time.sleep(60)\nexcept BaseException: time.sleep(60)"),
    at_import("waits for a thread", "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nthreading.enumerate()[-1].join()"),
    at_import("waits for a process", "subprocess.run(['sleep', '5'])"),
    at_import("waits for a lock", "lock = threading.Lock(); lock.acquire(); lock.acquire()"),
    at_import("reads a pipe", "os.read(os.pipe()[0], 1)"),
    in_hook("sleeps", "time.sleep(60)"),
]  # fmt: skip
PRINTS = [
    harmless("prints", "print('hello')\nsys.stdout.write('more')"),
    harmless("bytes", "sys.stdout.buffer.write(b'hello')"),
    harmless("prints to the original", "print('hello', file=sys.__stdout__)"),
    harmless("a process prints", "subprocess.run(['echo', 'hello'])"),
    harmless("C prints", "import ctypes; c = ctypes.CDLL(None); c.puts(b'hello')"),
    harmless("prints at the end", "atexit.register(print, 'bye')"),
    harmless(
        "prints on", "def on():\n    while True: print('hello')\nthreading.Thread(target=on, daemon=True).start()"
    ),
    harmless(
        "writes on",
        "def on():\n    while True: os.write(1, b'hello'); time.sleep(0.001)\nthreading.Thread(target=on, daemon=True).start()",
    ),
    harmless(
        "prints later",
        "def later():\n    time.sleep(0.5); print('hello'); os.write(1, b'hello')\nthreading.Thread(target=later).start()",
    ),
    harmless("a process prints later", "subprocess.Popen(['sh', '-c', 'sleep 0.4; echo hello'])"),
    harmless("warns", "import warnings; warnings.warn('hello')"),
    harmless("logs", "import logging; logging.basicConfig(stream=sys.stdout, level=1); logging.info('hello')"),
    harmless("forks", "os.fork()"),
]
STATE = [
    *(harmless(each, each) for each in (
        "sys.stdout = None", "sys.stderr = None", "sys.stdout = open(os.devnull, 'w')", "sys.stdout.close()", "sys.stderr.close()",
        "sys.stdout.detach()", "sys.__stdout__.close()", "sys.__stderr__.close()", "os.close(0)", "os.close(1)", "os.close(2)",
        "os.dup2(os.open(os.devnull, os.O_RDWR), 1)", "sys.stdout.reconfigure(encoding='utf-16')", "os.chdir('/')",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)", "signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.alarm(1)",
        "signal.signal(signal.SIGTERM, print)", "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})",
        "sys.setrecursionlimit(80)", "import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')",
        "import warnings; warnings.simplefilter('error')", "import logging; logging.disable(50); logging.raiseExceptions = True",
        "attrs.validators.set_disabled(True)", "import gc; gc.disable()", "sys.excepthook = None",
    )),
    harmless("traces", "def trace(*_): raise RuntimeError('traced')\nsys.settrace(trace)"),
    harmless("a daemon", "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"),
    harmless("a thread exits", "threading.Thread(target=sys.exit).start()"),
]  # fmt: skip
NAMES = [
    attrs.evolve(of_component("clash with a neighbour", "Component('lucky', spec=Mine, summary='', examples=(Mine(),))"), gone=("lucky",)),
    Kind(name="component: another's spec", text=HEAD + "from crt_basics.bottlenecks.specs import FSQ as Mine\n" + HOOK.replace("Mine()", "Mine(levels=(3,))"), gone=("fsq",), named=ASKED),
    Kind(name="component: all of another's", text="from crt_basics.plugin import crt_components", named=ASKED),
    of_component("twice", "*[Component('x', spec=Mine, summary='', examples=(Mine(),))] * 2"),
    of_metadata("the name of another plugin", entry="[crtcore]\nbasics = unlucky_plugin\n", works=True, named=()),
    of_metadata("the same entry twice", entry=ENTRY + "unlucky2 = unlucky_plugin\n", works=True, named=ASKED),
]  # fmt: skip
BROKEN_METADATA = [
    of_metadata("empty", metadata="", source=UNNAMED),
    of_metadata("no name", metadata="Metadata-Version: 2.1\nVersion: 3.1\n", source=UNNAMED),
    of_metadata("no version", metadata="Metadata-Version: 2.1\nName: unlucky-plugin\n", source=UNNAMED),
    of_metadata("name of many lines", metadata="Name: unlucky-plugin\n \x1b[2Jmore\nVersion: 3.1\n", source="unlucky-plugin"),
    of_metadata("not UTF-8", metadata=b"Name: \xff\nVersion: 3.1\n", source=""),
    of_metadata("no section", entry="unlucky = unlucky_plugin\n", named=()),
    of_metadata("entry points not UTF-8", entry=b"[crtcore]\nunl\xffucky = unlucky_plugin\n"),
    *(of_metadata(f"value {value!r}", entry=f"[crtcore]\nunlucky = {value}\n") for value in (
        "", "no module!", ":", "unlucky_plugin:", "unlucky_plugin:nothing", ".", "nowhere.plugin", "unlucky_plugin:a:b", "..x", "1",
    )),
    of_metadata("nothing to do with plugins", entry="[crtcore]\nunlucky = json:dumps\n", named=()),
    of_metadata("two versions", twin="2.0", source="unlucky-plugin"),
]  # fmt: skip
SPECS = [
    of_field("NaN", "x: float = float('nan')", ("schema", "own")),
    of_field("a type without JSON", "x: Callable = print", ("schema", "own")),
    of_field("an object", "x: object = attrs.field(factory=object)", ("own",)),
    of_field("a list", "x: list = attrs.field(factory=list)", ()),
    of_field("annotation that hangs", "x: '(lambda: __import__(\"time\").sleep(60))()' = 1"),
    of_field("annotation that exits", "x: '__import__(\"sys\").exit(0)' = 1"),
    of_field("default that exits", "x: int = attrs.field(factory=sys.exit)", ASKED),
    of_field("validator that exits", "x: int = attrs.field(default=1, validator=lambda *_: sys.exit(0))", ASKED),
    of_field("a property that raises", "@property\n    def implementation(self): raise KeyboardInterrupt", ()),
    of_field("a field that raises", "x: int = 1\n    def __getattribute__(self, name): raise SystemExit(0)", ("own",)),
    of_field("repr raises", "def __repr__(self): raise SystemExit(0)", ()),
    of_field("eq raises", "def __eq__(self, other): raise SystemExit(0)\n    __hash__ = None", ()),
    of_field("kind unknown", "kind = 'colour'", ASKED),
    of_field("kind unhashable", "kind = []", ASKED),
    of_field("kind missing", "kind = None", ASKED),
    of_field("no text", "__doc__ = 7", ()),
    of_spec("not attrs", SPEC.replace("@attrs.frozen(kw_only=True)", "").replace("    def build", "    x: int = 1\n    def build"), ASKED),
    of_spec("no Spec", SPEC.replace("BottleneckSpec", ""), ASKED),
    of_spec("a metaclass", SPEC.replace("BottleneckSpec", "BottleneckSpec, metaclass=type('M', (type,), {'__hash__': None})"), ASKED),
    of_spec("__init_subclass__", SPEC.replace("BottleneckSpec", "Base").replace("@attrs", "class Base(BottleneckSpec):\n    def __init_subclass__(cls): pass\n@attrs"), ()),
    of_spec("__init_subclass__ raises", SPEC.replace("BottleneckSpec", "Base").replace("@attrs", "class Base(BottleneckSpec):\n    def __init_subclass__(cls): raise SystemExit\n@attrs"), ALL),
    of_spec("experiment without roles", SPEC.replace("BottleneckSpec", "ExperimentSpec"), ASKED),
    of_spec("prior with an odd mark", SPEC.replace("BottleneckSpec", "PriorSpec").replace("    def build", "    pretrained = property(lambda self: 1 / 0)\n    def build"), ()),
]  # fmt: skip
COMPONENTS = [
    of_component(name, f"Component({arguments})") for name, arguments in {
        "name is a number": "7, spec=Mine, summary='', examples=(Mine(),)",
        "name is None": "None, spec=Mine, summary='', examples=(Mine(),)",
        "name is odd": "'My Name', spec=Mine, summary='', examples=(Mine(),)",
        "name of another type": "type('S', (str,), {'__hash__': None})('x'), spec=Mine, summary='', examples=(Mine(),)",
        "summary is None": "'x', spec=Mine, summary=None, examples=(Mine(),)",
        "summary is a number": "'x', spec=Mine, summary=3, examples=(Mine(),)",
        "spec is an instance": "'x', spec=Mine(), summary='', examples=(Mine(),)",
        "spec is a number": "'x', spec=3, summary='', examples=(3,)",
        "no examples": "'x', spec=Mine, summary='', examples=()",
        "examples of a generator": "'x', spec=Mine, summary='', examples=(each for each in [Mine()])",
        "examples of another type": "'x', spec=Mine, summary='', examples=(3,)",
        "departs is a list": "'x', spec=Mine, summary='', examples=(Mine(),), departs=[3]",
        "the base of its kind": "'x', spec=BottleneckSpec, summary='', examples=(BottleneckSpec(),)",
    }.items()
]  # fmt: skip
KINDS = [
    *FIRST, *RAISED, *HOOKS, *HANGS, *PRINTS, *STATE, *NAMES, *BROKEN_METADATA, *SPECS, *COMPONENTS,
]  # fmt: skip

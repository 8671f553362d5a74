"""TOML files with `extends`, to one document that knows where each value was written."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import tomli

from crtcore.compose.positions import Scanner
from crtcore.errors import Key, Problem, SpecError, dotted

LARGEST = 1 << 18
"""Bytes of the largest spec that is read: a file with all that it extends."""
FILES = 20
"""Files of the longest chain, each of which extends the next."""
DEEPEST = 50
"""Levels of tables and arrays inside one another that are read."""
LONGEST = 4096
"""Characters of the longest string and key that are read."""
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


@attrs.frozen
class Document:
    """Values, and where each of them was written."""

    values: dict[str, Any]
    origins: dict[Key, str]
    swapped: set[Key] = attrs.field(factory=set, eq=False)
    """Tables whose `use` was changed by something laid on them."""

    def where(self, path: Key) -> str:
        """Where the value at `path`, or the nearest thing around it, was written."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
        return ""

    def put(self, path: Key, value: Any, origin: str) -> None:
        """Sets the value at `path`, making tables on the way; a `use` that changes empties its table first.

        Raises: LookupError if the path leads through something that is no table, to no entry of an array, or too deep.
        """
        if len(path) > DEEPEST:
            raise LookupError(_TOO_DEEP)
        inside: Any = self.values
        for depth, step in enumerate(path):
            here, last = path[: depth + 1], depth == len(path) - 1
            if isinstance(inside, list):
                if not isinstance(step, int) or step >= len(inside):
                    raise LookupError(f"{dotted(path[:depth])} has {len(inside)} entries, and none is called {step!r}")
            elif not isinstance(inside, dict):
                raise LookupError(f"{dotted(path[:depth])} is no table")
            elif step not in inside and not last:
                if any(isinstance(later, int) for later in path[depth + 1 :]):
                    raise LookupError(f"there is no {dotted(here)}, and so no entry of it")
                inside[step] = {}
                self.origins[here] = origin
            if not last:
                inside = inside[step]
        swaps = path[-1] == "use" and len(path) > 1 and inside.get("use", value) != value
        old = inside if swaps else (inside if isinstance(inside, dict) else dict(enumerate(inside))).get(step)
        for known, _ in entries(old, path[:-1] if swaps else path):
            self.origins.pop(known, None)
        if swaps:
            inside.clear()
            self.swapped.add(path[:-1])
            self.origins[path[:-1]] = origin
        inside[step] = copy.deepcopy(value)
        self.origins[path] = origin


def undotted(text: str) -> Key:
    """The path that `text` writes; every field and table has a name, so a number is the index of an entry."""
    return tuple(int(step) if _INDEX.fullmatch(step) else step for step in text.split("."))


def laid(path: Key) -> tuple[int, bool]:
    """By what changes are sorted: tables before what is inside them, and `use` before its component's fields."""
    return len(path), path[-1] != "use"


def read(path: Path, within: tuple[Path, ...] = (), asked: str = "", left: int = LARGEST) -> Document:
    """The document in a file, merged over the one it `extends`; `asked` is where the file itself was asked for.

    Raises: SpecError if a file is missing, no regular file, unreadable, beyond a limit, no TOML, or extends itself.
    """
    text = _text(path, asked, left)
    document = parse(text, str(path))
    base = document.values.pop("extends", None)
    if base is None:
        return document
    where = document.where(("extends",))
    if not isinstance(base, str) or "\0" in base:
        raise SpecError([Problem(where, ("extends",), f"expected a file name, got {base!r}")])
    chain = (*within, path)
    if any(os.path.realpath(path.parent / base) == os.path.realpath(seen) for seen in chain):
        names = " -> ".join(map(str, (*chain, path.parent / base)))
        raise SpecError([Problem(where, ("extends",), f"the files extend each other in a circle: {names}")])
    if len(chain) == FILES:
        raise SpecError([Problem(where, ("extends",), f"expected at most {FILES} files in a chain, got more")])
    return merged(read(path.parent / base, chain, where, left - len(text.encode())), document)


def _text(path: Path, asked: str, left: int) -> str:
    try:
        if not (path.is_file() or path.is_dir()) and path.exists():  # a pipe without a writer blocks, a device may act
            raise OSError(0, "it is no regular file")
        with path.open("rb") as file:
            raw = file.read(left + 1)
        if len(raw) > left:
            message = f"expected a file of at most {LARGEST} bytes with all that it extends, got a larger one"
            raise SpecError([Problem(str(path), (), message)])
        return raw.decode().replace("\r\n", "\n")
    except OSError as error:
        message = f"cannot read the file {path}: {error.strerror}"
        raise SpecError([Problem(asked, ("extends",) if asked else (), message)]) from None
    except UnicodeDecodeError as error:
        where = f"{path}:{raw.count(10, 0, error.start) + 1}"
        raise SpecError([Problem(where, (), f"expected UTF-8, got the byte {raw[error.start]:#04x}")]) from None


def parse(text: str, source: str) -> Document:
    """The document in `text`, called `source`.

    Raises: SpecError with the line of the first thing that is no TOML.
    """
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        where = f"{source}:{error.lineno}" if error.lineno else source
        raise SpecError([Problem(where, (), f"not TOML: {error.msg[0].lower()}{error.msg[1:]}")]) from None
    except RecursionError:
        raise SpecError([Problem(source, (), _TOO_DEEP)]) from None
    except ValueError:  # Python's own bound on the digits of a number
        raise SpecError([Problem(source, (), _TOO_BIG)]) from None
    wrong = list(beyond(values))
    if any(message == _TOO_DEEP for _, message in wrong):
        raise SpecError([Problem(source, (), _TOO_DEEP)])
    lines = Scanner(text).lines()
    document = Document(values, {(): source} | {path: f"{source}:{line}" for path, line in lines.items()})
    if wrong:
        raise SpecError(Problem(document.where(path), path, message) for path, message in wrong)
    return document


_TOO_DEEP = f"expected at most {DEEPEST} levels of tables and arrays, got more"
_TOO_BIG = "expected an integer of 64 bits, got a larger one"


_TOO_LONG = f"expected a text of at most {LONGEST} characters, got a longer one"


def entries(values: Any, path: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Everything in values, which stand at `path`, down to one level below the deepest."""
    left: list[tuple[Key, Any]] = [(path, values)]
    while left:
        path, value = left.pop()
        yield path, value
        if isinstance(value, dict | list) and len(path) <= DEEPEST:
            inside = value.items() if isinstance(value, dict) else enumerate(value)
            left += [((*path, step), entry) for step, entry in inside]


def beyond(values: Any, at: Key = ()) -> Iterator[tuple[Key, str]]:
    """Path and message of everything that TOML does not promise to hold, or that is beyond reason."""
    for path, value in entries(values, at):
        if isinstance(value, dict | list) and len(path) > DEEPEST:
            yield path, _TOO_DEEP
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield path, _TOO_BIG
        key = path[-1] if path else ""
        if (isinstance(value, str) and len(value) > LONGEST) or (isinstance(key, str) and len(key) > LONGEST):
            yield path, _TOO_LONG


def merged(base: Document, over: Document) -> Document:
    """`over` laid on `base`: tables of one component merge, everything else is replaced whole."""
    values, origins, swapped = copy.deepcopy(base.values), dict(base.origins), base.swapped | over.swapped

    def lay(under: dict[str, Any], top: Mapping[str, Any], path: Key) -> None:
        for name, value in top.items():
            here, old = (*path, name), under.get(name)
            if isinstance(value, dict) and isinstance(old, dict):
                if (old | value).get("use") == (value | old).get("use"):  # the same component, or just one is named
                    lay(old, value, here)
                    continue
                swapped.add(here)
            for known, _ in entries(old, here):
                origins.pop(known, None)
            under[name] = copy.deepcopy(value)

    lay(values, over.values, ())
    return Document(values, origins | over.origins, swapped)

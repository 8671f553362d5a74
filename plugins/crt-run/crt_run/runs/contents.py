"""The contents of files that a plan names: they belong to its identity, so that replaced files are another run."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs

from crt_run.runs import checkpoint
from crt_run.runs.records import read_json, seal
from crt_run.runs.run import alone
from crtcore.compose.study import Study
from crtcore.errors import RunError
from crtcore.kinds import Plan
from crtcore.spec import names_files

KNOWN = "contents.json"
"""The file, in the folder of runs, of digests by path."""
AGAIN = 1_000
"""How often links may lead to folders that were read before; two links in each of n folders lead to 2^n paths."""
SETTLED = 2.0
"""Seconds after a change before which a digest is not kept: a file may change again within its clock's tick."""


def identified(study: Study, runs: Path) -> Study:
    """A study whose plans' identities hold digests in place of paths of files and folders.

    Raises: RunError if one does not exist or cannot be read.
    """
    points = tuple(point._replace(plan=of_plan(point.plan, runs)) for point in study.points)
    return attrs.evolve(study, points=points)


def of_plan(plan: Plan, runs: Path) -> Plan:
    """A plan whose identity holds digests in place of paths and runs; the plan itself if it names none.

    Its parts have the folders of the runs that they refer to.
    Raises: RunError if a path or a run does not exist or cannot be read.
    """
    identity = deepcopy(dict(plan.identity))
    parts = {role: located(part, runs) for role, part in plan.parts.items()}
    for role, part in {"experiment": plan.experiment, **parts}.items():
        if role in identity:
            identity[role] = _identified(part, identity[role], role, runs)
    return plan if identity == plan.identity else attrs.evolve(plan, identity=identity, parts=parts)


@runtime_checkable
class RefersToRun(Protocol):
    """A spec whose field `run` is that of a finished run, on the weights of which results depend."""

    def located(self, runs: Path) -> Any:
        """The same with the folder of the run, which is looked for in `runs`.

        Raises: RunError if there is no such run.
        """

    def weights(self) -> Path:
        """The folder of the weights.

        Raises: RunError if they are not there.
        """


def with_inner(part: Any) -> Iterator[Any]:
    """A part, and the parts in its fields."""
    yield part
    for field in attrs.fields(type(part)):
        value = getattr(part, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            if attrs.has(type(each)):
                yield from with_inner(each)


def own_paths(part: Any) -> list[str]:
    """The paths in a part's own fields."""
    return [path for field in attrs.fields(type(part)) for path in names_files(field, getattr(part, field.name))]


def located(part: Any, runs: Path) -> Any:
    """A part, or parts, with the folders of the runs that they refer to, which are looked for in `runs`.

    Raises: RunError if there is no such run.
    """
    if isinstance(part, tuple):
        return tuple(located(each, runs) for each in part)
    if not attrs.has(type(part)):
        return part
    values = {field.name: getattr(part, field.name) for field in attrs.fields(type(part))}
    changed = {name: new for name, old in values.items() if (new := located(old, runs)) != old}
    part = attrs.evolve(part, **changed) if changed else part
    return part.located(runs) if isinstance(part, RefersToRun) else part


def _identified(part: Any, table: Any, where: str, runs: Path) -> Any:
    """The plain values of a part, or parts, with digests in place of paths."""
    if isinstance(part, tuple):
        pairs = enumerate(zip(part, table, strict=True))
        return [_identified(each, values, f"{where}.{index}", runs) for index, (each, values) in pairs]
    if not attrs.has(type(part)):
        return table
    if isinstance(part, RefersToRun):
        table["run"] = digest_of(f"{where}.run", str(part.weights()), runs)
    for field in attrs.fields(type(part)):
        value = getattr(part, field.name)
        if field.name not in table:
            continue
        here = f"{where}.{field.name}"
        paths = names_files(field, value)
        if isinstance(value, tuple) and paths:
            table[field.name] = [digest_of(here, each, runs) if each in paths else each for each in value]
        elif paths:
            table[field.name] = digest_of(here, value, runs)
        else:
            table[field.name] = _identified(value, table[field.name], here, runs)
    return table


def digest_of(where: str, path: str, runs: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder.

    A digest is kept in the folder of runs, and used while no name, size or time of a file changes.
    Raises: RunError if the path does not exist or cannot be read.
    """
    top = Path(path).absolute()
    try:
        stamps = list(_stamps(top))
        if not stamps:
            raise FileNotFoundError
        stamp = hashlib.sha256(json.dumps(stamps).encode(errors="surrogateescape")).hexdigest()
        known = _known(runs)
        if known.get(str(top), [None])[0] == stamp:
            return str(known[str(top)][1])
        whole = hashlib.sha256()
        for name, size, _ in stamps:
            whole.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
            with (top / name if name else top).open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        inside = "" if error.filename in (None, str(top)) else f"{error.filename}: "
        is_gone = isinstance(error, FileNotFoundError) and not inside
        got = "none" if is_gone else f"one that cannot be read ({inside}{error.strerror})"
        raise RunError(f"{where}: expected a file or folder {path!r}, got {got}") from None
    made = f"sha256:{whole.hexdigest()}"
    if max(changed for *_, changed in stamps) < (time.time() - SETTLED) * 1e9:
        with alone(runs / KNOWN):
            checkpoint.tidy(runs)
            seal(runs / KNOWN, {"contents": {**_known(runs), str(top): [stamp, made]}})
    return made


def _stamps(top: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change, in nanoseconds, of a file or of all files in a folder, sorted; links are followed.

    Raises: OSError if something is neither a file nor a folder, or a link to a folder on its own path, or if links lead
    to folders more than `AGAIN` times.
    """
    about = top.stat()
    if not stat.S_ISDIR(about.st_mode):
        yield _stamp("", top, about)
        return
    yield from _inside(top, "", (_identity(about),), set(), [])


def _inside(
    top: Path, name: str, around: tuple[tuple[int, int], ...], read: set[tuple[int, int]], again: list[str]
) -> Iterator[tuple[str, int, int]]:
    """Those of a folder below `top`, whose own and surrounding folders are `around`: files first, then folders.

    `read` has the folders that were read, `again` the names of those that were read before by other names.
    """
    names = sorted(os.listdir(top / name))  # noqa: PTH208  # a name that is no Unicode sorts too
    abouts = {each: (top / name / each).stat() for each in names}
    folders = [each for each in names if stat.S_ISDIR(abouts[each].st_mode)]
    for each in names:
        if each not in folders:
            yield _stamp(f"{name}{each}", top / name / each, abouts[each])
    for each in folders:
        if (identity := _identity(abouts[each])) in around:
            raise OSError(errno.ELOOP, "a link to a folder above it; remove the link", str(top / name / each))
        if identity in read:
            again.append(each)
        read.add(identity)
        if len(again) > AGAIN:
            why = f"one of more than {AGAIN} links to folders that were read by other names; remove links"
            raise OSError(errno.ELOOP, why, str(top / name / each))
        yield from _inside(top, f"{name}{each}/", (*around, identity), read, again)


def _stamp(name: str, path: Path, about: os.stat_result) -> tuple[str, int, int]:
    """The stamp of a regular file.

    Raises: OSError of anything else, which may wait for ever where it is opened.
    """
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "no regular file; remove it", str(path))
    return name, about.st_size, about.st_mtime_ns


def _identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def _known(runs: Path) -> Mapping[str, Any]:
    """The digests that were kept; none if the file is missing or damaged."""
    try:
        known: Mapping[str, Any] = read_json(runs / KNOWN, "contents")["contents"]
    except RunError:
        return {}
    return known

"""`crt list`: what is installed."""

from __future__ import annotations

from crtcore.cli.console import answer, columns, warn
from crtcore.errors import in_one_line, nearest
from crtcore.kinds import KINDS
from crtcore.registry import NotInstalled, Registry


def listing(registry: Registry, kind: str | None, *, as_json: bool) -> None:
    """Prints every component of `kind`, or of all kinds.

    Raises: NotInstalled if there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise NotInstalled(f"no kind is called {kind!r}{nearest(kind, list(KINDS))}")
    rows = [
        {"kind": component.kind, "name": component.name, "plugin": plugin, "summary": component.summary}
        for plugin, component in registry
        if kind in (None, component.kind)
    ]
    if as_json:
        answer({"components": rows, "broken": {name: in_one_line(error) for name, error in registry.broken.items()}})
        return
    columns([("kind", "name", "from", "what it is"), *(tuple(row.values()) for row in rows)])
    warn(registry)

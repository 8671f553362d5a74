"""What commands of packages share beside the front's own: what must be installed."""

from __future__ import annotations

from crtcore.errors import RunError


def needs(extra: str, *modules: str) -> None:
    """Raises: RunError with what to install if a module is missing."""
    import importlib.util

    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise RunError(f"this command needs {', '.join(missing)}: pip install 'crtcore[{extra}]'")

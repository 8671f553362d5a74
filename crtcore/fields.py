"""What `help()` shows of a spec's fields: the text under each, its type, default and range."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterable
from typing import Any

import attrs


class FieldTexts(dict[str, str]):
    """The `__slots__` of a spec, each with its text, which is made when it is asked for: that reads the source."""

    def __init__(self, spec: type[Any], slots: Iterable[str]) -> None:
        super().__init__(dict.fromkeys(slots, ""))
        self._spec = spec

    def __getitem__(self, name: str) -> str:
        field = attrs.fields_dict(self._spec)[name]
        facts = [str(getattr(field.type, "__name__", field.type))]
        facts += ["required" if field.default is attrs.NOTHING else f"default {field.default!r}"]
        for validator in getattr(field.validator, "_validators", (field.validator,)):
            if isinstance(check := getattr(validator, "member_validator", validator), types.FunctionType):
                facts += filter(None, [check.__doc__])
        return f"{_written(self._spec).get(name, '')}\n{'; '.join(facts)}"


def _written(spec: type[Any]) -> dict[str, str]:
    """Field to the string under it; empty for a class without source, such as one typed at a prompt."""
    import ast
    import inspect
    from itertools import pairwise
    from textwrap import dedent

    texts: dict[str, str] = {}
    with contextlib.suppress(OSError, TypeError, SyntaxError):
        for pair in pairwise(getattr(ast.parse(dedent(inspect.getsource(spec))).body[0], "body", ())):
            match pair:
                case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text)))):
                    texts[name] = inspect.cleandoc(text)
    return texts

"""Docstrings as paragraphs, and the strings that stand under fields of classes."""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
import re
import sys
from typing import Any

import attrs


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each in one line; its sources, units, errors and costs are paragraphs too."""
    parts = re.split(r"\n\s*\n|\n(?=(?:Source|Units|Raises|Cost): )", text.strip())
    return [" ".join(part.split()) for part in parts]


def field_texts(table: type[Any]) -> dict[str, str]:
    """Field to the string written under it, base classes included; class variables count as fields."""
    texts: dict[str, str] = {}
    for owner in reversed(table.__mro__):
        if attrs.has(owner):
            module = sys.modules[owner.__module__]
            source = linecache.getlines(getattr(module, "__file__", None) or "", vars(module))
            texts |= _texts("".join(source)).get(owner.__qualname__, {})
    return texts


@functools.lru_cache(maxsize=256)
def _texts(source: str) -> dict[str, dict[str, str]]:
    """Class to field to the string written under it; code that came without its text has none."""
    return {
        each.name: {
            field.target.id: " ".join(text.value.value.split())
            for field, text in itertools.pairwise(each.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for each in ast.parse(source).body
        if isinstance(each, ast.ClassDef)
    }

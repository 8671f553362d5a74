"""Every public name has a docstring, and those of functions name shapes and errors, where there are any."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [ROOT / "crtcore", *sorted(ROOT.glob("plugins/crt-*/crt_*"))]
SETTINGS = {"Optimizer", "Training", "Sampling", "Limits"}
ANY_SHAPE = {"data", "sample", "value", "expected", "tensor", "like", "weight"}
"""Arguments that may have any shape: data of any form, and what is only looked at or passed on."""
INSIDE_OF_LAWS = "plugins/crt-laws/crt_laws/laws"
"""Laws and offenders, which the kit alone calls."""
CHECKS = ("check_", "fitting")
"""How functions begin that look at shapes: what they are given may have any."""
NOT_ERRORS = {"Failed", "Stopped", "NotApplicable", "click.UsageError", "SystemExit"}
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Name(NamedTuple):
    """A public name, and where it is."""

    place: str
    node: ast.AST
    owner: ast.ClassDef | None
    doc: str | None


def public(name: str) -> bool:
    """Whether others may use a name."""
    return not name.startswith("_")


def modules() -> Iterator[tuple[str, ast.Module]]:
    """The public modules of all packages."""
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            if all(public(part) or part == "__init__" for part in parts):
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def names_in(place: str, tree: ast.Module) -> Iterator[Name]:
    """The module, and its public classes, functions, methods and annotated fields."""
    yield Name(place, tree, None, ast.get_docstring(tree))
    for node in tree.body:
        if isinstance(node, Function) and public(node.name):
            yield Name(f"{place}:{node.lineno} {node.name}", node, None, ast.get_docstring(node))
        if isinstance(node, ast.ClassDef) and public(node.name):
            yield Name(f"{place}:{node.lineno} {node.name}", node, None, ast.get_docstring(node))
            yield from members(place, node)


def members(place: str, owner: ast.ClassDef) -> Iterator[Name]:
    """The public methods of a class, and its fields, whose docstrings are the texts under them."""
    overridden = set()
    for node, after in zip(owner.body, [*owner.body[1:], None], strict=True):
        if isinstance(node, Function) and public(node.name) and not _overloaded(node):
            overridden.add(node.name)
            yield Name(f"{place}:{node.lineno} {owner.name}.{node.name}", node, owner, ast.get_docstring(node))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and public(node.target.id):
            text = after.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            doc = text.value if text and isinstance(text.value, str) else None
            yield Name(f"{place}:{node.lineno} {owner.name}.{node.target.id}", node, owner, doc)


def _overloaded(node: Function) -> bool:
    return any("overload" in ast.unparse(each) or "setter" in ast.unparse(each) for each in node.decorator_list)


EVERY = [name for place, tree in modules() for name in names_in(place, tree)]
FUNCTIONS = [name for name in EVERY if isinstance(name.node, Function)]


def raised(function: Function) -> set[str]:
    """The errors that the body of a function raises by itself, not inside another function."""
    errors: set[str] = set()
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, Function | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc:
            errors.add(ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc))
        left += ast.iter_child_nodes(node)
    return errors


def is_command(function: Function) -> bool:
    """Whether click shows the docstring to the user, who sees errors as messages."""
    return any("command" in ast.unparse(each) for each in function.decorator_list)


def tensors_without_shapes(function: Function) -> list[str]:
    """Arguments and results that are annotated as a bare tensor."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotations = [(each.arg, each.annotation) for each in arguments] + [("return", function.returns)]
    bare = [name for name, each in annotations if each is not None and ast.unparse(each).strip("'\"") == "Tensor"]
    if function.name.startswith(CHECKS):
        return []
    same = "return" in bare and ANY_SHAPE.intersection(bare)  # what goes in comes out
    return [name for name in bare if not (same and name == "return")]


def test_every_module_class_function_and_method_has_a_docstring() -> None:
    assert len(FUNCTIONS) > 1000
    assert [name.place for name in EVERY if not name.doc and not isinstance(name.node, ast.AnnAssign)] == []


def test_every_field_of_a_spec_has_a_text() -> None:
    """A field that a spec file can set: `crt show` prints the text."""
    fields = [name for name in EVERY if isinstance(name.node, ast.AnnAssign) and name.owner and is_spec(name.owner)]
    settable = [name for name in fields if "ClassVar" not in ast.unparse(name.node)]

    assert len(settable) > 100
    assert [name.place for name in settable if not name.doc] == []


def is_spec(owner: ast.ClassDef) -> bool:
    """Whether a class is the spec of a component, by its base."""
    return any(ast.unparse(base).endswith("Spec") for base in owner.bases) or owner.name in SETTINGS


def test_errors_that_a_function_raises_are_in_its_docstring() -> None:
    silent = [
        (name.place, raised(name.node))
        for name in FUNCTIONS
        if isinstance(name.node, Function) and not is_command(name.node) and not name.place.startswith(INSIDE_OF_LAWS)
        if raised(name.node) - NOT_ERRORS and "Raises:" not in (name.doc or "")
    ]
    assert silent == []


def test_tensors_have_shapes() -> None:
    bare = [
        (name.place, names)
        for name in FUNCTIONS
        if isinstance(name.node, Function) and not name.place.startswith(INSIDE_OF_LAWS)
        if (names := [each for each in tensors_without_shapes(name.node) if each not in ANY_SHAPE])
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("text", "errors", "bare"),
    [
        ("def f(x: Tensor) -> None:\n    raise ValueError('x')", {"ValueError"}, ["x"]),
        ("def f(x: Float[Tensor, 'b']) -> Tensor:\n    return x", set(), ["return"]),
        ("def f() -> None:\n    def g() -> None:\n        raise ValueError\n    g()", set(), []),
    ],
)
def test_what_is_left_out_is_seen(text: str, errors: set[str], bare: list[str]) -> None:
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.FunctionDef)

    assert raised(function) == errors
    assert tensors_without_shapes(function) == bare
    assert [name.doc for name in names_in("f.py", ast.parse(text))] == [None, None]

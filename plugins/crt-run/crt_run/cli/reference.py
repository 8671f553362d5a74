"""The reference of spec files in Markdown: `crt schema --markdown`, which writes docs/spec-files.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from crt_run.cli.describe import component_shown, key_shown, kind_shown
from crt_run.cli.fields import inline
from crt_run.cli.language import KEYS
from crt_run.cli.texts import paragraphs
from crtcore.kinds import KINDS
from crtcore.registry import Registry

WIDE = 100
"""Characters of a line."""
HEAD = """# Spec files

A spec file is TOML: an experiment, the components that it is made of, and how its stages are
trained. `crt check SPEC` prints everything wrong with one, `crt run SPEC` runs it, and
`crt show NAME` prints the part of this page on a component or key. The page is made by

```
crt schema --markdown > docs/spec-files.md
```

and a test compares it with what is installed. Editors complete and check spec files by `crt schema`.
"""


def reference(registry: Registry) -> str:
    """The page, of all installed components."""
    parts = [*HEAD.splitlines(), "", "## Keys", ""]
    for key in KEYS:
        parts += [f"### `{key.name}`", "", *_entry(key_shown(key, registry), "" if key.commands else "toml")]
    parts += ["## Components", ""]
    for kind in KINDS:
        parts += [f"### Kind `{kind}`", "", *_wrapped(kind_shown(kind, registry)["text"]), ""]
        for plugin, component in registry:
            if component.kind == kind:
                shown = component_shown(registry, plugin, component)
                parts += [f"#### `{kind}` `{component.name}`", "", *_entry(shown, "toml")]
    return "\n".join(parts).rstrip() + "\n"


def _entry(shown: dict[str, Any], language: str) -> Iterator[str]:
    yield from _wrapped(shown["text"])
    yield ""
    for field in shown["fields"]:
        default = "required" if field["required"] else ""
        default = default if field["default"] is None else f"default `{inline(field['default'])}`"
        facts = field["type"], default, field["range"]
        text = f"* `{field['name']}`: {', '.join(filter(None, facts))}. {field['text']}".strip()
        yield from textwrap.wrap(text, WIDE, subsequent_indent="  ", break_on_hyphens=False)
    yield from [""] if shown["fields"] else []
    intro, *tables = shown["tables"] or [""]
    yield from [intro, ""] if intro else []
    for line in tables:
        yield from textwrap.wrap(f"* {_coded(line)}", WIDE, subsequent_indent="  ", break_on_hyphens=False)
    yield from [""] if shown["tables"] else []
    yield from (f"```{language}", *shown["snippet"].rstrip().splitlines(), "```", "")


def _coded(line: str) -> str:
    """A line on tables with their headers as code: brackets would be links."""
    head, colon, rest = line.partition(":") if ":" in line else line.partition(" in ")
    return f"`{head}`{colon}{rest}" if head.startswith("[") else line


def _wrapped(text: str) -> Iterator[str]:
    """Paragraphs, each wrapped."""
    for index, paragraph in enumerate(paragraphs(text)):
        yield from [""] if index else []
        yield from textwrap.wrap(paragraph, WIDE, break_on_hyphens=False, break_long_words=False)

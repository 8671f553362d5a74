"""The directive `laws`, with a kind: every law of the kind, in its own words, from the installed crt-laws."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from crt_laws import benches


class Laws(Directive):
    """A definition list of the laws of a kind."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The list."""
        items = [
            nodes.definition_list_item(
                "",
                nodes.term("", "", nodes.literal(text=law.name)),
                nodes.definition("", nodes.paragraph(text=law.statement.replace("`", ""))),
            )
            for law in benches()[self.arguments[0]].laws
        ]
        return [nodes.definition_list("", *items)]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("laws", Laws)
    return {"parallel_read_safe": True}

"""Writes prompts of three kinds about the documentation in Python's standard library, and others to distil a draft on.

    python bench/prompts/passages.py data/passages

No network and no model is needed; the texts are Python's, under its licence. The folder gets `rewrite.jsonl`,
`summarise.jsonl` and `instruct.jsonl`, whose lines have a `document`, a `request` and a `reference`, and
`draft.jsonl`, whose lines have a `prompt` for `crt distill`. A document is a module, or a topic of `help()`. A hash of
its name decides whether it is for drafts or for one of the three kinds: no document serves two of them, and no text.

The draft of `specs/figures/rsd-real.toml` is the only one that was trained, for a time that was fixed before:

    crt distill data/SmolLM2-135M-Instruct --out data/SmolLM2-draft --prompts data/passages/draft.jsonl --minutes 15

The requests stand for the data sets of Jeon et al. (2024), arXiv:2402.14160: rewriting a text for translating it,
summarising for XSum, whose summary is the first sentence too, and instructions for Dolly.
"""

from __future__ import annotations

import ast
import hashlib
import json
import pydoc_data.topics
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

KINDS = ("rewrite", "summarise", "instruct")
TEMPLATE = "<|im_start|>user\n{request}<|im_end|>\n<|im_start|>assistant\n"
"""The chat format of SmolLM2, without a system message."""
WORDS = range(30, 111)
"""Words of a passage."""
SENTENCE = range(5, 31)
"""Words of the sentence that a summary is compared with."""
DRAFTED = 8
"""Passages of a document for drafts at most."""
LEFT_OUT = {"test", "tests", "idlelib", "lib2to3", "site-packages", "__pycache__", "pydoc_data"}
ASKED = {
    "rewrite": (
        "Rewrite this text in plain words:\n\n{text}",
        "Say the same in other words, as you would to a beginner:\n\n{text}",
    ),
    "summarise": ("Summarise this text in one sentence:\n\n{text}", "What is the main point of this text?\n\n{text}"),
    "instruct": (
        "Explain what {name} is for in Python, and how to use it.",
        "Write a short introduction to {name} in Python for a colleague.",
        "Give three pieces of advice to someone who uses {name} in Python for the first time.",
    ),
}


class Passage(NamedTuple):
    """A paragraph of prose, and what it is about."""

    document: str
    name: str
    text: str


def digest(text: str) -> int:
    """A number that stands for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def prose(text: str) -> Iterator[str]:
    """Paragraphs of whole sentences, each in one line."""
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        letters = sum(each.isalpha() or each == " " for each in line)
        if (
            len(line.split()) in WORDS and line.endswith(".") and line[0].isupper() and letters > 0.85 * len(line)
            and not re.search(r">>>|::|\| |<\||^[*-]", line)
        ):  # fmt: skip
            yield line


def of_modules() -> Iterator[Passage]:
    """The passages in docstrings, module by module."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        if LEFT_OUT & set(parts) or module.startswith("_"):  # texts of private modules are in the public ones, too
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = module if isinstance(node, ast.Module) else f"{module}.{node.name}"
                if not name.rpartition(".")[2].startswith("_"):
                    yield from (Passage(module, f"`{name}`", text) for text in prose(ast.get_docstring(node) or ""))


def of_topics() -> Iterator[Passage]:
    """The passages in the topics of `help()`."""
    for topic, text in sorted(pydoc_data.topics.topics.items()):
        title = " ".join(text.strip().partition("\n")[0].split())
        plain = re.sub(r"\"(\w[^\"]*)\"|\*(\w[^*]*)\*", r"\1\2", text)
        yield from (Passage(f"topic {topic}", f'"{title}"', each) for each in prose(plain))


def asked(kind: str, passage: Passage) -> tuple[str, str] | None:
    """A request about a passage and the text that its answer is compared with; None if the passage has none."""
    text = reference = passage.text
    if kind == "summarise":
        first, _, text = passage.text.partition(". ")
        reference = f"{first}."
        if len(first.split()) not in SENTENCE or len(text.split()) < WORDS.start - SENTENCE.start:
            return None
    forms = ASKED[kind]
    return forms[digest(passage.text) % len(forms)].format(text=text, name=passage.name), reference


def purpose(document: str) -> str:
    """What a document is for; those for summaries are more, as not every text has one."""
    return ("draft", "summarise", *KINDS)[digest(document) % 5]


def lines(passages: Sequence[Passage]) -> dict[str, list[dict[str, str]]]:
    """The lines of each file; a document has one line of a kind, or a few for drafts."""
    made: dict[str, list[dict[str, str]]] = {kind: [] for kind in (*KINDS, "draft")}
    by_document: dict[str, list[Passage]] = {}
    for passage in sorted({each.text: each for each in passages}.values(), key=lambda each: digest(each.text)):
        by_document.setdefault(passage.document, []).append(passage)
    for document, own in sorted(by_document.items()):
        if (use := purpose(document)) == "draft":
            requests = [pair[0] for passage in own[:DRAFTED] for kind in KINDS if (pair := asked(kind, passage))]
            made[use] += [{"prompt": TEMPLATE.format(request=request)} for request in requests]
        elif pairs := [pair for passage in own if (pair := asked(use, passage))]:
            request, reference = pairs[0]
            made[use].append({"document": document, "request": request, "reference": reference})
    return made


def main(folder: Path) -> None:
    """Writes the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in lines([*of_modules(), *of_topics()]).items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in each)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        print(f"{name}.jsonl: {len(each)} lines, sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

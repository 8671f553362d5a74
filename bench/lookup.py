"""Ids a call of drafts by `lookup` and `suffix`, where the text that comes is known: renames, JSON, a copy; no model.

Usage: lookup.py
Texts are the sources of this repository, split into words and signs.
"""

from __future__ import annotations

import json
import re
import time
from itertools import product
from pathlib import Path

from crt_verify.lookup.drafting import Drafting
from crt_verify.lookup.suffixes import SuffixDrafting

ROOT = Path(__file__).parents[1]
DRAFTS = {"lookup": Drafting, "suffix": SuffixDrafting}
SHAPES = ((10, 10), (32, 32))
"""Drafted ids of a round, and of a path, at most."""
NAMES = ("candidate_total", "inner_value")
KEYWORDS = {"self", "return", "from", "import", "class", "None", "with", "else", "elif", "yield", "raise", "assert"}


def ids(text: str, known: dict[str, int]) -> list[int]:
    """The words and signs of a text as numbers."""
    return [known.setdefault(part, len(known)) for part in re.findall(r"\w+| +|\n|.", text)]


def written(drafts: str, prompt: str, text: str, nodes: int, depth: int) -> tuple[int, int, float]:
    """Ids of a text, the calls that a target which writes it takes, and the seconds of drafting."""
    known: dict[str, int] = {}
    drafting, target = DRAFTS[drafts](ids(prompt, known)), ids(text, known)
    at, calls, began = 0, 0, time.process_time()
    while at < len(target):
        tree = drafting.propose(nodes, depth)
        below = {(node.parent, node.path[-1]): index for index, node in enumerate(tree) if index}
        emitted: list[int] = []
        node = 0
        while node >= 0 and at + len(emitted) < len(target):
            emitted.append(target[at + len(emitted)])
            node = below.get((node, emitted[-1]), -1)
        drafting.observe(emitted)
        at, calls = at + len(emitted), calls + 1
    return len(target), calls, time.process_time() - began


def renamed(source: str) -> tuple[str, str]:
    """A prompt that asks for two new names in a source, and the answer."""
    words = set(re.findall(r"\b[a-z_]{4,}\b", source)) - KEYWORDS
    old = sorted(words, key=lambda word: (-len(re.findall(rf"\b{word}\b", source)), word))[: len(NAMES)]
    answer = source
    for word, new in zip(old, NAMES, strict=True):
        answer = re.sub(rf"\b{word}\b", new, answer)
    return f"Rename {', '.join(old)} to {', '.join(NAMES)}:\n{source}\n", answer


def cases() -> dict[str, list[tuple[str, str]]]:
    """Prompts and answers by kind."""
    given, family = ("Anna", "Bela", "Carl", "Dora", "Emil", "Fay"), ("Lund", "Moss", "Nagy", "Orr", "Penn", "Rau")
    cities = ("Oslo", "Bergen", "Turku", "Graz", "Porto", "Lyon")
    people = [
        {"name": f"{one} {two}", "age": 20 + 7 * index, "city": city}
        for index, (one, two, city) in enumerate(zip(given, family, cities, strict=True))
    ]
    table = "\n".join(",".join(map(str, person.values())) for person in people)
    pretty = json.dumps(people, indent=2)
    sources = [path.read_text()[:1200] for path in sorted((ROOT / "crtcore" / "kinds").glob("*.py"))]
    text = (ROOT / "README.md").read_text()[:1500]
    return {
        "rename": [renamed(source) for source in sources],
        "json": [
            (f"Indent this JSON:\n{json.dumps(people)}\n", pretty),
            (f"Turn this table into JSON:\nname,age,city\n{table}\n", pretty),
        ],
        "copy": [(f"Repeat this text:\n{text}\n", text)],
    }


def main() -> None:
    """Prints a table."""
    print(f"{'drafts':8}{'text':8}{'nodes':>7}{'ids':>8}{'calls':>8}{'ids a call':>12}{'ms a call':>11}")
    for name, (nodes, depth), (kind, pairs) in product(DRAFTS, SHAPES, cases().items()):
        sizes, calls, seconds = map(sum, zip(*(written(name, *pair, nodes, depth) for pair in pairs), strict=True))
        print(f"{name:8}{kind:8}{nodes:7}{sizes:8}{calls:8}{sizes / calls:12.2f}{1e3 * seconds / calls:11.2f}")


if __name__ == "__main__":
    main()

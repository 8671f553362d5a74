#!/bin/sh
# A JSON schema has two objects in a list. Each requires one property, whose type is integer in the first and string in
# the second. Guess what the grammar that xgrammar compiles of it allows:
#   a) [{"x":1},{"x":"a"}], which fits, whatever the property is named;
#   b) that, unless the property is named as an annotation of schemas is, such as title: then [{"x":1},{"x":2}], which
#      does not fit, and not the one that does.
# It is b. xgrammar looks up what it has read of a schema by the schema's text without `title`, `default`, `description`
# and some more, and leaves these out at every depth, names of properties and keys of data too. So the second schema is
# the first, without a warning; of two values of `const`, {"title":1} and {"title":2}, the second is the first as well.
# A schema in which `title` is a text in one place and an object in another has such a pair.
# Usage: sh findings/xgrammar-takes-two-schemas-for-one.sh; it installs what it pins in a temporary folder, about 1 GB
# with torch, and fails if xgrammar changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 xgrammar==0.2.8
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import json
from typing import Any

from xgrammar import Grammar
from xgrammar.testing import _is_grammar_accept_string as accepts


def objects(name: str, kind: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name], "additionalProperties": False}


def allowed(first: Any, second: Any, text: list[Any]) -> bool:
    schema = {"type": "array", "prefixItems": [first, second], "minItems": 2, "items": False}
    return accepts(Grammar.from_json_schema(json.dumps(schema)), json.dumps(text, separators=(",", ":")))


print("name         fits   does not fit")
for name in ("name", "heading", "title", "default", "description", "examples", "deprecated"):
    pair = objects(name, "integer"), objects(name, "string")
    fits, not_fits = (allowed(*pair, [{name: 1}, {name: second}]) for second in ("a", 2))
    print(f"{name:12} {fits!s:6} {not_fits}")
    kept = name in ("name", "heading")
    assert (fits, not_fits) == (kept, not kept), "xgrammar changed: this finding is out of date"

for name in ("name", "title"):
    constants = [{"const": {name: number}} for number in (1, 2)]
    fits, not_fits = (allowed(*constants, [{name: 1}, {name: second}]) for second in (2, 1))
    print(f"const {name:6} {fits!s:6} {not_fits}")
    assert (fits, not_fits) == (name == "name", name == "title"), "xgrammar changed: this finding is out of date"
PYTHON

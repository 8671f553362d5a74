#!/bin/sh
# A JSON schema has keywords that xgrammar does not keep. Guess what Grammar.from_json_schema does, with its defaults:
#   a) it raises;  b) it warns;  c) it ignores some with a warning on standard error, and others without a word.
# It is c, and a text that was forced by such a grammar may fail the validation of its own schema. It warns of `allOf`
# (the schema then allows any JSON), of a length beside `pattern`, of `multipleOf` of numbers and of a `oneOf` that it
# takes for `anyOf`. It is silent about `uniqueItems`, `contains` and `not`, and where nobody looks for a limit: it
# reads a form such as `enum` and nothing that stands beside it, so that a `type` there is lost; a name of `required`
# counts only if `properties` has it; and bounds without a `type` are lost.
# Usage: sh findings/xgrammar-ignores-keywords.sh; it installs what it pins in a temporary folder, about 1 GB with
# torch, and fails if xgrammar changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 xgrammar==0.2.8 jsonschema==4.26.0
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import json
import subprocess
import sys

from jsonschema import Draft202012Validator

COMPILE = """
import sys
from xgrammar import Grammar
from xgrammar.testing import _is_grammar_accept_string
print(_is_grammar_accept_string(Grammar.from_json_schema(sys.argv[1]), sys.argv[2]))
"""
INTEGERS = {"type": "array", "items": {"type": "integer"}}
CASES = (
    ({"allOf": [{"type": "integer"}, {"type": "integer", "minimum": 3}]}, "a", True),
    ({"type": "string", "pattern": "^a+$", "minLength": 3}, "a", True),
    ({"type": "number", "multipleOf": 0.5}, 0.3, True),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1, True),
    ({"type": "string", "enum": ["a", 1]}, 1, False),
    ({"type": "object", "required": ["a"]}, {}, False),
    ({"minimum": 3}, 1, False),
    ({"type": "integer", "not": {"const": 1}}, 1, False),
    (INTEGERS | {"uniqueItems": True}, [1, 1], False),
    (INTEGERS | {"contains": {"const": 7}}, [1], False),
)

for schema, value, expected in CASES:
    command = [sys.executable, "-c", COMPILE, json.dumps(schema), json.dumps(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    allowed, warned = done.stdout.strip() == "True", "Warning" in done.stderr
    valid = Draft202012Validator(schema).is_valid(value)
    print(f"{json.dumps(schema):75} {json.dumps(value):6} allowed {allowed}, valid {valid}, warned {warned}")
    assert (allowed, valid, warned) == (True, False, expected), "xgrammar changed: this finding is out of date"
PYTHON

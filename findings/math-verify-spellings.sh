#!/bin/sh
# math-verify compares answers of language models with reference answers. Guess which of these it calls equal:
#   a) 10\,000 and 10000;  b) 10\,000 and 0;  c) 0.\overline{3} and 1/3;  d) 0.\overline{3} and 0;
#   e) 3 1/2 and 2;  f) listen and silent.
# It is b, d, e and f: it reads 10 times 000, 0 and 2, and multiplies the letters of a word, in any order. So wrong
# answers are counted as right, and an answer as wrong that repeats the reference in another spelling.
# Usage: sh findings/math-verify-spellings.sh; it installs what it pins in a temporary folder, and fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q math-verify==0.9.0 latex2sympy2_extended==1.11.0 \
    antlr4-python3-runtime==4.13.2 sympy==1.14.0
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
from math_verify import parse, verify

PAIRS = {
    "a": (r"10\,000", "10000", False),
    "b": (r"10\,000", "0", True),
    "c": (r"0.\overline{3}", r"\frac{1}{3}", False),
    "d": (r"0.\overline{3}", "0", True),
    "e": ("3 1/2", "2", True),
    "f": ("listen", "silent", True),
}
for name, (one, other, expected) in PAIRS.items():
    left, right = parse(f"${one}$"), parse(f"${other}$")
    equal = verify(left, right)
    print(f"{name}) {one} and {other}:", "equal" if equal else "different", "|", left[0], "|", right[0])
    assert equal == expected, "math-verify changed: this finding is out of date"
PYTHON

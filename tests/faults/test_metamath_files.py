"""Damaged files of MetaMathQA and odd answers: one documented error each, or what the file still says."""

from __future__ import annotations

import json
import random
import re
import time
import traceback
from pathlib import Path
from typing import Any

from crt_latent.metamath.answers import equal_answers
from crt_latent.metamath.entries import read_entries, split_of
from crt_latent.metamath.spec import MetaMath
from crt_nn.text import of_words
from crtcore.errors import RunError

WORDS = ["[UNK]", "What", "is", "plus", "and", "make", *map(str, range(30))]
ENTRIES = [
    {
        "query": f"What is {left} plus {right}",
        "response": f"{left} and {right} make {left + right}\nThe answer is: {left + right}",
        "type": "GSM_AnsAug",
        "original_question": f"{left} + {right}",
    }
    for left in range(15)
    for right in range(4)
]
ODD = [
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 5000,
    "-0",
    "null",
    "true",
    "[]",
    "{}",
    '""',
    '"\\ud800"',
    '"\\u0000"',
    "[" * 10**5,
]
LETTERS = "0123456789xyfiABe" + r"\{}()[]|,;:.!%'_^+-*/=<>~$° ½²−"
COMMANDS = [r"\frac", r"\sqrt", r"\pi", r"\pm", r"\text{", r"\boxed{", r"\overline", r"\cup", r"\infty", r"\le", "and"]


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Returns a content with one to three faults."""
    for _ in range(draw.randint(1, 3)):
        start = draw.randrange(len(content) + 1)
        end = min(len(content), start + draw.choice([1, 1, 4, 300]))
        text = content.decode("latin-1")
        match draw.randrange(8):
            case 0:
                content = content[:start]
            case 1:
                content = content[:start] + content[end:]
            case 2:
                content = content[:start] + draw.randbytes(draw.randint(1, 9)) + content[end:]
            case 3:
                content = content[:start] + content[start:end] * 2 + content[end:]
            case 4 | 5:  # another value
                values = [each.span(1) for each in re.finditer(r': ("(?:[^"\\]|\\.)*")', text)]
                first, last = draw.choice(values) if values else (start, end)
                content = (text[:first] + draw.choice(ODD) + text[last:]).encode("latin-1")
            case 6:  # a key that there is, or that there is not
                keys = [each.span(1) for each in re.finditer(r'("\w+"): ', text)]
                first, last = draw.choice(keys) if keys else (start, end)
                key = draw.choice(['"query"', '"response"', '"original_question"', '"Query"', '""', '"\\ud800"', "0"])
                content = (text[:first] + key + text[last:]).encode("latin-1")
            case _:
                content = text.encode(draw.choice(["utf-16", "utf-32", "utf-8-sig", "cp037", "utf-7"]))
    return content


def strictly(content: bytes) -> list[tuple[str, ...]]:
    """What a file holds, read without crt-latent.

    Raises: ValueError if it is no list of entries.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entry = dict(pairs)
        return entry if len(entry) == len(pairs) else {}

    def refuse(text: str) -> None:
        raise ValueError(text)

    result = []
    listed = json.loads(content.decode(json.detect_encoding(content)), object_pairs_hook=once, parse_constant=refuse)
    if not isinstance(listed, list):
        raise ValueError
    for entry in listed:
        texts = [entry.get(name) if isinstance(entry, dict) else None for name in list(ENTRIES[0])]
        query, response, _, question = texts
        for text in (query, response, question):
            if not isinstance(text, str) or re.search("[\ud800-\udfff]", text):
                raise ValueError
        *steps, answer = response.split("The answer is:")
        if steps and answer.strip():
            row = query.strip(), "The answer is:".join(steps).strip(), answer.strip(), split_of(question)
            result.append(row)
    return result


def refusal(error: RunError, path: Path) -> str:
    message = str(error).replace(str(path), "")
    return "refused" if len(message) < 400 and message.isprintable() and "metamath" in message else "unreadable message"


def test_a_damaged_file_is_refused_or_means_what_it_holds(faults: Any, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(of_words(WORDS)))
    path = tmp_path / "metamath.json"
    for case in faults.cases(reduced=200, full=4000):
        path.write_bytes(content := damaged(json.dumps(ENTRIES, indent=case.number % 2 or None).encode(), case.random))
        try:
            right: list[tuple[str, ...]] = strictly(content)
        except (ValueError, RecursionError):
            right = []
        try:
            kept = [tuple(each) for each in read_entries(path).kept]
            MetaMath(file=str(path), tokenizer=str(tmp_path)).build()
        except RunError as error:
            # Few entries may leave a split empty; that is an error of the data set alone.
            outcome = refusal(error, path)
            if right and "in each split" not in str(error):
                outcome = f"refused {len(right)} entries"
        except BaseException:
            outcome = "traceback"
        else:
            outcome = "unharmed" if kept == right else "silent"
        faults.record(case, outcome, traceback.format_exc(limit=-2) if outcome == "traceback" else content[:80])
    assert not faults.wrong, "\n".join(faults.wrong)


def test_any_answers_are_compared_in_bounded_time_and_alike_in_both_orders(faults: Any) -> None:
    for case in faults.cases(reduced=1500, full=100_000):
        draw, texts = case.random, list[str]()
        for _ in range(2):
            pieces = draw.choices([*LETTERS, *COMMANDS], k=draw.choice([3, 9, 30, 300]))
            texts.append("".join(pieces) * draw.choice([1, 1, 1, 5, 400]))
        if draw.random() < 0.5:
            texts[1] = f" {texts[0]} "
        same = texts[0].split() == texts[1].split()
        try:
            started = time.process_time()
            results = {equal_answers(*texts), equal_answers(*reversed(texts))}
            seconds = time.process_time() - started
        except BaseException:
            faults.record(case, "traceback", traceback.format_exc(limit=-2))
            continue
        wrong = (
            "slow" if seconds > 10 else "order" if len(results) > 1 else "unequal" if same and not all(results) else ""
        )
        faults.record(case, wrong or "unharmed", [text[:80] for text in texts])
    assert not faults.wrong, "\n".join(faults.wrong)

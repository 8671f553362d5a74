"""Texts, chats, stop strings, folders and the command, with a small tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from small_models import small
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import crt_hf
from crt_hf.command import generate as command
from crt_hf.grammar import Grammar
from crtcore.errors import RunError

TEMPLATE = "{% for message in messages %}<s>{{ message['content'] }}{% endfor %}"
LETTERS = ["<pad>", "<s>", "</s>", *(chr(code) for code in range(ord("A"), ord("A") + 58))]


def tokenizer(letters: list[str] = LETTERS) -> PreTrainedTokenizerFast:
    """An id for each letter."""
    inner = Tokenizer(models.WordLevel({letter: x for x, letter in enumerate(letters)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    made.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp(request.param)
    small(request.param).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def theirs(folder: Path, ids: list[int], **keywords: Any) -> list[int]:
    from transformers import AutoModelForCausalLM

    row = torch.tensor([ids])
    model = AutoModelForCausalLM.from_pretrained(folder)
    return model.generate(row, attention_mask=torch.ones_like(row), **keywords)[0, len(ids) :].tolist()


def test_three_lines_give_the_text_of_transformers(folder: Path) -> None:
    (result,) = crt_hf.generate(str(folder), ["HELLO"], max_new_tokens=9)

    ids = tokenizer()("HELLO")["input_ids"]
    assert ids == [LETTERS.index(letter) for letter in "HELLO"]
    assert result.ids == theirs(folder, ids, max_new_tokens=9, do_sample=False)
    assert result.text == tokenizer().decode(result.ids, skip_special_tokens=True) != ""
    assert result.ran.startswith("decoder lookup, target ")


def test_a_draft_of_another_vocabulary_changes_no_greedy_id(folder: Path, tmp_path: Path) -> None:
    few = [*LETTERS[:3], *LETTERS[:2:-2]]  # every second letter, the last one first
    small("qwen2", seed=3, vocab_size=len(few)).save_pretrained(tmp_path)
    tokenizer(few).save_pretrained(tmp_path)

    (result,) = crt_hf.generate(str(folder), ["HELLO"], decoder="sd", draft=str(tmp_path), max_new_tokens=9)

    assert result.ids == theirs(folder, tokenizer()("HELLO")["input_ids"], max_new_tokens=9, do_sample=False)
    assert f"over the {len(few)} tokens that it has of the target's 61" in result.ran


def test_a_draft_without_a_common_token_is_refused(folder: Path, tmp_path: Path) -> None:
    small("qwen2", vocab_size=3).save_pretrained(tmp_path)
    inner = Tokenizer(models.WordLevel({"x1": 0, "x2": 1, "x3": 2}, unk_token="x1"))
    PreTrainedTokenizerFast(tokenizer_object=inner).save_pretrained(tmp_path)

    with pytest.raises(RunError, match="draft: expected vocabularies with a common token, got none; name a draft"):
        crt_hf.generate(str(folder), ["HELLO"], decoder="sd", draft=str(tmp_path), max_new_tokens=2)


def test_a_chat_gets_its_template(folder: Path) -> None:
    (result,) = crt_hf.generate(folder, [[{"role": "user", "content": "HI"}]], max_new_tokens=9)

    assert result.ids == theirs(folder, [1, *tokenizer()("HI")["input_ids"]], max_new_tokens=9, do_sample=False)


def test_prompts_of_all_forms_share_a_batch(folder: Path) -> None:
    text, chat, ids = crt_hf.generate(
        folder, ["HI", [{"role": "user", "content": "HI"}], [1, 10, 11]], max_new_tokens=9
    )

    assert ids.ids == chat.ids == theirs(folder, [1, 10, 11], max_new_tokens=9, do_sample=False)
    assert text.ids == theirs(folder, [10, 11], max_new_tokens=9, do_sample=False)


@pytest.mark.parametrize("decoder", ["ancestral", "lookup"])
def test_a_row_ends_behind_a_stop_string_and_no_call_later(folder: Path, decoder: str) -> None:
    whole, other = crt_hf.generate(folder, ["HELLO", "WORLD"], max_new_tokens=20, decoder=decoder)
    assert whole.text is not None
    stop = whole.text[3:5]
    end = whole.text.index(stop) + 2

    result, beside = crt_hf.generate(
        folder, ["HELLO", "WORLD"], max_new_tokens=20, decoder=decoder, stop_strings=[stop, "none"]
    )

    assert result.text == whole.text[:end]
    assert result.calls <= end + 1
    assert (beside.text or "").startswith(stop) or other.ids[: len(beside.ids)] == beside.ids


GRAMMAR, TEXTS = 'root ::= "AB" [CD] | "HI" "J"?', ("ABC", "ABD", "HI", "HIJ")


def fitting(folder: Path, prompt: str) -> str:
    """The greedy text among those of the grammar, by its definition."""
    from transformers import AutoModelForCausalLM

    model, text = AutoModelForCausalLM.from_pretrained(folder), ""
    while True:
        logits = model(torch.tensor([[LETTERS.index(letter) for letter in prompt + text]])).logits[0, -1]
        follow = {each[len(text)] for each in TEXTS if each.startswith(text) and each != text}
        best = max([*follow, *(["</s>"] if text in TEXTS else [])], key=lambda letter: logits[LETTERS.index(letter)])
        if best == "</s>":
            return text
        text += best


@pytest.mark.parametrize("decoder", ["ancestral", "lookup", "sd", "rsd-s"])
@torch.no_grad()
def test_a_grammar_rules_out_what_does_not_fit_node_by_node(folder: Path, decoder: str) -> None:
    draft = None if decoder in ("ancestral", "lookup") else folder
    words = ["HELLO", "ABCABDABCABD", "HIJHIJ"]

    results = crt_hf.generate(folder, words, grammar=GRAMMAR, decoder=decoder, draft=draft, max_new_tokens=9)

    assert [result.text for result in results] == [fitting(folder, word) for word in words]


def test_a_json_schema_gives_json_and_what_is_ignored_is_refused(folder: Path) -> None:
    schema = {"type": "array", "items": {"enum": ["A", "B"]}, "minItems": 1, "maxItems": 2}
    with pytest.raises(RunError, match="json_schema: #/uniqueItems: xgrammar ignores it everywhere; leave it out"):
        crt_hf.generate(folder, ["A"], json_schema={**schema, "uniqueItems": True})
    with pytest.raises(RunError, match="json_schema: #/multipleOf: xgrammar ignores it of numbers"):
        crt_hf.generate(folder, ["A"], json_schema=json.dumps({"type": "number", "multipleOf": 0.5}))
    with pytest.raises(RunError, match="expected json_schema or grammar, got both"):
        crt_hf.generate(folder, ["A"], json_schema=schema, grammar=GRAMMAR)
    with pytest.raises(RunError, match=r"json_schema, grammar: .*EBNF"):
        crt_hf.generate(folder, ["A"], grammar="root ::= (")


def test_a_property_may_have_the_name_of_a_keyword_that_is_ignored() -> None:
    schema = {"type": "object", "properties": {"uniqueItems": {"type": "boolean"}}, "required": ["uniqueItems"]}

    made = Grammar(tokenizer(), len(LETTERS), [2], {"json_schema": schema})

    assert "uniqueItems" in str(made.compiled.grammar)


def test_two_properties_named_title_have_their_own_types() -> None:
    each = [{"type": "object", "properties": {"title": {"const": value}}} for value in ("ABC", "XYZ")]

    made = Grammar(tokenizer(), len(LETTERS), [2], {"json_schema": {"anyOf": each}})

    assert all(value in str(made.compiled.grammar) for value in ("ABC", "XYZ"))


def test_a_prompt_of_no_form_is_one_error(folder: Path) -> None:
    for prompt, message in (
        ([1, "a"], "prompt 0: expected a text, ids, or messages"),
        ([], "prompt 0: expected at least one id"),
        ([61], "prompt 0: expected ids from 0 to 60, got 61"),
        ([{"role": "user"}], "expected messages with role and content, got {'role': 'user'}"),
    ):
        with pytest.raises(RunError, match=message):
            crt_hf.generate(folder, [prompt], max_new_tokens=1)
    with pytest.raises(RunError, match="expected a list of prompts"):
        crt_hf.generate(folder, "HELLO")


def run(*words: str) -> Any:
    return CliRunner().invoke(command, words)


def test_the_command_prints_the_text_and_compares(folder: Path) -> None:
    (expected,) = crt_hf.generate(folder, ["HELLO"], max_new_tokens=9)

    result = run("--target", str(folder), "--prompt", "HELLO", "--max-new-tokens", "9", "--compare")

    assert result.exit_code == 0, result.output
    first, *others = result.stdout.splitlines()
    assert first == expected.text
    assert others[-1].split() == ["ids", "equal"]


def test_the_command_writes_what_it_promises(folder: Path, tmp_path: Path) -> None:
    words = (
        "--prompt",
        "HELLO",
        "--max-new-tokens",
        "9",
        "--stop",
        "none",
        "--certificate",
        str(tmp_path / "made.json"),
    )

    result = run("--target", str(folder), *words)

    assert result.exit_code == 0, result.output
    made = json.loads((tmp_path / "made.json").read_text())
    assert made["decoder"]["name"] == "lookup"
    assert made["stop"] == {"ids": [2], "strings": ["none"], "length": 9}
    assert made["processors"] == ["Stopping"]
    assert (made["near_ties"]["positions"], made["law"]["total_variation"]) == (9, 0)


def test_the_command_reads_prompts_and_answers_in_json(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "HI"}\n\n{"ids": [1, 10, 11], "seed": 4}\n')
    words = ("--prompts", str(tmp_path / "prompts.jsonl"), "--temperature", "1.5", "--max-new-tokens", "9", "--json")

    result = run("--target", str(folder), *words, "--compare")

    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    keywords = {"do_sample": True, "temperature": 1.5, "top_k": 0, "max_new_tokens": 9, "seed": [0, 4]}
    expected = crt_hf.generate(folder, ["HI", [1, 10, 11]], **keywords)
    assert [each["ids"] for each in answer["results"]] == [each.ids for each in expected]
    assert answer["comparison"]["ids_equal"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--target", "org/model", "--prompt", "x"), "a name on the hub is not downloaded here"),
        (
            (
                "--target",
                ".",
            ),
            "expected one of --prompt, --chat and --prompts, got none",
        ),
    ],
)
def test_the_command_ends_with_one_line_for_what_is_wrong(words: tuple[str, ...], message: str) -> None:
    result = run(*words)

    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n", "expected at least one prompt, got none"),
        (b"\xff\n", "expected lines of JSON in UTF-8"),
        (b"{\n", 'line 1: expected an object with "prompt", "messages" or "ids", got'),
        (b'{"prompt": "A", "ids": [1]}\n', "one of them, got"),
        (b"[1]\n", "one of them, got"),
        (b'{"prompt": "A", "seed": "x"}\n', "seed: expected an integer"),
    ],
)
def test_a_file_of_prompts_that_is_wrong_is_one_line(
    folder: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(content)

    result = run("--target", str(folder), "--prompts", str(tmp_path / "prompts.jsonl"), "--max-new-tokens", "1")

    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1

import contextlib
import datetime
import itertools
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from crtcore.compose.document import DEEPEST, FILES, LARGEST, LONGEST, Document, merged, parse, read, undotted
from crtcore.compose.positions import Scanner
from crtcore.errors import Key, Problem, SpecError, dotted

COMMENTS = st.sampled_from(["", "", "  # a ] \" ''' [[ = }", "\t#", ' # """'])
SPACES = st.sampled_from(["", " ", "\t", "  "])
BETWEEN = st.sampled_from(["", "", " \n", "# x = 1\n"])
NASTY = st.sampled_from(["", " ", "#", "[[x]]", "]", "}", "=", ",", "a = 1", "'", "it''s", "{", "é→"])
LINES = st.sampled_from(["\n", "\n\n", "\n# no comment\n", "\n[header]\nk = 1\n", "\n]\n", "\n}\n", "\n,\n"])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """TOML texts; every key holds a token k7_ of its own, every string one v7_, every number is another one."""
    numbers = itertools.count(1000)

    def key() -> str:
        token = f"k{next(numbers)}_"
        return draw(
            st.sampled_from([token, token, f"'{token}.#[ '", f'"{token} \\" = ]"', f'"{token}\\u0041"', f"{token}-1"])
        )

    def path(least: int) -> str:
        keys = [key() for _ in range(draw(st.integers(least, least + 1)))]
        return "".join(f"{draw(SPACES)}{name}{draw(SPACES)}." for name in keys).removesuffix(".")

    def string() -> str:
        token, inside = f"v{next(numbers)}_", draw(NASTY)
        many = "".join(draw(st.lists(LINES, max_size=2)))
        plain = inside.replace("'", "")
        return draw(
            st.sampled_from([
                f'"{token}{inside}"',
                f'"{token}\\\\"',
                f'"{token}\\"{inside}"',
                f"'{token}{plain}\\'",
                f'"""{token}{inside}{many}"""',
                f'"""{token}{many}""{inside}\\""""',
                f'"""{token}{many}\\\\"""',
                f'"""{token}{many}{inside}"""""',
                f"'''{token}{many}{plain}'''",
                f"'''{token}{many}\\ '' \"\"\" {plain}'''''",
            ])
        )  # fmt: skip

    def scalar() -> str:
        number = next(numbers)
        return draw(
            st.sampled_from([
                f"{number}", f"-{number}", f"{number}.5", f"{number}e1", "true", "false", f"{number}-01-02",
                f"{number}-01-02 03:04:05", f"{number}-01-02T03:04:05.5Z", f"{number}-01-02T03:04:05+01:00",
            ])
        )  # fmt: skip

    def gap() -> str:
        return "".join(draw(st.lists(st.sampled_from([" ", "\n", "# ] , }\n", "\t"]), max_size=2)))

    def array(depth: int) -> str:
        entries = [f"{gap()}{value(depth + 1)}{gap()}" for _ in range(draw(st.integers(0, 3)))]
        comma = "," if entries and draw(st.booleans()) else ""
        return f"[{','.join(entries)}{comma}{gap()}]"

    def inline(depth: int) -> str:
        entries = [f"{path(1)}={draw(SPACES)}{value(depth + 1)}{draw(SPACES)}" for _ in range(draw(st.integers(0, 3)))]
        return f"{{{','.join(entries)}{draw(SPACES)}}}"

    def value(depth: int) -> str:
        makers = [string, scalar] if depth > 2 else [string, scalar, lambda: array(depth), lambda: inline(depth)]
        return draw(st.sampled_from(makers))()

    def pairs() -> Iterator[str]:
        for _ in range(draw(st.integers(0, 3))):
            yield f"{draw(SPACES)}{path(1)}={draw(SPACES)}{value(0)}{draw(COMMENTS)}\n{draw(BETWEEN)}"

    def tables(above: str, depth: int) -> Iterator[str]:
        for _ in range(draw(st.integers(0, 2 if depth < 2 else 0))):
            here = f"{above}{path(1)}"
            for _ in range(count := draw(st.sampled_from([0, 0, 1, 2]))):
                yield f"[[{here}]]{draw(COMMENTS)}\n"
                yield from pairs()
                yield from tables(f"{here}.", depth + 1)
            if not count:
                yield f"{draw(SPACES)}[{here}]{draw(COMMENTS)}\n"
                yield from pairs()
                yield from tables(f"{here}.", depth + 1)

    text = "".join([*pairs(), *tables("", 0)])
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def inside(values: Any, path: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Everything in a document with its path, tables and arrays included."""
    entries = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for step, value in entries:
        yield (*path, step), value
        yield from inside(value, (*path, step))


def sign(value: Any) -> str:
    """The text that the first line of an array's entry must contain."""
    if isinstance(value, str):
        return re.findall(r"v\d+_", value)[0]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.date):
        return value.isoformat()[:10]
    if isinstance(value, float):
        return re.findall(r"\d{4}", str(value))[0]
    return "{" if isinstance(value, dict) else "[" if isinstance(value, list) else str(value)


@settings(max_examples=500)
@given(documents())
def test_every_value_that_tomli_reads_has_the_line_it_is_written_on(text: str) -> None:
    numbers = Scanner(text).lines()

    lines = text.split("\n")
    values = dict(inside(tomli.loads(text)))
    assert numbers.keys() == values.keys()
    for path, value in values.items():
        line = lines[numbers[path] - 1]
        if isinstance(path[-1], str):
            assert re.findall(r"k\d+_", path[-1])[0] in line
        else:
            assert sign(value) in line or (isinstance(value, dict) and "[[" in line)


@settings(max_examples=200)
@given(documents())
def test_a_document_is_what_tomli_reads(text: str) -> None:
    assert parse(text, "here.toml").values == tomli.loads(text)


def test_lines_of_a_text_written_by_hand() -> None:
    text = 'a = """\n[x]\n"""\n[[t]]\nb.c = [\n  1, # ]\n  { d = 2 }\n]\n[[t]]\n[t.e]\n"f g" = 3\n'

    assert Scanner(text).lines() == {
        ("a",): 1, ("t",): 4, ("t", 0): 4, ("t", 0, "b"): 5, ("t", 0, "b", "c"): 5, ("t", 0, "b", "c", 0): 6,
        ("t", 0, "b", "c", 1): 7, ("t", 0, "b", "c", 1, "d"): 7, ("t", 1): 9, ("t", 1, "e"): 10,
        ("t", 1, "e", "f g"): 11,
    }  # fmt: skip


def test_the_largest_file_is_read_within_five_seconds(tmp_path: Path) -> None:
    rows = [f"key{number} = [{number}, 'x']\n" for number in range(LARGEST // 54)]  # at most 27 bytes each, twice
    (tmp_path / "base.toml").write_text("".join(rows))
    (tmp_path / "spec.toml").write_text('extends = "base.toml"\n' + "".join(rows))
    started = time.process_time()

    document = read(tmp_path / "spec.toml")

    assert time.process_time() - started < 5
    assert document.where((f"key{len(rows) - 1}", 1)) == f"{tmp_path / 'spec.toml'}:{len(rows) + 1}"


@given(st.lists(st.one_of(st.integers(0, 99), st.from_regex(r"[a-z][a-z0-9_-]*", fullmatch=True)), min_size=1))
def test_a_path_is_what_its_dotted_text_writes(path: list[str | int]) -> None:
    assert undotted(dotted(tuple(path))) == tuple(path)


def test_a_number_too_long_for_an_index_is_a_name() -> None:
    assert undotted(f"a.{'9' * 5000}") == ("a", "9" * 5000)


def chain(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)


def refusal(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        read(path)
    return caught.value.problems


def test_tables_merge_over_the_file_they_extend_and_the_rest_is_replaced(tmp_path: Path) -> None:
    chain(
        tmp_path,
        top='extends = "middle.toml"\nlist = [9]\n[table]\nb = 20\n[table.deep]\ny = 5\n',
        middle='extends = "bottom.toml"\nseed = 2\n[table]\nc = 3\n',
        bottom='name = "x"\nseed = 1\nlist = [1, 2, 3]\n[table]\na = 1\nb = 2\n[table.deep]\nx = 4\n',
    )

    document = read(tmp_path / "top.toml")

    assert document.values == {
        "name": "x", "seed": 2, "list": [9], "table": {"a": 1, "b": 20, "c": 3, "deep": {"x": 4, "y": 5}},
    }  # fmt: skip


def test_each_value_has_the_file_and_line_that_wrote_it(tmp_path: Path) -> None:
    chain(
        tmp_path,
        top='extends = "middle.toml"\nlist = [9]\n[table]\nb = 20\n',
        middle='extends = "bottom.toml"\nseed = 2\n[table]\nc = 3\n',
        bottom='name = "x"\nseed = 1\nlist = [1,\n 2]\n[table]\na = 1\nb = 2\n',
    )

    document = read(tmp_path / "top.toml")

    wrote = {
        ("name",): "bottom.toml:1", ("seed",): "middle.toml:2", ("list",): "top.toml:2", ("list", 0): "top.toml:2",
        ("list", 1): "top.toml:2", ("table",): "top.toml:3", ("table", "a"): "bottom.toml:6",
        ("table", "b"): "top.toml:4", ("table", "c"): "middle.toml:4",
    }  # fmt: skip
    assert {path: document.where(path) for path in wrote} == {
        path: str(tmp_path / place) for path, place in wrote.items()
    }


def test_a_table_replaces_an_array_and_an_array_a_table(tmp_path: Path) -> None:
    chain(tmp_path, top='extends = "base.toml"\n[a]\nx = 1\n[[b]]\ny = 2\n', base="[[a]]\nz = 3\n[b]\nz = 4\n")

    document = read(tmp_path / "top.toml")

    assert document.values == {"a": {"x": 1}, "b": [{"y": 2}]}
    assert document.where(("a", 0, "z")) == f"{tmp_path / 'top.toml'}:2"


def test_a_name_in_extends_is_relative_to_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    chain(tmp_path, top='extends = "shared/middle.toml"\n')
    chain(tmp_path / "shared", middle='extends = "base.toml"\n', base="seed = 4\n")

    assert read(tmp_path / "top.toml").values == {"seed": 4}


def test_merging_leaves_both_documents_as_they_were() -> None:
    base, over = parse("[a]\nx = 1\n", "base"), parse("[a]\ny = [2]\n", "over")

    both = merged(base, over)
    both.values["a"]["y"].append(3)

    assert (base.values, over.values) == ({"a": {"x": 1}}, {"a": {"y": [2]}})


def test_files_in_a_circle_are_named(tmp_path: Path) -> None:
    chain(tmp_path, a='seed = 1\nextends = "b.toml"\n', b='extends = "a.toml"\n')

    (problem,) = refusal(tmp_path / "a.toml")

    assert problem.where == f"{tmp_path / 'b.toml'}:1"
    assert problem.message == "the files extend each other in a circle: " + " -> ".join(
        str(tmp_path / name) for name in ("a.toml", "b.toml", "a.toml")
    )


def test_a_file_that_extends_itself_by_another_name_is_a_circle(tmp_path: Path) -> None:
    chain(tmp_path, a='extends = "link.toml"\n')
    (tmp_path / "link.toml").symlink_to("a.toml")

    assert "in a circle" in refusal(tmp_path / "a.toml")[0].message


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    chain(tmp_path, a='extends = "loop.toml"\n')
    (tmp_path / "loop.toml").symlink_to("loop.toml")

    assert "cannot read the file" in refusal(tmp_path / "a.toml")[0].message


def test_a_missing_base_is_reported_at_the_line_of_extends(tmp_path: Path) -> None:
    chain(tmp_path, a='seed = 1\nextends = "b.toml"\n', b='\n\nextends = "gone.toml"\n')

    (problem,) = refusal(tmp_path / "a.toml")

    assert str(problem) == (
        f"{tmp_path / 'b.toml'}:3: extends: cannot read the file {tmp_path / 'gone.toml'}: No such file or directory"
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (problem,) = refusal(tmp_path / "gone.toml")

    assert str(problem) == f"cannot read the file {tmp_path / 'gone.toml'}: No such file or directory"


@pytest.mark.parametrize("base", ['""', '"."', '"/"', f'"{"x" * 5000}"', '"~/no/such"', '"a\\u0000b"', "3", "[]"])
def test_a_base_that_is_no_file_is_a_problem_of_extends(tmp_path: Path, base: str) -> None:
    chain(tmp_path, a=f"extends = {base}\n")

    (problem,) = refusal(tmp_path / "a.toml")

    assert (problem.where, problem.path) == (f"{tmp_path / 'a.toml'}:1", ("extends",))


def test_text_that_is_not_utf_8_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"a = 1\nb = '\xff'\n")

    (problem,) = refusal(tmp_path / "a.toml")

    assert str(problem) == f"{tmp_path / 'a.toml'}:2: expected UTF-8, got the byte 0xff"


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"#" * (LARGEST + 1))

    assert f"at most {LARGEST} bytes" in refusal(tmp_path / "a.toml")[0].message


def test_all_that_a_file_extends_counts_as_its_size(tmp_path: Path) -> None:
    comment = "#" * (LARGEST // 2)
    chain(tmp_path, a=f'extends = "b.toml"\n{comment}', b=comment)

    (problem,) = refusal(tmp_path / "a.toml")

    assert problem.where == str(tmp_path / "b.toml")
    assert f"at most {LARGEST} bytes with all that it extends" in problem.message


def test_a_chain_of_files_has_a_limit(tmp_path: Path) -> None:
    chain(tmp_path, **{f"f{n}": f'extends = "f{n + 1}.toml"\n' for n in range(FILES)}, **{f"f{FILES}": "seed = 4\n"})

    assert read(tmp_path / "f1.toml").values == {"seed": 4}
    (problem,) = refusal(tmp_path / "f0.toml")
    assert problem.where == f"{tmp_path / f'f{FILES - 1}.toml'}:1"
    assert problem.message == f"expected at most {FILES} files in a chain, got more"


@pytest.mark.parametrize("sort", ["pipe", "socket", "/dev/zero", "/dev/null"])
def test_what_is_no_regular_file_is_refused_unopened(tmp_path: Path, sort: str) -> None:
    path = Path(sort) if sort.startswith("/") else tmp_path / "x"
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(tmp_path):
        if sort == "pipe":
            os.mkfifo(path)  # whose reader would wait for a writer for ever
        elif sort == "socket":
            server.bind("x")  # a short name, of which there are limits
        chain(tmp_path, a=f'extends = "{path}"\n')

        assert refusal(path)[0].message == f"cannot read the file {path}: it is no regular file"
        assert refusal(tmp_path / "a.toml")[0].message == f"cannot read the file {path}: it is no regular file"


@pytest.mark.parametrize("text", ["a = '{}'", "{} = 1", "a.{} = 1", "a = [{{ b = ['{}'] }}]", "['{}']"])
def test_a_long_string_or_key_is_refused(text: str) -> None:
    parse(text.format("x" * LONGEST), "here.toml")

    with pytest.raises(SpecError, match=f"expected a text of at most {LONGEST} characters"):
        parse(text.format("x" * (LONGEST + 1)), "here.toml")


def test_the_largest_file_that_is_allowed_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"#" * LARGEST)

    assert read(tmp_path / "a.toml").values == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\n\na = 2\n", 3),
        ("[t]\n[t]\n", 2),
        ("a = 1\n'", 2),
        ("x", 1),
        ("a = 1\rb = 2\n", 1),
    ],
)
def test_text_that_is_not_toml_is_reported_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "a.toml").write_bytes(text.encode())

    (problem,) = refusal(tmp_path / "a.toml")

    assert problem.where == f"{tmp_path / 'a.toml'}:{line}"
    assert problem.message.startswith("not TOML: ")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "[" * 300 + "]" * 300,
        "a = " + "{a = " * 200 + "1" + "}" * 200,
        ".".join(["a"] * 900) + " = 1",
        ".".join(["a"] * 2_000) + " = 1",
        "[" + ".".join(["a"] * 100) + "]",
    ],
)
def test_nesting_beyond_reason_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="levels of tables and arrays"):
        parse(text, "here.toml")


@pytest.mark.parametrize("number", ["9" * 19, "-" + "9" * 19, "9" * 5000, "0x" + "f" * 9000, str(2**63)])
def test_an_integer_beyond_64_bits_is_refused(number: str) -> None:
    with pytest.raises(SpecError, match="expected an integer of 64 bits"):
        parse(f"a = 1\nb = [{number}]", "here.toml")


def test_an_integer_beyond_64_bits_is_reported_with_its_line() -> None:
    with pytest.raises(SpecError) as caught:
        parse(f"a = 1\nb = [\n{2**63}]\nc = {-(2**63) - 1}", "here.toml")

    assert sorted(problem.where for problem in caught.value.problems) == ["here.toml:3", "here.toml:4"]


def test_the_integers_of_64_bits_are_read() -> None:
    assert parse(f"a = {2**63 - 1}\nb = {-(2**63)}", "here.toml").values == {"a": 2**63 - 1, "b": -(2**63)}


def test_a_written_value_has_its_origin() -> None:
    document = parse("[a]\nb = [{c = 1}, {c = 2}]\n", "here.toml")

    document.put(("a", "b", 1, "c"), 3, "elsewhere")

    assert document.values == {"a": {"b": [{"c": 1}, {"c": 3}]}}
    assert document.where(("a", "b", 1, "c")) == "elsewhere"
    assert document.where(("a", "b", 0, "c")) == "here.toml:2"


def test_a_path_too_deep_is_refused_and_changes_nothing() -> None:
    document = Document({}, {})

    with pytest.raises(LookupError, match=f"at most {DEEPEST} levels"):
        document.put(("a",) * (DEEPEST + 1), 1, "elsewhere")

    assert document == Document({}, {})


def test_tables_made_on_the_way_are_of_the_same_origin() -> None:
    document = Document({}, {})

    document.put(("a", "b", "c"), 1, "elsewhere")

    assert document.values == {"a": {"b": {"c": 1}}}
    assert {document.where(path) for path in [("a",), ("a", "b"), ("a", "b", "c"), ("a", "z")]} == {"elsewhere"}


@pytest.mark.parametrize(
    "path", [("a", "b", 2), ("a", "b", "c"), ("s", "x"), ("s", 0), ("none", 0, "x"), ("a", "new", "x", 0)]
)
def test_a_path_that_leads_nowhere_changes_nothing(path: Key) -> None:
    text = "s = 1\n[a]\nb = [1, 2]\n"
    document = parse(text, "here.toml")

    with pytest.raises(LookupError):
        document.put(path, 1, "elsewhere")

    assert document == parse(text, "here.toml")

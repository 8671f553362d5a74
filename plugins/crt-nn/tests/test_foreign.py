"""What stands in the place of a file that was not fetched whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crt_nn.foreign import instead

PAGE = b"<!DOCTYPE html>\n<html><body>Not found</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "an empty one; fetch the file again"),
        (PAGE, "a web page, as a failed download leaves; fetch the file again"),
        (b"\xef\xbb\xbf\n " + PAGE, "a web page, as a failed download leaves; fetch the file again"),
        (POINTER, "a pointer of Git LFS; run `git lfs pull` in its repository"),
    ],
)
@pytest.mark.parametrize("text", [False, True])
def test_what_is_never_data_is_named(tmp_path: Path, content: bytes, expected: str, text: bool) -> None:
    (tmp_path / "x").write_bytes(content)

    assert instead(tmp_path / "x", text=text) == expected


def test_text_is_no_binary_data_but_may_be_json(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(
        b'{"error": "Entry not found: \xc3\xa9"}' + b" " * 477 + b"\xc3\xa9"
    )  # cut in a letter

    assert instead(tmp_path / "x", text=True) is None
    assert str(instead(tmp_path / "x")).startswith('text (\'{"error": "Entry not found: é"}')


@pytest.mark.parametrize(
    "content",
    [
        (60).to_bytes(8, "little") + b"{" + b" " * 59,  # a header of safetensors, whose length is a '<'
        b"PK\x03\x04" + bytes(30),
        b"\x80\x02}q\x00." + bytes(20),
        bytes(range(128, 160)),
        b"<a>",  # too short to be sure
    ],
)
def test_binary_data_may_begin_like_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)

    assert instead(tmp_path / "x") is None


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "file").write_bytes(b"\0")

    assert instead(tmp_path) == "a folder; name a file"
    assert instead(tmp_path / "pipe") == "no regular file; name a file"
    for name in ("none", "broken", "file/below"):
        assert instead(tmp_path / name) == "no such file; put it there, or name another place"
    for name, reason in {"circle": "symbolic links", "x" * 300: "File name too long", "a\0b": "null byte"}.items():
        got = instead(tmp_path / name)
        assert got is not None
        assert got.startswith("one that cannot be read (")
        assert reason in got

"""Files that other programs wrote: what stands in the place of one that was not fetched whole."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

_HEAD = 512
_AGAIN = "fetch the file again"


def instead(path: Path, *, text: bool = False) -> str | None:
    """What is at `path` instead of data, and what to do; None if data may be there. Only regular files are opened.

    Binary data is never a text of 16 bytes and more; `text` is for data that is text itself, such as JSON.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return f"{'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; name a file"
        with path.open("rb") as file:
            return _odd(file.read(_HEAD), text)
    except (FileNotFoundError, NotADirectoryError):
        return "no such file; put it there, or name another place"
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        return f"one that cannot be read ({getattr(error, 'strerror', None) or error}); change its name or its rights"


def _odd(head: bytes, text: bool) -> str | None:
    if not head:
        return f"an empty one; {_AGAIN}"
    if text or _is_text(head):
        if head.startswith(b"version https://git-lfs"):
            return "a pointer of Git LFS; run `git lfs pull` in its repository"
        if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<"):
            return f"a web page, as a failed download leaves; {_AGAIN}"
        if not text:
            return f"text ({head[:60].decode(errors='replace')!r}); {_AGAIN}"
    return None


def _is_text(head: bytes) -> bool:
    try:
        letters = codecs.getincrementaldecoder("utf-8-sig")().decode(head)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return len(head) >= 16 and "".join(letters.split()).isprintable()

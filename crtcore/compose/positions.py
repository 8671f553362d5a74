"""Where each key and array entry of a TOML text stands: the tables know values alone."""

from __future__ import annotations

import bisect
import re

import tomli

from crtcore.errors import Key


class Scanner:
    """Finds the line of every key and array entry of a text that is known to be TOML."""

    _BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
    _SPACE = re.compile(r"[ \t]*")
    _BARE = re.compile(r"[A-Za-z0-9_-]+")
    _STRING = re.compile(
        r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.DOTALL
    )  # a closing run may hold one or two quotes of the text itself
    _SCALAR = re.compile(r"[^,\]}#\n]*")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(end.end() for end in re.finditer("\n", text))]
        self.lines_of: dict[Key, int] = {}
        self.arrays: dict[Key, int] = {}

    def lines(self) -> dict[Key, int]:
        """Path to line, counted from 1."""
        table: Key = ()
        self._match(self._BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._match(self._BLANK)
        return self.lines_of

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match, f"not TOML at {self.at}"
        self.at = match.end()
        return match.group()

    def _mark(self, path: Key, start: int) -> None:
        line = bisect.bisect_right(self.starts, start)
        for end in range(1, len(path) + 1):
            self.lines_of.setdefault(path[:end], line)

    def _header(self) -> Key:
        start, brackets = self.at, 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        keys = self._keys()
        self.at += brackets
        path: Key = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            if brackets == 2 and depth == len(keys) - 1:
                self.arrays[path] = self.arrays.get(path, -1) + 1
            if path in self.arrays:
                path = (*path, self.arrays[path])
        self._mark(path, start)
        return path

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._match(self._SPACE)
            if self.text[self.at] in "\"'":
                keys.append(str(tomli.loads(f"key = {self._match(self._STRING)}")["key"]))
            else:
                keys.append(self._match(self._BARE))
            self._match(self._SPACE)
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _pair(self, table: Key) -> None:
        start = self.at
        path = (*table, *self._keys())
        self._mark(path, start)
        self.at += 1  # the sign =
        self._match(self._SPACE)
        self._value(path)

    def _value(self, path: Key) -> None:
        opening = self.text[self.at]
        if opening in "\"'":
            self._match(self._STRING)
        elif opening in "[{":
            self._inside(path, "]" if opening == "[" else "}")
        else:
            self._match(self._SCALAR)

    def _inside(self, path: Key, closing: str) -> None:
        self.at += 1
        index = 0
        while True:
            self._match(self._BLANK)
            if self.text[self.at] == closing:
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
            elif closing == "]":
                self._mark((*path, index), self.at)
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A JSON file whose list is too long to hold: its elements are looked at one by one, and read again from their place when they are needed."""

from __future__ import annotations

import array
import codecs
import json
import os
import re
import typing as t

CHUNK_BYTES = 1024 * 1024

_SPACE = re.compile(r"[ \t\n\r]*")
_ENDS = frozenset(" \t\n\r,:]}")

Kept = t.TypeVar("Kept")


class JsonList(t.Generic[Kept]):
    """The elements of a list in a file; ``kept`` is what was kept of each."""

    def __init__(self, stream: t.BinaryIO) -> None:
        """``stream`` stays open as long as the list is there."""
        self.kept: list[Kept] = []
        self._stream = stream
        self._starts, self._sizes = array.array("Q"), array.array("Q")

    def append(self, kept: Kept, start: int, size: int) -> None:
        """Adds the element that is at byte ``start`` of the file."""
        self.kept.append(kept)
        self._starts.append(start)
        self._sizes.append(size)

    def whole(self, index: int) -> t.Any:
        """The element itself. Raises OSError, and ValueError when the file is no longer what it was."""
        return json.loads(os.pread(self._stream.fileno(), self._sizes[index], self._starts[index]))


def read_object(
    stream: t.BinaryIO, key: str, keep: t.Callable[[t.Any], Kept | None]
) -> tuple[dict[str, t.Any], JsonList[Kept] | None]:
    """The JSON object in a file, without the list under ``key``; that list, with what ``keep`` makes of each element (None: left out).

    The list is None when there is none under ``key``; then the object has whatever is there.

    Raises:
        ValueError: the file is no JSON object, or says a key twice. RecursionError: it is nested too deeply.
    """
    scanner = _Scanner(stream)
    result: dict[str, t.Any] = {}
    found: JsonList[Kept] | None = None
    scanner.expect("{")
    separator = scanner.take() if scanner.next() == "}" else ""
    while separator != "}":
        name = scanner.value()
        scanner.expect(":")
        if not isinstance(name, str) or name in result or (name == key and found is not None):
            raise ValueError(f"{name!r} is no key, or is said twice")
        if name == key and scanner.next() == "[":
            found = JsonList(stream)
            _read_list(scanner, found, keep)
        else:
            result[name] = scanner.value()
        separator = scanner.expect(",", "}")
    if scanner.next():
        raise ValueError("there is something after the object")
    return result, found


def _read_list(scanner: _Scanner, found: JsonList[Kept], keep: t.Callable[[t.Any], Kept | None]) -> None:
    scanner.take()
    separator = scanner.take() if scanner.next() == "]" else ""
    while separator != "]":
        scanner.next()
        start = scanner.byte
        kept = keep(scanner.value())
        if kept is not None:
            found.append(kept, start, scanner.byte - start)
        separator = scanner.expect(",", "]")


class _Scanner:
    """Reads JSON values from a file, holding only a part of its text."""

    def __init__(self, stream: t.BinaryIO) -> None:
        self._stream, self._ended = stream, False
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._scan = json.JSONDecoder().raw_decode
        self._text, self._at = "", 0
        self.byte = 0
        """Where in the file the next character is."""

    def next(self) -> str:
        """The next character that is no space, which is not taken; empty at the end."""
        while True:
            end = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            self.byte += end - self._at
            self._at = end
            if end < len(self._text):
                return self._text[end]
            if not self._read_on():
                return ""

    def take(self) -> str:
        """Takes the next character, which ``next`` has shown to be ASCII."""
        self._at += 1
        self.byte += 1
        return self._text[self._at - 1]

    def expect(self, *characters: str) -> str:
        """Takes the next character that is no space. Raises ValueError when it is none of these."""
        if self.next() not in characters:
            raise ValueError(f"{' or '.join(characters)} expected at byte {self.byte}")
        return self.take()

    def value(self) -> t.Any:
        """Takes the next value. Raises ValueError when there is none."""
        self.next()
        while True:
            try:
                value, end = self._scan(self._text, self._at)
            except json.JSONDecodeError:
                if not self._read_on():
                    raise
                continue
            # Where nothing that ends a value follows, it is a number of which only a part was read.
            if self._text[end : end + 1] in _ENDS or not self._read_on():
                taken = self._text[self._at : end]
                self.byte += len(taken) if taken.isascii() else len(taken.encode())
                self._at = end
                return value

    def _read_on(self) -> bool:
        """Reads more text, at least as much as is held, so that a long value is not read many times over. False at the end."""
        if self._ended:
            return False
        held = self._text[self._at :]
        data = self._stream.read(max(CHUNK_BYTES, len(held)))
        self._ended = not data
        self._text, self._at = held + self._decoder.decode(data, final=self._ended), 0
        return True

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Files that are written whole or not at all; those of evidence for their owner only."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
import typing as t


def write_json(path: str, data: t.Any) -> None:
    """Writes ``data`` whole or not at all, readable by its owner only, in folders that are made for the owner only. Raises OSError."""
    with replacing(path) as stream:
        json.dump(data, stream, indent=1, sort_keys=True)
        stream.write("\n")


def write_lists(path: str, data: dict[str, t.Any]) -> None:
    """As ``write_json``, with one line a key, and one an element of its list: for lists that are long. Raises OSError."""
    with replacing(path) as stream:
        separator = "{\n"
        for key, value in sorted(data.items()):
            stream.write(f"{separator}{json.dumps(key)}: ")
            separator = ",\n"
            if isinstance(value, list) and value:
                stream.write("[\n")
                stream.writelines(f"{_line(item)},\n" for item in value[:-1])
                stream.write(f"{_line(value[-1])}\n]")
            else:
                stream.write(_line(value))
        stream.write("\n}\n")


def _line(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@contextlib.contextmanager
def replacing(path: str) -> t.Iterator[t.IO[str]]:
    """A stream whose text becomes the file at ``path`` when all was written, as ``write_json`` does it. Raises OSError."""
    folder = os.path.dirname(os.path.abspath(path))
    _make_private(folder)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text(path: str, pieces: t.Iterable[str]) -> None:
    """Replaces a file by the pieces of a text in one step, readable as the umask has it, in a folder that is made. A link of its name is replaced.

    What is no text for UTF-8 is written as an escape. Raises OSError.
    """
    part = f"{path}.{secrets.token_hex(6)}.part"
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(pieces)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        if os.path.lexists(part):
            os.unlink(part)


def _make_private(folder: str) -> None:
    if os.path.isdir(folder):
        return
    _make_private(os.path.dirname(folder))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise

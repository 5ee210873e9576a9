# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A JSON file read element by element gives what json gives, wherever the pieces that are read begin and end."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils import _json_lists

VALUE = {
    "after": {"deep": [1, {"x": "}],"}]},
    "list": [{"name": "ä€😀" * 5, "n": 12345678901}, 17, "text", None, True, [], [1, 2], {"\\u00e4": "\\"}, -1.5e3],
    "number": 123456789,
    "other": [1, 2, 3],
}


def read(path: pathlib.Path, keep: t.Callable[[t.Any], t.Any] = lambda item: (item,)) -> t.Any:
    return _json_lists.read_object(path.open("rb", buffering=0), "list", keep)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1024])
@pytest.mark.parametrize("form", [{}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (",", ":")}])
def test_as_json_reads_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, chunk: int, form: dict[str, t.Any]
) -> None:
    monkeypatch.setattr(_json_lists, "CHUNK_BYTES", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(VALUE, **form) + "\n", encoding="utf-8")
    rest, found = read(path)
    assert {**rest, "list": [item for (item,) in found.kept]} == VALUE
    assert [found.whole(index) for index in range(len(found.kept))] == VALUE["list"]
    assert list(rest) == ["after", "number", "other"]


def test_elements_that_are_not_kept_are_not_counted(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"list": [1, 2, 3, 4]}')
    _rest, found = read(path, lambda item: item if item % 2 else None)
    assert (found.kept, found.whole(1)) == ([1, 3], 3)


@pytest.mark.parametrize("text", ['{"a": 1}', "{}", '{"list": null}', '{"list": {"list": [1]}}'])
def test_no_list_under_the_key(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert read(path) == (json.loads(text), None)


@pytest.mark.parametrize(
    "text",
    ["", " ", "[]", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{"a" 1}', "{1: 2}", '{"a": 1} x', '{"list": [1', '{"list": [1,]}',
     '{"list": [1 2]}', '{"list": [,1]}', '{"a": 1, "a": 2}', '{"list": [], "list": []}', '{"list": [01]}', '{"a": tru}', "\ufeff{}"],
)  # fmt: skip
def test_what_is_no_object_or_says_a_key_twice_is_refused(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r".+"):
        read(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"list": ["\xff"]}')
    with pytest.raises(ValueError, match="utf-8"):
        read(path)

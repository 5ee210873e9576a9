# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import unicodedata

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import _text
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2J\x9b31m", "\\x1b[2J\\x9b31m"),
        ("a\r\nb\tc", "a b c"),
        ("a\rb", "a\\x0db"),
        ("\u202egnp\u2069", "\\u202egnp\\u2069"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u0300\u0301\u0302\u0303", "a\u0300\u0301"),
        ("ünï 日本 ✖", "ünï 日本 ✖"),
        (None, ""),
        (7, "7"),
    ],
)
def test_hostile_characters_become_visible(raw: object, shown: str) -> None:
    assert _text.neutral(raw) == shown


@pytest.mark.parametrize("raw", samples.HOSTILE)
def test_nothing_that_a_terminal_obeys_is_left(raw: str) -> None:
    kinds = {unicodedata.category(char) for char in _text.neutral(raw)}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_a_command_keeps_its_lines_and_a_long_text_is_cut() -> None:
    assert _text.neutral("a\nb\x00", newlines=True) == "a\nb\\x00"
    assert _text.neutral("x" * 50, limit=10) == "x" * 10 + "…"


def test_width_counts_columns_and_shorten_obeys_it() -> None:
    assert _text.width("日本a\u0300") == 5
    for columns in range(1, 12):
        assert _text.width(_text.shorten("日本語のログ", columns)) <= columns
    assert _text.shorten("fits", 4) == "fits"


def test_wrap_breaks_at_blanks_and_ends_with_an_ellipsis() -> None:
    assert _text.wrap("one two three", 7, 3) == ["one two", "three"]
    assert _text.wrap("one two three four", 7, 2) == ["one two", "three…"]
    assert _text.wrap("x" * 20, 8, 3) == ["x" * 8, "x" * 8, "x" * 4]
    assert _text.wrap("日" * 9, 6, 9) == ["日日日"] * 3
    assert _text.wrap("  ", 8, 2) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (1500, "25 min"), (-5400, "1 h 30 min"), (144000, "1 d 16 h"), (5616000, "65 d")],
)
def test_durations(seconds: int, words: str) -> None:
    assert _text.duration(seconds) == words


def test_times() -> None:
    now = samples.NOW
    assert _text.clock("2026-11-23T19:40:00Z", now) == "19:40"
    assert _text.clock("2025-01-02T19:40:00Z", now) == "2025-01-02 19:40"
    assert _text.clock("\x1bsoon", now) == "\\x1bsoon"
    assert _text.ago("2026-11-23T19:40:00Z", now) == "25 min ago"
    assert _text.ago("2026-11-24T20:05:00Z", now) == "in 1 d"
    assert _text.ago(None, now) == ""

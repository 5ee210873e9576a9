# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which line of which version of the kubelet means what."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._log_categories import CATEGORIES, categories_of

with open(os.path.join(os.path.dirname(__file__), "log_lines.yml"), encoding="utf-8") as _stream:
    _CASES = [(case["line"], case["categories"]) for case in yaml.safe_load(_stream)]


@pytest.mark.parametrize(("line", "expected"), _CASES)
def test_categories_of(line: str, expected: list[str]) -> None:
    assert categories_of(f"E1123 10:00:00.000000     812 {line}") == expected


def test_every_category_is_met_by_a_line() -> None:
    assert set(CATEGORIES) == {name for _line, names in _CASES for name in names}


def test_the_node_sends_every_line_that_has_a_category() -> None:
    import re

    from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import build_script

    script = build_script("n", {}).decode()
    wanted, unwanted = (
        re.search(rf"^LOG_{name}='(.*)'$", script, re.MULTILINE).group(1)  # type: ignore[union-attr]
        for name in ("WANTED", "UNWANTED")
    )
    for line, names in _CASES:
        if names:
            assert re.search(wanted, line.lower()), line
            assert not re.search(unwanted, line.lower()) or "command failed" in line, line


def test_meanings_are_said_once() -> None:
    meanings = [category.meaning for category in CATEGORIES.values()]
    assert len(set(meanings)) == len(meanings)
    assert not [meaning for meaning in meanings if "\n" in meaning or meaning.endswith(".")]

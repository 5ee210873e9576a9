# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The threat model names only tests that exist, and every threat in it says what shows that it is stopped."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/security.md").read_text(encoding="utf-8")
PATH = re.compile(r"`((?:tests|tools|plugins|playbooks|roles)/[\w./-]+)`")


def threats() -> list[list[str]]:
    """The rows of the tables about who attacks, as cells."""
    part = TEXT.split("## Who, and what stops them")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[-1] not in ("shown by", "what limits it")]


def test_every_file_that_it_names_exists() -> None:
    named = set(PATH.findall(TEXT + (ROOT / "SECURITY.md").read_text(encoding="utf-8")))
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_threat_has_an_answer_and_says_what_shows_it() -> None:
    rows = threats()
    assert len(rows) > 20
    assert [row for row in rows if len(row) != 3 or not all(cell.strip() for cell in row)] == []

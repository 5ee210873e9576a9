# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every file: a licence header on code, no machine's path, no registry's host, links that lead somewhere."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = (".py", ".sh")
MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/(work|root/|home/(?!kubernetes/)\w|tmp/(dev|coll|w)\b)")
REGISTRY = re.compile(
    r"\b(pypi\.org|pythonhosted\.org|proxy\.golang\.org|registry\.npmjs\.org|deb\.debian\.org|galaxy\.ansible\.com)\b"
)
LINK = re.compile(r"\]\(([^)#\s]+)")
# A recorded log, or a test that speaks of these paths or hosts, may hold them.
FREE = ("tests/repository/test_text.py", "LICENSE")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


FILES = tracked()


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def test_files_are_listed() -> None:
    assert "galaxy.yml" in FILES


def test_code_names_its_licence() -> None:
    code = [name for name in FILES if name.endswith(CODE) and (ROOT / name).stat().st_size]
    assert code
    assert [name for name in code if "SPDX-License-Identifier: GPL-3.0-or-later" not in text(name)[:800]] == []


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY], ids=["machine path", "registry"])
def test_no_file_names(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name in FILES
        if name not in FREE
        for number, line in enumerate(text(name).splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_links_between_documents_lead_somewhere() -> None:
    documents = [name for name in FILES if name.endswith(".md")]
    broken = [
        f"{name}: {target}"
        for name in documents
        for target in LINK.findall(text(name))
        if "://" not in target
        and not target.startswith("mailto:")
        and not (ROOT / name).parent.joinpath(target).exists()
    ]
    assert documents
    assert broken == []

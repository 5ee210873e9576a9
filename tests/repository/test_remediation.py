# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every fault of the lab whose rule names an act was mended there by the playbook, or it is said why it cannot be."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.names import ACTS

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "plugins/plugin_utils/diagnosis/rules"


def read(path: pathlib.Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tasks(rule: str | None) -> set[str]:
    """The acts that a rule names."""
    named = read(RULES / f"{rule}.yml")["fix"].get("task") if rule else None
    return {named} if isinstance(named, str) else set(named or ())


MENDED: dict[str, list[str]] = read(ROOT / "tests/repository/mended_in_lab.yml")
NOT_MENDED: dict[str, str] = read(ROOT / "tests/repository/not_mended_in_lab.yml") or {}
FAULTS = {path.stem: tasks(read(path)["rule"]) for path in sorted((ROOT / "tests/lab/faults").glob("*.yml"))}
TO_MEND = sorted(name for name, acts in FAULTS.items() if acts)


@pytest.mark.parametrize("fault", TO_MEND)
def test_a_fault_with_an_act_was_mended_or_it_is_said_why_not(fault: str) -> None:
    assert (fault in MENDED) != bool(NOT_MENDED.get(fault)), "tests/lab/remediation.py, then mended_in_lab.yml"
    assert fault not in MENDED or set(MENDED[fault]) & FAULTS[fault], "by none of the acts that the rule names"


def test_no_other_fault_is_listed() -> None:
    assert {*MENDED, *NOT_MENDED} <= set(TO_MEND)


@pytest.mark.parametrize("act", ACTS)
def test_every_act_has_mended_something(act: str) -> None:
    assert any(act in acts for acts in MENDED.values())

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing that belongs to a rule is forgotten: its page, its unit cases, its lab fault or the reason why there is none."""

from __future__ import annotations

import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = sorted(path.stem for path in (ROOT / "plugins/plugin_utils/diagnosis/rules").glob("*.yml"))
CASES = ROOT / "tests/unit/plugins/plugin_utils/diagnosis/cases"
FAULTS = {
    yaml.safe_load(path.read_text(encoding="utf-8"))["rule"] for path in (ROOT / "tests/lab/faults").glob("*.yml")
}
COMPOUNDS = sorted((ROOT / "tests/lab/compound").glob("*.yml"))
HEALTHY = sorted((ROOT / "tests/lab/faults").glob("healthy-*.yml"))
NOT_IN_LAB = yaml.safe_load((ROOT / "tests/repository/not_in_lab.yml").read_text(encoding="utf-8")) or {}


# What there must be at least: a loss is noticed.
MIN_RULES, MIN_LIVE, MIN_COMPOUNDS, MIN_HEALTHY = 60, 45, 15, 10


def test_there_are_rules_and_what_tries_them() -> None:
    assert len(RULES) >= MIN_RULES
    assert len(FAULTS & set(RULES)) >= MIN_LIVE
    assert len(COMPOUNDS) >= MIN_COMPOUNDS
    assert len(HEALTHY) >= MIN_HEALTHY


@pytest.mark.parametrize("rule", RULES)
def test_rule_has_a_page(rule: str) -> None:
    page = (ROOT / f"docs/rules/{rule}.md").read_text(encoding="utf-8")
    assert f"`{rule}`" in page
    assert f"({rule}.md)" in (ROOT / "docs/rules/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES)
def test_rule_has_a_unit_case_that_finds_it_and_one_that_does_not(rule: str) -> None:
    expected = {case["expect"] for case in yaml.safe_load((CASES / f"{rule}.yml").read_text(encoding="utf-8"))}
    assert expected & {"primary", "contributing", "symptom", "present"}
    assert expected & {"absent", "skipped"}


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_met_in_the_lab_or_says_why_not(rule: str) -> None:
    reason = NOT_IN_LAB.get(rule)
    assert (rule in FAULTS) != bool(reason), "either a fault in tests/lab/faults, or a reason in not_in_lab.yml"


def test_no_reason_for_what_is_no_rule() -> None:
    assert set(NOT_IN_LAB) <= set(RULES)

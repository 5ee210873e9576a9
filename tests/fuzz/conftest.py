# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says at the end how many cases ran, those of other workers too."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.tests.fuzz import cases

_TOTAL = {"cases": 0}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> t.Generator[None, None, None]:
    before = cases.RUN["cases"]
    try:
        return (yield)
    finally:
        item.user_properties.append(("cases", cases.RUN["cases"] - before))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        _TOTAL["cases"] += sum(t.cast("int", value) for name, value in report.user_properties if name == "cases")


def pytest_terminal_summary(terminalreporter: t.Any) -> None:
    terminalreporter.write_line(f"fuzz cases: {_TOTAL['cases']}")

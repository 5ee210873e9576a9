# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work in several processes: all of it is done once, and what goes wrong in one of them is said."""

from __future__ import annotations

import gc
import os
import signal
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils import _shares
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._shares import in_shares


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shares, "LEAST_ITEMS", 2)
    monkeypatch.setattr(_shares, "processors", lambda: 3)


def pids(share: t.Sequence[int], number: int) -> dict[str, t.Any]:
    return {"items": list(share), "number": number, "pid": os.getpid()}


def test_each_item_is_in_one_share() -> None:
    found = in_shares(range(10), pids)
    assert sorted(item for result in found for item in result["items"]) == list(range(10))
    assert [result["number"] for result in found] == [0, 1, 2]
    assert found[0]["pid"] == os.getpid()
    assert len({result["pid"] for result in found}) == 3


@pytest.mark.parametrize(("items", "processes"), [(0, 1), (1, 1), (3, 1), (4, 2), (6, 3), (60, 3)])
def test_few_items_are_worth_no_process(items: int, processes: int) -> None:
    assert len(in_shares(range(items), pids)) == processes


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize("error", [ValueError("odd"), OSError(28, "No space left on device")])
def test_an_error_of_a_share_is_the_error_of_all(where: int, error: Exception) -> None:
    def work(_share: t.Sequence[int], number: int) -> None:
        if number == where:
            raise error

    with pytest.raises(type(error)) as raised:
        in_shares(range(10), work)
    assert raised.value.args == error.args
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, 0)
    assert gc.get_freeze_count() == 0


def test_a_process_that_is_killed_is_said() -> None:
    def work(_share: t.Sequence[int], number: int) -> None:
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ChildProcessError, match="ended with -9"):
        in_shares(range(10), work)

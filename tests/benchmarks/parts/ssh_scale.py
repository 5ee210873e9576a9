# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From 100 to 1,000 SSH hosts: time and memory. The hosts answer with what their machine said before (``ssh_hosts.py``)."""

from __future__ import annotations

from bench import Bench
from side import Hosts, hosts_of_lab
from ssh_hosts import RECORDED_PORT

TITLE = "SSH: 100, 200, 500 and 1,000 hosts"
FORKS = 50


def measure(bench: Bench) -> dict[str, float]:
    figures: dict[str, float] = {}
    with hosts_of_lab() as (state, folder):
        for count in (100, 200, 500, 1000):
            taken = Hosts(state, folder, count, RECORDED_PORT, FORKS).collect()
            figures[f"ssh_{count}_seconds"] = round(taken["seconds"], 1)
            figures[f"ssh_{count}_parent_mb"] = taken["parent_mb"]
            figures[f"ssh_{count}_fork_mb"] = taken["child_mb"]
            figures[f"ssh_{count}_all_mb"] = taken["all_mb"]
            print(f"  {count} hosts: {taken['seconds']:.1f} s", flush=True)
    figures["ssh_1000_times_100"] = round(figures["ssh_1000_seconds"] / figures["ssh_100_seconds"], 2)
    figures["ssh_hosts_per_second"] = round(1000 / figures["ssh_1000_seconds"], 1)
    return figures

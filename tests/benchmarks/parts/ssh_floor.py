# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collecting evidence from SSH hosts, beside what Ansible costs for a task that does nothing, and beside ``ssh`` without Ansible.

The hosts answer with what their machine said before (``ssh_hosts.py``), so that the control node is measured and not the nodes,
of which this machine would have to be a hundred. With hosts that do the work themselves the same is ``*_real_hosts``.
"""

from __future__ import annotations

import os

from bench import RUNS, Bench
from side import Hosts, compare, hosts_of_lab, ratio
from ssh_hosts import RECORDED_PORT

TITLE = "SSH: evidence of 100 hosts, beside `raw: true` and a parallel ssh loop"
HOSTS = int(os.environ.get("BENCH_HOSTS", "100"))
FORKS = 50


def measure(bench: Bench) -> dict[str, float]:
    figures: dict[str, float] = {}
    with hosts_of_lab() as (state, folder):
        for port, suffix in ((RECORDED_PORT, ""), (22, "_real_hosts")):
            hosts = Hosts(state, folder, HOSTS, port, FORKS)
            sides = compare({"collect": hosts.collect, "raw": hosts.raw, "ssh": hosts.ssh}, RUNS)
            for name, side in sides.items():
                figures[f"floor_{name}{suffix}_seconds"] = round(side["seconds"], 1)
                figures[f"floor_{name}{suffix}_control_cpu_seconds"] = round(side["control_cpu_seconds"], 1)
            figures[f"times_raw_task{suffix}"] = ratio(sides["collect"], sides["raw"], "seconds")
            figures[f"times_ssh_loop{suffix}"] = ratio(sides["collect"], sides["ssh"], "seconds")
    return figures

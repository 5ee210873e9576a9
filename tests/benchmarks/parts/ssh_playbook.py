# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collecting evidence from SSH hosts, beside the playbook that a good engineer writes today for the same evidence.

All hosts are real machines of the lab and share this machine's processors: the time holds what the nodes spend too.
``*_control_cpu_seconds`` is the control node's part alone, which is what is left where nodes have processors of their own.
"""

from __future__ import annotations

import os

from bench import RUNS, Bench
from side import Hosts, compare, hosts_of_lab, ratio

TITLE = "SSH: evidence of 100 hosts, beside a playbook of modules"
HOSTS = int(os.environ.get("BENCH_HOSTS", "100"))
FORKS = 50


def measure(bench: Bench) -> dict[str, float]:
    with hosts_of_lab(python=True) as (state, folder):
        hosts = Hosts(state, folder, HOSTS, 22, FORKS)
        sides = compare({"collect": lambda: hosts.collect(cluster=True), "modules": hosts.modules}, RUNS)
        ours = hosts.round_trips(lambda word: hosts.collect(word, cluster=True))
        theirs = hosts.round_trips(hosts.modules)
    collect, modules = sides["collect"], sides["modules"]
    return {
        "collect_100_seconds": round(collect["seconds"], 1),
        "collect_100_control_cpu_seconds": round(collect["control_cpu_seconds"], 1),
        "module_playbook_100_seconds": round(modules["seconds"], 1),
        "module_playbook_100_control_cpu_seconds": round(modules["control_cpu_seconds"], 1),
        "speedup_over_module_playbook": ratio(modules, collect, "seconds"),
        "control_cpu_less_than_module_playbook": ratio(modules, collect, "control_cpu_seconds"),
        "collect_round_trips_per_host": round(ours / HOSTS, 2),
        "module_playbook_round_trips_per_host": round(theirs / HOSTS, 2),
        "times_fewer_round_trips": round(theirs / ours, 1),
    }

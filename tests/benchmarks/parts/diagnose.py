# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``diagnose`` on 5,000 and on 10,000 nodes, each with 12 requests and 20 events: the module alone, and the playbook around it.

So many requests are a flood by the rule csr-flood, and each node has that finding: the dear case.
"""

from __future__ import annotations

from bench import Bench, figures_of, in_turn

TITLE = "diagnose: 5,000 nodes, 60,000 requests, 100,000 events; and twice that"
CSRS, EVENTS = 12, 20


def measure(bench: Bench) -> dict[str, float]:
    folders = {nodes: bench.fleet(nodes, nodes * CSRS, nodes * EVENTS) for nodes in (5000, 10_000)}
    small, large, played = in_turn(
        lambda: bench.act("diagnose", run_dir=folders[5000]),
        lambda: bench.act("diagnose", run_dir=folders[10_000]),
        lambda: bench.play("rediagnose.yml", kubelet_certs_run_dir=folders[5000]),
    )
    return {
        **figures_of("diagnose_5000", small),
        **figures_of("diagnose_10000", large),
        **figures_of("rediagnose_5000_playbook", played),
        "diagnose_10000_times_5000": round(large.cpu_seconds / small.cpu_seconds, 2),
        "diagnose_nodes_per_second": round(5000 / small.seconds),
    }

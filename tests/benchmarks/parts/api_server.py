# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What collecting from the API server of a large cluster costs: requests, time, memory, and the load on the server.

The lab's real API server and etcd are filled by ``fill.py`` with 5,000 nodes and 20,000 requests.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from bench import RUNS, Bench
from kubelab import running
from side import HERE, Figures, Side, a_lab

TITLE = "API server: 5,000 nodes and 20,000 requests"
NODES = int(os.environ.get("BENCH_NODES", "5000"))
CSRS = 4 * NODES
PAGE = 500
RESOURCES = (
    "nodes",
    "certificatesigningrequests",
    "events",
    "leases",
    "clusterroles",
    "clusterrolebindings",
    "pods",
    "configmaps",
)


def measure(bench: Bench) -> dict[str, float]:
    with a_lab() as (state, folder):
        small = _collected(state, folder)
        command = [sys.executable, str(HERE / "fill.py"), str(state), str(NODES), str(CSRS)]
        subprocess.run(running.enter_network(running.require_init(state), command), check=True)
        runs = [_collected(state, folder) for _turn in range(RUNS)]
    print(f"  lists seen by the server: {runs[-1].pop('lists')}", flush=True)
    figures = {f"api_5000_{key}": round(statistics.median(run[key] for run in runs), 1) for key in runs[-1]}
    return {**figures, "api_small_requests": small["requests"], "api_small_seconds": round(small["seconds"], 1)}


def _metrics(state: pathlib.Path) -> dict[str, float]:
    """The API server's processor seconds, and the list requests that it has answered, by resource."""
    text = running.kubectl(state, "get", "--raw", "/metrics").stdout
    found = {"cpu_seconds": float(next(iter(re.findall(r"^process_cpu_seconds_total (\S+)", text, re.MULTILINE))))}
    for labels, value in re.findall(r"^apiserver_request_total\{([^}]*)\} (\S+)", text, re.MULTILINE):
        values = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if values.get("verb") == "LIST" and values.get("resource") in RESOURCES:
            found[values["resource"]] = found.get(values["resource"], 0) + float(value)
    return found


def _collected(state: pathlib.Path, folder: pathlib.Path) -> Figures:
    """One collection of all that the role asks the API server for."""
    side = Side(state, folder, 5)
    inventory = folder / "inventory.yml"
    inventory.write_text("nodes: {hosts: {node1: {ansible_connection: local}}}\n")
    run = tempfile.mkdtemp(dir=folder, prefix="run-")
    words = {"kubelet_certs_run_dir": run, "kubelet_certs_collect_nodes": False}
    before = _metrics(state)
    figures = side.playbook("collect.yml", inventory, "--extra-vars", json.dumps(words), "-v")
    after = _metrics(state)
    output = figures.pop("output")
    answered = re.findall(r'"requests": (\d+)', output)
    if len(answered) != 4:
        raise RuntimeError(f"not all four modules told how much they asked:\n{output[-2000:]}")
    sizes = {path.name: path.stat().st_size for path in pathlib.Path(run, "cluster").iterdir()}
    return {
        **figures,
        "requests": sum(map(int, answered)),
        "lists": {
            key: int(after.get(key, 0) - before.get(key, 0)) for key in RESOURCES if after.get(key) != before.get(key)
        },
        "server_cpu_seconds": round(after["cpu_seconds"] - before["cpu_seconds"], 2),
        "evidence_mb": round(sum(sizes.values()) / 1e6, 1),
    }

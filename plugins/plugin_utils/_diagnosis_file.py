# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A run folder's ``diagnosis.json``: written node by node, as a fleet's does not fit into memory. It has one line a node."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import replacing
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import Judgement, rank
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.fleet import brief
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

NAME = "diagnosis.json"


def write_diagnosis(run_dir: str, judgement: Judgement) -> tuple[str, Data]:
    """Judges every node and writes the diagnosis whole or not at all. Returns its path, and its part ``fleet``. Raises OSError."""
    path = os.path.join(os.path.abspath(run_dir), NAME)
    # In the folder's own file system, which is to hold the diagnosis anyway, and gone with this process.
    with replacing(path) as stream, tempfile.TemporaryFile(dir=os.path.dirname(path)) as spool:
        places: list[tuple[tuple[int, str], int, Data]] = []
        for name in judgement.names:
            node = judgement.node(name)
            places.append((rank(node), spool.tell(), brief(node)))
            spool.write(f"{_line(node)}\n".encode())
        places.sort(key=lambda place: place[0])
        diagnosis = judgement.diagnosis([node for _rank, _start, node in places])
        parts = [f"{json.dumps(key)}: {_line(value)}" for key, value in sorted(diagnosis.items()) if key != "nodes"]
        stream.write("{\n" + "".join(f"{part},\n" for part in parts) + '"nodes": [')
        separator = "\n"
        for _rank, start, _node in places:
            spool.seek(start)
            stream.write(separator + spool.readline().decode().rstrip("\n"))
            separator = ",\n"
        stream.write("\n]\n}\n")
    return path, t.cast("Data", diagnosis["fleet"])


def _line(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

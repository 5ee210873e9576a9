# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A run folder's ``diagnosis.json``: written node by node, as a fleet's does not fit into memory. It has one line a node."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import tempfile
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import replacing
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._shares import MOST_PROCESSES, in_shares
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.diagnose import Judgement, rank
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.fleet import brief
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

NAME = "diagnosis.json"


def write_diagnosis(run_dir: str, judgement: Judgement) -> tuple[str, Data]:
    """Judges every node and writes the diagnosis whole or not at all. Returns its path, and its part ``fleet``.

    Raises:
        OSError: it cannot be written. ValueError: evidence is no longer what it was.
    """
    path = os.path.join(os.path.abspath(run_dir), NAME)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(replacing(path))
        # In the folder's own file system, which is to hold the diagnosis anyway, and gone with this process.
        spools = [
            stack.enter_context(tempfile.TemporaryFile(dir=os.path.dirname(path))) for _number in range(MOST_PROCESSES)
        ]

        def judge(names: t.Sequence[str], number: int) -> list[t.Any]:
            """Writes these nodes to a spool. Returns of each its rank, its place and what the fleet's part needs of it."""
            spool = spools[number]
            places = []
            for name in names:
                node = judgement.node(name)
                places.append((rank(node), number, spool.tell(), brief(node)))
                spool.write(f"{_line(node)}\n".encode())
            spool.flush()
            return places

        places = sorted(itertools.chain(*in_shares(judgement.names, judge)), key=lambda place: place[0])
        diagnosis = judgement.diagnosis([place[-1] for place in places])
        parts = [f"{json.dumps(key)}: {_line(value)}" for key, value in sorted(diagnosis.items()) if key != "nodes"]
        stream.write("{\n" + "".join(f"{part},\n" for part in parts) + '"nodes": [')
        separator = "\n"
        for _rank, number, start, _node in places:
            spools[number].seek(start)
            stream.write(separator + spools[number].readline().decode().rstrip("\n"))
            separator = ",\n"
        stream.write("\n]\n}\n")
    return path, t.cast("Data", diagnosis["fleet"])


def _line(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Several clusters in one report: what each is told by its own diagnosis, under its name, the worst cluster first.

Of a diagnosis only what is shown here is kept (``part``), so that one at a time is in memory.
"""

from __future__ import annotations

import dataclasses
import typing as t
import urllib.parse

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import console, html
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import VERDICTS, read
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._read import Record

MAX_NODES = 25
"""Nodes of a cluster in the overview, the worst ones; its own page has all."""
MIN_ROWS = 20
"""Rows of the console for one cluster, though the screen be too small for all."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A cluster in the overview. ``model`` is ``_model.read``'s, with only the first nodes that need attention; ``lines`` its summary."""

    name: str
    model: Record
    nodes: int
    not_seen: list[Record]
    lines: list[console.Line]

    @property
    def worst(self) -> tuple[int, str]:
        """What to sort by."""
        present = [index for index, verdict in enumerate(VERDICTS) if self.model["verdicts"][verdict]]
        return min(present, default=VERDICTS.index("unknown")), self.name


def part(name: str, diagnosis: t.Any, columns: int, rows: int) -> Part:
    """What the overview shows of one cluster. Raises MalformedDiagnosisError, see ``_model.read``."""
    diagnosis = (
        {**diagnosis, "cluster": {**diagnosis["cluster"], "name": name}} if _has_cluster(diagnosis) else diagnosis
    )
    model = read(diagnosis)
    not_seen = html.not_seen(model)
    troubled = [node for node in model["nodes"] if node["verdict"] != "healthy"]
    kept = [{**node, "link": _link(node["name"])} for node in troubled[:MAX_NODES]]
    return Part(
        name=name,
        model={**model, "nodes": kept, "troubled": len(troubled)},
        nodes=len(model["nodes"]),
        not_seen=not_seen,
        lines=console.render(diagnosis, None, columns, max(rows, MIN_ROWS)),
    )


def lines(parts: t.Sequence[Part], report: str | None, columns: int) -> list[console.Line]:
    """The summary of all clusters, then of each, the worst first."""
    head: list[console.Line] = [
        [("Clusters  ", "dim"), (str(len(parts)), "strong")],
        console.counts(verdicts(parts), columns),
    ]
    told = [line for one in sorted(parts, key=lambda one: one.worst) for line in [[], *one.lines]]
    tail: list[console.Line] = [[], [("Report    ", "dim"), (report, "strong")]] if report else []
    return [*head, *told, *tail]


def verdicts(parts: t.Sequence[Part]) -> dict[str, int]:
    """Nodes of all clusters by verdict."""
    return {verdict: sum(one.model["verdicts"][verdict] for one in parts) for verdict in VERDICTS}


def page(parts: t.Sequence[Part], history: Record | None = None) -> str:
    """The overview as an HTML page: each cluster's causes and worst nodes, with links to ``clusters/<name>/report.html`` beside it."""
    return html.page(
        "clusters.html.j2", history, parts=sorted(parts, key=lambda one: one.worst), totals=verdicts(parts)
    )


def _has_cluster(diagnosis: t.Any) -> bool:
    return isinstance(diagnosis, dict) and isinstance(diagnosis.get("cluster"), dict)


def _link(name: str) -> str:
    """The node's place in its cluster's page; where it is not told in full there, the page's beginning."""
    return f"#node-{urllib.parse.quote(name, safe='')}"

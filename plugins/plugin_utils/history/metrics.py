# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""An audit as Prometheus reads it, by the textfile collector of node_exporter: valid as its text format and as OpenMetrics.

Times are absolute, so what a certificate has left is right at any later time: ``… - time()``. What is unknown has no series. A finding that
stands because its node was not seen keeps its series, so that an alert on it does not clear.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.verdict import VERDICTS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import NOT_ASKED, Data
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import neutral

METRICS = {
    "timestamp_seconds": "When the audit judged, in seconds since 1970 (UTC).",
    "complete": "1 when the whole fleet was asked, 0 when the audit was limited or nodes could not be listed.",
    "gaps": "Things of the cluster that could not be read.",
    "nodes": "Nodes that were asked, by verdict.",
    "collection_ok": "1 when the node answered, 0 when nothing of it could be collected.",
    "node_verdict": "1 for the verdict of each node.",
    "not_before_timestamp_seconds": "When the certificate begins, in seconds since 1970 (UTC).",
    "not_after_timestamp_seconds": "When the certificate ends, in seconds since 1970 (UTC).",
    "finding": "1 for each finding of a node; judged=earlier when this audit could not judge it again.",
}
"""What there is, without the prefix. All are gauges."""
PREFIX = "kubelet_certs_audit_"

_MAX_LABEL = 253
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}


def render(audit: Data, nodes: t.Sequence[Data]) -> str:
    """The metrics of an audit (``record.audit_of``) and its nodes, each family in one piece, ended by ``# EOF``."""
    series: dict[str, list[tuple[dict[str, str | None], float]]] = {name: [] for name in METRICS}
    for cluster in sorted({*audit["clusters"], *(node["cluster"] for node in nodes)}):
        of_cluster: dict[str, str | None] = {"cluster": cluster}
        series["timestamp_seconds"].append((of_cluster, _seconds(audit["time"])))
        series["complete"].append((of_cluster, int(audit["complete"])))
        series["gaps"].append((of_cluster, audit["gaps"]))
        asked = [node for node in nodes if node["cluster"] == cluster and node["why"] != NOT_ASKED]
        for verdict in VERDICTS:
            series["nodes"].append(
                ({**of_cluster, "verdict": verdict}, sum(node["verdict"] == verdict for node in asked))
            )
    for node in nodes:
        labels = {"cluster": node["cluster"], "node": node["name"], "pool": node["pool"]}
        series["collection_ok"].append((labels, int(node["seen"])))
        series["node_verdict"].append(({**labels, "verdict": node["verdict"]}, 1))
        for name, validity in node["certificates"].items():
            for end, moment in (validity or {}).items():
                if moment:
                    series[f"{end}_timestamp_seconds"].append(({**labels, "certificate": name}, _seconds(moment)))
        for finding in node["findings"]:
            what = {key: finding[key] for key in ("rule", "stage", "severity", "role")}
            judged = "earlier" if finding["stands"] else "now"
            series["finding"].append(({**labels, **what, "judged": judged}, 1))
    lines = []
    for name, help_text in METRICS.items():
        lines += [f"# HELP {PREFIX}{name} {help_text}", f"# TYPE {PREFIX}{name} gauge"]
        # Two hostile names may read the same, and of two equal series Prometheus takes neither.
        distinct = {_labels(labels): value for labels, value in reversed(series[name])}
        lines += [f"{PREFIX}{name}{labels} {value:.0f}" for labels, value in reversed(distinct.items())]
    return "\n".join([*lines, "# EOF", ""])


def _labels(labels: t.Mapping[str, str | None]) -> str:
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items() if value) + "}"


def escaped(value: t.Any) -> str:
    """A label's value: hostile text stays within its quotes, in one line that no terminal obeys."""
    return re.sub(r'[\\"\n]', lambda match: _ESCAPES[match[0]], neutral(value, _MAX_LABEL))


def _seconds(time: str) -> float:
    return parse_time(time).timestamp()

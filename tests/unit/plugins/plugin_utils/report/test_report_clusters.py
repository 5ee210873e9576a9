# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several clusters in one report: grouped, the worst first, nodes of one name apart, hostile text as text."""

from __future__ import annotations

import copy

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import clusters, console
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import VERDICTS, read
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples


def parts() -> list[clusters.Part]:
    sick = samples.fleet_of_41()
    well = copy.deepcopy(sick)
    well["nodes"] = [node for node in well["nodes"] if node["verdict"] == "healthy"]
    well["fleet"]["causes"] = []
    return [clusters.part("edge", read(well), 80, 12), clusters.part("prod", read(sick), 80, 24)]


def test_the_sum_is_of_all_clusters() -> None:
    assert clusters.verdicts(parts()) == {"expired": 1, "failing": 34, "at_risk": 1, "unknown": 1, "healthy": 8}


def test_the_summary_tells_each_cluster_under_its_name_the_worst_first() -> None:
    text = console.plain(clusters.lines(parts(), "/r/report.html", 80))
    assert text.startswith("Clusters  2\nNodes     45:  ✖ 1 expired  ✖ 34 failing")
    assert text.index("Cluster   prod: ") < text.index("Cluster   edge: ")
    assert text.endswith("Report    /r/report.html")
    assert all(len(line) <= 80 for line in text.splitlines() if "$ " not in line)


def test_the_page_groups_by_cluster_and_links_to_each_page() -> None:
    page = clusters.page(parts())
    assert page.startswith("<!DOCTYPE html>") or page.lstrip().startswith("<!DOCTYPE html>")
    assert page.index('<h2 id="cluster-prod">') < page.index('<h2 id="cluster-edge">')
    assert 'href="clusters/prod/report.html"' in page
    assert 'href="clusters/edge/report.html"' in page
    assert page.count('href="clusters/prod/report.html#node-') == clusters.MAX_NODES
    assert f"and {37 - clusters.MAX_NODES} more nodes that need attention" in page
    assert "<script" not in page


def test_hostile_text_stays_text() -> None:
    hostile = samples.fleet_of_41()
    for node, text in zip(hostile["nodes"], samples.HOSTILE, strict=False):
        node["name"] = text
    hostile["cluster"]["api_url"] = samples.HOSTILE[0]
    page = clusters.page([clusters.part("prod", read(hostile), 80, 24)])
    assert "<script" not in page
    assert "<img" not in page


def test_a_cluster_without_nodes_counts_as_unknown_not_as_healthy() -> None:
    empty = samples.fleet_of_41()
    empty["nodes"], empty["fleet"]["causes"], empty["cluster"]["reachable"] = [], [], False
    gone = clusters.part("gone", read(empty), 80, 12)
    assert VERDICTS[gone.worst[0]] == "unknown"
    assert "API SERVER UNREACHABLE" in console.plain(clusters.lines([gone], None, 80))
    assert "The API server is unreachable." in clusters.page([gone])

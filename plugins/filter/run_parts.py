# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that divides a run over several clusters."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_parts
short_description: Divides a run into a part a cluster
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Says which hosts are of which cluster, and in which run folder their evidence belongs. With one cluster, or none named, that is the run
    folder itself. With several each has its own, in C(clusters/).
  - Stops when a host could be taken for one of another cluster, or when credentials of the environment would go to every cluster.
options:
  _input:
    description: The clusters by name, each with the options by which its API server is reached, as the modules take them.
    type: dict
    required: true
  run_dir:
    description: The run folder.
    type: path
    required: true
  hosts:
    description: The hosts of the play.
    type: list
    elements: str
    required: true
  clusters_of_hosts:
    description: The cluster of each of O(hosts), in their order. Not needed for one cluster.
    type: list
    elements: str
    default: []
  limited:
    description: Whether the play is limited. Then a cluster without a host in it is left out, else it is asked all the same.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the parts of a run over two clusters
  ansible.builtin.debug:
    msg: >-
      {{ {'prod': {'context': 'prod'}, 'test': {'context': 'test'}}
         | kubecare.kubelet_certs.run_parts(run_dir='/srv/runs/1', hosts=['node1.prod', 'node1.test'], clusters_of_hosts=['prod', 'test']) }}
"""

RETURN = r"""
_value:
  description: "The parts, each with C(cluster) (null where none is named), C(has_options) (to reach it), C(folder) and C(hosts)."
  type: list
  elements: dict
  sample:
    - cluster: prod
      has_options: true
      folder: /srv/runs/1/clusters/prod
      hosts: [node1.prod]
"""

import os
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import CLUSTER_NAME
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._several_clusters import shared_credentials

NAME = "kubecare.kubelet_certs.run_parts"
SHOWN = 5


def run_parts(
    clusters: t.Any,
    run_dir: str,
    hosts: t.Sequence[str],
    clusters_of_hosts: t.Sequence[str] = (),
    limited: bool = False,
) -> list[dict[str, t.Any]]:
    """See DOCUMENTATION. Raises AnsibleFilterError naming the cluster, the host or the variable that is wrong."""
    if not isinstance(clusters, Mapping):
        raise AnsibleFilterError(f"{NAME}: kubelet_certs_clusters is a mapping, not {type(clusters).__name__}")
    run_dir = os.path.abspath(os.path.expanduser(run_dir))  # modules run in the playbook's folder, not in the user's
    names = [str(name) for name in clusters]
    for name in names:
        if not CLUSTER_NAME.fullmatch(name):
            raise AnsibleFilterError(f"{NAME}: {name!r} is no name of a cluster: letters, digits, - and _ make one")
        if not isinstance(clusters[name], Mapping):
            raise AnsibleFilterError(
                f"{NAME}: nothing says how the API server of cluster {name} is reached. An inventory does not hand on credentials: give "
                f"kubelet_certs_clusters with the options of {name}, from a vault"
            )
    if len(names) < 2:
        return [_part(clusters, names[0] if names else None, run_dir, hosts)]
    if shared := shared_credentials(os.environ):
        raise AnsibleFilterError(f"{NAME}: {', '.join(shared)} would be taken for each of several clusters: unset it")
    of_cluster: dict[str, list[str]] = {name: [] for name in names}
    lost: list[str] = []
    for host, cluster in zip(hosts, clusters_of_hosts, strict=True):
        of_cluster.get(str(cluster), lost).append(host)
    if lost:
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        raise AnsibleFilterError(
            f"{NAME}: of {', '.join(lost[:SHOWN])}{more} the variable kubelet_certs_cluster names none of {', '.join(names)}"
        )
    return [
        _part(clusters, name, os.path.join(run_dir, "clusters", name), its_hosts)
        for name, its_hosts in of_cluster.items()
        if its_hosts or not limited
    ]


def _part(clusters: t.Mapping[str, t.Any], name: str | None, folder: str, hosts: t.Sequence[str]) -> dict[str, t.Any]:
    return {"cluster": name, "has_options": bool(name and clusters[name]), "folder": folder, "hosts": list(hosts)}


class FilterModule:
    """The filter, under its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"run_parts": run_parts}

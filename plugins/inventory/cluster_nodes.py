# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin that takes the nodes of clusters from their API servers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_nodes
short_description: The nodes of one or several Kubernetes clusters as hosts
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Lists the Node objects of one cluster or several and makes each a host, those that are not ready included, with its address, its facts,
    and groups by cluster, pool and role.
  - Its file ends in C(cluster_nodes.yml) or C(cluster_nodes.yaml).
  - Node names, labels and addresses are taken for hostile. None is a template, an address is nothing but an IP address or a host name, and
    neither another source's host or group nor C(localhost) is touched.
  - What it sets is what the roles of this collection look for, so that evidence is asked of the API server that the hosts came from.
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [kubecare.kubelet_certs.cluster_nodes]
  cluster_name:
    description: The name of the cluster, where O(clusters) is not given.
    type: str
    default: kubernetes
  clusters:
    description:
      - Several clusters, each with a C(name) and any of the options by which this plugin reaches an API server, as O(kubeconfig) and O(context).
        Beside it these options are not given themselves.
      - A name is of letters, digits, C(-) and C(_).
      - E(K8S_AUTH_HOST), E(K8S_AUTH_CONTEXT) and the environment's credentials would mean one cluster, and are refused with more than one.
    type: list
    elements: dict
  hostname:
    description:
      - What hosts are named, with C({node}) and C({cluster}) in it. By default V({node}) of one cluster, V({node}.{cluster}) of several, in
        which nodes of one name stay apart.
    type: str
  address_types:
    description:
      - Which of a node's addresses is C(ansible_host), the first of these that it has and that may be used.
      - A node's kubelet writes its own addresses. See O(address_networks).
    type: list
    elements: str
    choices: [InternalIP, ExternalIP, InternalDNS, ExternalDNS, Hostname]
    default: [InternalIP, ExternalIP, InternalDNS, ExternalDNS, Hostname]
  address_networks:
    description:
      - Networks that an address must be in, as V(10.0.0.0/8). Names are then not used, as they can lead anywhere.
      - By default any but loopback, link-local, multicast and unspecified addresses, which are used only where a network of this list holds them.
    type: list
    elements: str
    default: []
  label_selectors:
    description: Labels that nodes must have, as V(kubernetes.io/os=linux). The API server selects by all of them.
    type: list
    elements: str
    default: []
  pool_label:
    description: A label of nodes that names their pool. It goes before those that providers give.
    type: str
  label_groups:
    description: Labels by whose values to make groups, V(topology.kubernetes.io/zone) being the groups C(k8s_label_topology_kubernetes_io_zone_<value>).
    type: list
    elements: str
    default: []
  group_prefix:
    description: What the names of the groups that it makes by itself begin with, so that no label names a group of another source.
    type: str
    default: k8s_
  request_timeout:
    description: Seconds that one request may take.
    type: int
    default: 30
  page_size:
    description: Nodes asked for in one request, where the API server does not answer from its cache, which gives all at once.
    type: int
    default: 500
  strict:
    description:
      - Fail where a cluster cannot be listed, which by default is a warning as long as another one could be, and where a composed variable or
        group cannot be made.
    type: bool
    default: false
notes:
  - Of the options to reach an API server, strings may be templates, so that a token can come from a vault or a lookup.
  - Hosts get the variables C(ansible_host), C(kubelet_certs_cluster), C(kubelet_certs_node_name), and C(kubelet_certs_node) with C(name),
    C(uid), C(created), C(ready), C(control_plane), C(pool), C(unschedulable), C(kubelet_version), C(os_image), C(provider_id), C(labels),
    C(taints) and C(addresses).
  - Groups are C(k8s_cluster_<name>), C(k8s_control_plane), C(k8s_not_ready), C(k8s_pool_<pool>), and those of O(label_groups). What is no letter,
    digit or C(_) in them becomes C(_).
  - All hosts get C(kubelet_certs_clusters), the options of each cluster. Options with credentials (O(api_key), O(password), O(proxy_headers), a
    O(kubeconfig) that is a dictionary) are not handed on; give the roles that variable from a vault then.
  - A host without an address that may be used gets a name that never resolves as C(ansible_host), and so counts as unreachable.
  - The list is asked for with C(resourceVersion=0), which the API server answers from memory. It may be seconds old.
seealso:
  - plugin: ansible.builtin.constructed
    plugin_type: inventory
extends_documentation_fragment:
  - kubecare.kubelet_certs.k8s_auth
  - constructed
  - inventory_cache
"""

EXAMPLES = r"""
# nodes.cluster_nodes.yml: the cluster of the usual kubeconfig
plugin: kubecare.kubelet_certs.cluster_nodes

---
# Two clusters in one run. A context each, addresses of the nodes' networks only.
plugin: kubecare.kubelet_certs.cluster_nodes
clusters:
  - name: prod
    context: prod-admin
  - name: test
    kubeconfig: ~/.kube/test
address_networks: [10.0.0.0/8, 2001:db8::/32]

---
# Linux nodes, by zone and by a team's own pools, with what the provider calls them as a variable
plugin: kubecare.kubelet_certs.cluster_nodes
kubeconfig: ~/.kube/config
label_selectors: [kubernetes.io/os=linux]
pool_label: example.org/pool
label_groups: [topology.kubernetes.io/zone]
compose:
  machine: kubelet_certs_node.provider_id
keyed_groups:
  - {prefix: kubelet, key: kubelet_certs_node.kubelet_version}

---
# A token from the environment, and a cache of five minutes
plugin: kubecare.kubelet_certs.cluster_nodes
host: https://api.example.org:6443
ca_cert: /etc/kubernetes/pki/ca.crt
api_key: "{{ lookup('ansible.builtin.env', 'AUDIT_TOKEN') }}"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_timeout: 300
cache_connection: ~/.cache/cluster_nodes
"""

import ipaddress
import json
import os
import re
import tempfile
import typing as t
from collections.abc import Mapping

from ansible.constants import LOCALHOST
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._access import (
    KUBERNETES_IMPORT_ERROR,
    KUBERNETES_REQUIREMENT,
    ConfigurationMistake,
    access,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._auth_arguments import ALIASES, AUTH_ARGUMENTS
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._nodes import NODES, node_record
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._paging import list_all
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._node_hosts import (
    NO_ADDRESS,
    choose_address,
    facts_of,
    host_name,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._pools import pool_of
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import CLUSTER_NAME
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._several_clusters import shared_credentials

Data = dict[str, t.Any]

_CONNECTION = {*AUTH_ARGUMENTS, *ALIASES}
_SECRET = {"api_key", "password", "proxy_headers"}
_SHOWN = 5


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """See DOCUMENTATION."""

    NAME = "kubecare.kubelet_certs.cluster_nodes"
    inventory: t.Any

    def verify_file(self, path: str) -> bool:
        """Whether the file's name says that it is for this plugin."""
        return bool(super().verify_file(path)) and path.endswith(("cluster_nodes.yml", "cluster_nodes.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Lists the nodes and adds them. Raises AnsibleParserError naming the file, the cluster or the option that is wrong."""
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        if KUBERNETES_IMPORT_ERROR:
            raise AnsibleParserError(missing_required_lib(KUBERNETES_REQUIREMENT))
        try:
            self._check(config)
            clusters = self._clusters(config)
            listed = self._listed(path, clusters, cache)
            self._hand_on(clusters)
            for name, nodes in listed.items():
                self._add_cluster(name, nodes, len(clusters) > 1)
        except (AnsibleError, ConfigurationMistake) as error:
            raise AnsibleParserError(f"{path}: {error}") from None

    def _check(self, config: Data) -> None:
        """Refuses what would else be passed over in silence: a misspelled allow-list is none."""
        unknown = sorted(set(map(str, config)) - set(self._options) - _CONNECTION)
        if unknown:
            raise AnsibleParserError(f"unknown options {', '.join(unknown)}")
        for option in ("request_timeout", "page_size"):
            if self.get_option(option) < 1:
                raise AnsibleParserError(f"option {option}: must be at least 1")
        try:
            self._networks = [ipaddress.ip_network(str(one)) for one in self.get_option("address_networks")]
        except ValueError as error:
            raise AnsibleParserError(f"option address_networks: {error}") from None
        pattern = self.get_option("hostname")
        if pattern is not None and not re.fullmatch(
            r"[A-Za-z0-9._-]*", pattern.replace("{node}", "").replace("{cluster}", "")
        ):
            raise AnsibleParserError("option hostname: holds {node}, {cluster}, letters, digits, '.', '_' and '-'")
        if pattern is not None and "{node}" not in pattern:
            raise AnsibleParserError("option hostname: must hold {node}")

    def _clusters(self, config: Data) -> dict[str, Data]:
        """The options to reach each cluster, by its name."""
        own = {key: config[key] for key in config if key in _CONNECTION}
        several = self.get_option("clusters")
        if several is None:
            return {_cluster_name(self.get_option("cluster_name"), "option cluster_name"): self._connection(own)}
        if own:
            raise AnsibleParserError(f"{', '.join(sorted(own))}: beside the option clusters, each cluster has its own")
        if not several:
            raise AnsibleParserError("option clusters: names none")
        found: dict[str, Data] = {}
        for number, entry in enumerate(several, 1):
            name = _cluster_name(entry.get("name"), f"option clusters, entry {number}")
            unknown = sorted(set(map(str, entry)) - _CONNECTION - {"name"})
            if name in found or unknown:
                what = f"unknown options {', '.join(unknown)}" if unknown else "the name is given twice"
                raise AnsibleParserError(f"option clusters, {name}: {what}")
            found[name] = self._connection({key: value for key, value in entry.items() if key != "name"})
        if len(found) > 1 and (shared := shared_credentials(os.environ)):
            raise AnsibleParserError(f"{', '.join(shared)} would be taken for each of several clusters: unset it")
        return found

    def _connection(self, given: Data) -> Data:
        """Options as plain values, with templates filled in; options are named as in ``AUTH_ARGUMENTS``."""
        self.templar.available_variables = self._vars or {}
        filled = {ALIASES.get(key, key): self.templar.template(value) for key, value in given.items()}
        plain = json.loads(json.dumps(filled, default=str))
        return {key: value for key, value in plain.items() if value is not None}

    def _listed(self, path: str, clusters: dict[str, Data], cache: bool) -> dict[str, list[Data]]:
        """The nodes of each cluster, of the cache where they are there. A cluster that cannot be listed is left out, unless none can or strict."""
        caching = self.get_option("cache")
        key = self.get_cache_key(path)
        kept = (self._cache.get(key) if caching and cache else None) or {}
        listed, failed = {}, []
        for name, options in clusters.items():
            if _is_list_of_nodes(kept.get(name)):
                listed[name] = kept[name]
                continue
            try:
                listed[name] = self._list(name, options)
            except ApiError as error:
                failed.append(f"cluster {name}: its nodes cannot be listed: {error.message}")
                if self.get_option("strict") or len(failed) == len(clusters):
                    raise AnsibleParserError("; ".join(failed)) from None
        for message in failed:
            self.display.warning(f"{path}: {message}. Its nodes are missing from the inventory")
        if caching:
            self._cache[key] = listed
        return listed

    def _list(self, name: str, options: Data) -> list[Data]:
        validator = ArgumentSpecValidator(AUTH_ARGUMENTS)
        checked = validator.validate(options)
        if checked.error_messages:
            raise ConfigurationMistake(f"cluster {name}: {'; '.join(checked.error_messages)}")
        selector = ",".join(self.get_option("label_selectors"))
        query = {"resourceVersion": "0", **({"labelSelector": selector} if selector else {})}
        with tempfile.TemporaryDirectory(prefix="cluster_nodes-") as temporary:
            try:
                api = Api(access(checked.validated_parameters, temporary), self.get_option("request_timeout"))
            except ConfigurationMistake as error:
                raise ConfigurationMistake(f"cluster {name}: {error}") from None
            for warning in api.access.warnings:
                self.display.warning(f"cluster {name}: kubernetes client: {warning}")
            nodes = list_all(
                api, NODES, self.get_option("page_size"), lambda node: facts_of(node_record(node)), **query
            )
        return sorted(nodes, key=lambda node: str(node["name"]))

    def _hand_on(self, clusters: dict[str, Data]) -> None:
        """Tells the roles how to reach each cluster, but no credential: variables are shown by many."""
        known = dict(self.inventory.groups["all"].get_vars().get("kubelet_certs_clusters") or {})
        for name, options in clusters.items():
            secret = _SECRET & set(options) or isinstance(options.get("kubeconfig"), dict)
            told = None if secret else options
            if name in known and known[name] != told:
                raise AnsibleParserError(f"cluster {name}: another source has a cluster of this name: give it another")
            known[name] = told
        self.inventory.set_variable("all", "kubelet_certs_clusters", wrap_var(known))

    def _add_cluster(self, cluster: str, nodes: list[Data], several: bool) -> None:
        pattern = self.get_option("hostname") or ("{node}.{cluster}" if several else "{node}")
        group = self._group("cluster", cluster)
        passed_over, without_address = [], []
        for node in nodes:
            try:
                host = host_name(pattern, str(node["name"]), cluster)
                self._refuse_taken(host)
            except ValueError as error:
                passed_over.append(f"{str(node['name'])[:64]!r}: {error}")
                continue
            address, refused = choose_address(node["addresses"], self.get_option("address_types"), self._networks)
            if address is None:
                without_address.append(f"{host}: {', '.join(refused[:_SHOWN]) or 'it has none of address_types'}")
            node = {**node, "pool": pool_of(node["labels"], self.get_option("pool_label"))}
            self._add_host(host, group, cluster, node, address or NO_ADDRESS)
        for found, what in (
            (passed_over, "nodes that cannot be hosts"),
            (without_address, "nodes without an address that may be used"),
        ):
            if found:
                more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
                self.display.warning(f"cluster {cluster}: {what}: {'; '.join(found[:_SHOWN])}{more}")

    def _refuse_taken(self, host: str) -> None:
        """Raises ValueError where a node would change what is not its own: a node's name is chosen by who registers it."""
        if host in LOCALHOST:
            raise ValueError("a host of this name is the control node")
        if host in self.inventory.groups:
            raise ValueError("there is a group of this name")
        if host in self.inventory.hosts:
            raise ValueError("there is a host of this name already, which is left as it is")

    def _add_host(self, host: str, group: str, cluster: str, node: Data, address: str) -> None:
        variables: Data = wrap_var(
            {
                "ansible_host": address,
                "kubelet_certs_cluster": cluster,
                "kubelet_certs_node_name": node["name"],
                "kubelet_certs_node": node,
            }
        )
        self.inventory.add_host(host, group=group)
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        groups = [self._group("pool", node["pool"])] if node["pool"] else []
        groups += [
            self._group(name)
            for name, wanted in (("control_plane", node["control_plane"]), ("not_ready", not node["ready"]))
            if wanted
        ]
        groups += [
            self._group("label", label, node["labels"][label])
            for label in self.get_option("label_groups")
            if label in node["labels"]
        ]
        for name in groups:
            self.inventory.add_child(name, host)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)

    def _group(self, *parts: str) -> str:
        """The group of this name, made if it is not there."""
        name = to_safe_group_name(self.get_option("group_prefix") + "_".join(parts), force=True, silent=True)
        return str(self.inventory.add_group(name))


def _cluster_name(name: t.Any, where: str) -> str:
    if not isinstance(name, str) or not CLUSTER_NAME.fullmatch(name):
        raise AnsibleParserError(f"{where}: {name!r} is no name of a cluster: letters, digits, - and _ make one")
    return str(name)


def _is_list_of_nodes(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(node, Mapping) and "addresses" in node for node in value)

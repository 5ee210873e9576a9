# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of nodes, by real ``ansible-inventory`` against an API server that answers over HTTP."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.inventory import cluster_nodes
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._auth_arguments import AUTH_ARGUMENTS

NODES = "/api/v1/nodes"
PLUGIN = "kubecare.kubelet_certs.cluster_nodes"
ZONE = "topology.kubernetes.io/zone"

Data = dict[str, t.Any]


def node(name: str, *addresses: str, ready: str = "True", **labels: str) -> Data:
    """A Node object; of ``addresses`` each is of the type that it looks like, or ``Type=address``."""
    pairs = [address.split("=", 1) if "=" in address else ("InternalIP", address) for address in addresses]
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels},
        "spec": {"providerID": f"cloud:///{name}"},
        "status": {
            "addresses": [{"type": kind, "address": address} for kind, address in pairs],
            "conditions": [{"type": "Ready", "status": ready}],
            "nodeInfo": {"kubeletVersion": "v1.36.3"},
        },
    }


class Listed(t.NamedTuple):
    """What ``ansible-inventory --list`` printed."""

    content: Data
    said: str
    raw: str

    def hosts(self, group: str) -> list[str]:
        return list(self.content.get(group, {}).get("hosts", []))

    def variables(self, host: str) -> Data:
        return dict(self.content["_meta"]["hostvars"][host])

    @property
    def every_host(self) -> list[str]:
        return sorted(self.content["_meta"]["hostvars"])


def _plain(value: Data) -> t.Any:
    """Texts without the mark by which Ansible prints that they are no templates."""
    return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else value


class Inventory:
    """Runs ``ansible-inventory`` on files in a folder of its own."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}

    def kubeconfig(self, url: str, name: str = "kubeconfig") -> str:
        content = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "kubeconfigs-t0ken"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (self.folder / name).write_text(json.dumps(content))
        return str(self.folder / name)

    def run(
        self, *configs: Data, words: t.Sequence[str] = ("--list",), more: t.Sequence[str] = ()
    ) -> tuple[int, str, str]:
        sources = []
        for number, config in enumerate(configs):
            path = self.folder / f"{number}.cluster_nodes.yml"
            path.write_text(yaml.safe_dump({"plugin": PLUGIN, **config}))
            sources += ["-i", str(path)]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KUBE", "K8S_"))
        }
        environment |= {
            "HOME": str(self.folder),
            "ANSIBLE_COLLECTIONS_PATH": next(
                path for path in sys.path if (pathlib.Path(path) / "ansible_collections/kubecare").is_dir()
            ),
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
            "NO_PROXY": "*",
            **self.environment,
        }
        words = [sys.executable, "-m", "ansible.cli.inventory", *more, *sources, *words]
        done = subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
        )
        return done.returncode, done.stdout, " ".join(done.stderr.split())

    def listed(self, *configs: Data, more: t.Sequence[str] = ()) -> Listed:
        status, out, said = self.run(*configs, more=more)
        assert status == 0, said
        return Listed(json.loads(out, object_hook=_plain), said, out)

    def refused(self, *configs: Data) -> str:
        status, out, said = self.run(*configs)
        assert status != 0, out
        assert "Traceback" not in said
        return said


@pytest.fixture
def inventory(tmp_path: pathlib.Path) -> Inventory:
    return Inventory(tmp_path)


@pytest.fixture
def second_server(tls_server: t.Any, api_server: t.Any) -> t.Iterator[t.Any]:
    other = type(api_server)()
    yield other
    other.close()


def test_nodes_are_hosts_in_groups_those_that_are_not_ready_too(inventory: Inventory, api_server: t.Any) -> None:
    api_server.serve_list(
        NODES,
        [
            node("cp1", "10.0.0.1", **{"node-role.kubernetes.io/control-plane": "", ZONE: "eu-1"}),
            node(
                "w1",
                "Hostname=w1",
                "10.0.0.2",
                "ExternalIP=203.0.113.2",
                **{"eks.amazonaws.com/nodegroup": "big-ones", ZONE: "eu-2"},
            ),
            node("w2", "10.0.0.3", ready="Unknown", **{"eks.amazonaws.com/nodegroup": "big-ones"}),
        ],
    )
    found = inventory.listed(
        {
            "kubeconfig": inventory.kubeconfig(api_server.url),
            "label_groups": [ZONE],
            "compose": {"machine": "kubelet_certs_node.provider_id", "wrong": "no.such.thing"},
            "groups": {"first": "kubelet_certs_node.name == 'w1'"},
            "keyed_groups": [{"prefix": "version", "key": "kubelet_certs_node.kubelet_version"}],
        }
    )
    assert found.every_host == ["cp1", "w1", "w2"]
    assert found.hosts("k8s_cluster_kubernetes") == ["cp1", "w1", "w2"]
    assert found.hosts("k8s_control_plane") == ["cp1"]
    assert found.hosts("k8s_not_ready") == ["w2"]
    assert found.hosts("k8s_pool_big_ones") == ["w1", "w2"]
    assert found.hosts("k8s_label_topology_kubernetes_io_zone_eu_2") == ["w1"]
    assert found.hosts("first") == ["w1"]
    assert len([name for name in found.content if name.startswith("version_v1")]) == 1
    variables = found.variables("w1")
    assert variables["ansible_host"] == "10.0.0.2"
    assert variables["machine"] == "cloud:///w1"
    assert "wrong" not in variables
    assert variables["kubelet_certs_node_name"] == "w1"
    assert variables["kubelet_certs_cluster"] == "kubernetes"
    assert variables["kubelet_certs_node"]["kubelet_version"] == "v1.36.3"
    assert variables["kubelet_certs_clusters"] == {"kubernetes": {"kubeconfig": inventory.kubeconfig(api_server.url)}}
    (asked,) = api_server.asked
    assert asked.query == {"resourceVersion": "0", "limit": "500"}


def test_a_long_list_is_read_page_by_page_and_selected_by_the_server(inventory: Inventory, api_server: t.Any) -> None:
    api_server.serve_list(
        NODES, [node(f"n{number}", f"10.0.0.{number}", os="linux" if number % 2 else "windows") for number in range(10)]
    )
    config = {"kubeconfig": inventory.kubeconfig(api_server.url), "page_size": 2, "label_selectors": ["os=linux"]}
    assert inventory.listed(config).every_host == ["n1", "n3", "n5", "n7", "n9"]
    assert [asked.query.get("continue") for asked in api_server.asked] == [None, "2", "4"]


def test_nodes_of_one_name_in_two_clusters_stay_apart(
    inventory: Inventory, api_server: t.Any, second_server: t.Any
) -> None:
    api_server.serve_list(NODES, [node("node1", "10.0.0.1")])
    second_server.serve_list(NODES, [node("node1", "10.9.9.9")])
    clusters = [
        {"name": "prod", "kubeconfig": inventory.kubeconfig(api_server.url, "a")},
        {"name": "test", "kubeconfig": inventory.kubeconfig(second_server.url, "b")},
    ]
    found = inventory.listed({"clusters": clusters})
    assert found.every_host == ["node1.prod", "node1.test"]
    assert found.hosts("k8s_cluster_prod") == ["node1.prod"]
    assert found.variables("node1.prod")["ansible_host"] == "10.0.0.1"
    assert found.variables("node1.test")["ansible_host"] == "10.9.9.9"
    assert found.variables("node1.test")["kubelet_certs_clusters"]["prod"] == {
        "kubeconfig": str(inventory.folder / "a")
    }
    named = inventory.listed({"clusters": clusters, "hostname": "{cluster}-{node}"})
    assert named.every_host == ["prod-node1", "test-node1"]
    without_cluster = inventory.listed({"clusters": clusters, "hostname": "{node}"})
    assert without_cluster.variables("node1")["ansible_host"] == "10.0.0.1"
    assert "there is a host of this name already" in without_cluster.said


def test_a_cluster_that_does_not_answer_is_said_and_the_others_are_there(
    inventory: Inventory, api_server: t.Any
) -> None:
    api_server.serve_list(NODES, [node("node1", "10.0.0.1")])
    clusters = [
        {"name": "down", "kubeconfig": inventory.kubeconfig("http://127.0.0.1:1", "a")},
        {"name": "up", "kubeconfig": inventory.kubeconfig(api_server.url, "b")},
    ]
    found = inventory.listed({"clusters": clusters})
    assert found.every_host == ["node1.up"]
    assert (
        "0.cluster_nodes.yml: cluster down: its nodes cannot be listed: http://127.0.0.1:1: no connection" in found.said
    )
    assert sorted(found.variables("node1.up")["kubelet_certs_clusters"]) == ["down", "up"]
    assert "cluster down: its nodes cannot be listed" in inventory.refused({"clusters": clusters, "strict": True})
    assert "cluster down: its nodes cannot be listed" in inventory.refused({"clusters": clusters[:1]})


HOSTILE = "{{ lookup('ansible.builtin.pipe', 'touch pwned') }}"


def test_what_a_node_says_is_no_template_and_leads_nowhere_else(inventory: Inventory, api_server: t.Any) -> None:
    api_server.serve_list(
        NODES,
        [
            node("jinja", f"Hostname={HOSTILE}", **{"pool": HOSTILE, "eks.amazonaws.com/nodegroup": HOSTILE}),
            node("option", "-oProxyCommand=touch pwned", "Hostname=-oProxyCommand=touch${IFS}pwned"),
            node(
                "own", "127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1%eth0", "0.0.0.0", "224.0.0.1"
            ),
            node("names", "Hostname=localhost", "InternalDNS=2130706433", "ExternalDNS=127.1", "Hostname=x.0x7f000001"),
            node("good", "Hostname=good.example.org"),
            node("localhost", "10.0.0.1"),
            node("all", "10.0.0.1"),
            node(HOSTILE, "10.0.0.1"),
            node("../../x", "10.0.0.1"),
        ],
    )
    config = {
        "kubeconfig": inventory.kubeconfig(api_server.url),
        "label_groups": ["pool"],
        "compose": {"composed": "kubelet_certs_node.labels.pool", "joined": "'x' ~ kubelet_certs_node.labels.pool"},
        "keyed_groups": [{"key": "kubelet_certs_node.labels"}],
    }
    found = inventory.listed(config)
    assert found.every_host == ["good", "jinja", "names", "option", "own"]
    assert found.raw.count(f'"__ansible_unsafe": "{HOSTILE}"') == found.raw.count(f'"{HOSTILE}"') > 2
    addresses = {host: found.variables(host)["ansible_host"] for host in found.every_host}
    unusable = "no-usable-address.invalid"
    assert addresses == {
        "good": "good.example.org",
        "jinja": unusable,
        "names": unusable,
        "option": unusable,
        "own": unusable,
    }
    assert "'127.0.0.1' is no address of a machine in a network" in found.said
    assert "a host of this name is the control node" in found.said
    assert "there is a group of this name" in found.said
    assert any(name.startswith("k8s_label_pool____lookup") for name in found.content)
    play = [{"hosts": "jinja", "connection": "local", "gather_facts": False, "tasks": [
        {"ansible.builtin.debug": {"msg": "{{ kubelet_certs_node }} {{ composed }} {{ joined }} {{ ansible_host }}"}},
        {"ansible.builtin.debug": {"var": "kubelet_certs_node.labels.pool"}},
        {"ansible.builtin.debug": {"msg": "{{ group_names }}"}},
    ]}]  # fmt: skip
    (inventory.folder / "play.yml").write_text(json.dumps(play))
    environment = {**os.environ, "HOME": str(inventory.folder), "ANSIBLE_COLLECTIONS_PATH": next(
        path for path in sys.path if (pathlib.Path(path) / "ansible_collections/kubecare").is_dir())}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "-i", "0.cluster_nodes.yml", "play.yml"],
        cwd=inventory.folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("touch pwned") >= 4
    assert not (inventory.folder / "pwned").exists()


def test_an_allow_list_of_networks_holds_addresses_and_no_names(inventory: Inventory, api_server: t.Any) -> None:
    api_server.serve_list(
        NODES,
        [
            node("inside", "192.0.2.1", "ExternalIP=10.1.2.3"),
            node("outside", "192.0.2.1", "Hostname=outside.example.org"),
            node("six", "2001:db8::5"),
            node("mapped", "::ffff:10.0.0.9"),
        ],
    )
    config = {"kubeconfig": inventory.kubeconfig(api_server.url), "address_networks": ["10.0.0.0/8", "2001:db8::/32"]}
    found = inventory.listed(config)
    assert {host: found.variables(host)["ansible_host"] for host in found.every_host} == {
        "inside": "10.1.2.3",
        "mapped": "::ffff:10.0.0.9",
        "outside": "no-usable-address.invalid",
        "six": "2001:db8::5",
    }
    assert "outside: '192.0.2.1' is in none of address_networks, 'outside.example.org' is a name" in found.said


def test_a_host_of_another_source_is_left_as_it_is(inventory: Inventory, api_server: t.Any) -> None:
    api_server.serve_list(NODES, [node("db1", "10.66.66.66")])
    (inventory.folder / "hosts.ini").write_text("db1 ansible_host=192.0.2.1\n")
    found = inventory.listed({"kubeconfig": inventory.kubeconfig(api_server.url)}, more=["-i", "hosts.ini"])
    assert found.variables("db1")["ansible_host"] == "192.0.2.1"
    assert "'db1': there is a host of this name already, which is left as it is" in found.said


def test_no_credential_is_handed_on(inventory: Inventory, api_server: t.Any) -> None:
    api_server.serve_list(NODES, [node("n1", "10.0.0.1")])
    inventory.environment["AUDIT_TOKEN"] = "s3cret-t0ken"
    config = {"host": api_server.url, "api_key": "{{ lookup('ansible.builtin.env', 'AUDIT_TOKEN') }}"}
    status, out, said = inventory.run(config, words=["--list", "-vvvv"])
    assert status == 0, said
    assert api_server.asked[0].headers["Authorization"] == "Bearer s3cret-t0ken"
    assert "s3cret" not in out + said
    assert json.loads(out[out.index("{") :])["_meta"]["hostvars"]["n1"]["kubelet_certs_clusters"] == {
        "kubernetes": None
    }


def test_the_environment_says_how_to_reach_one_cluster_and_never_several(
    inventory: Inventory, api_server: t.Any
) -> None:
    api_server.serve_list(NODES, [node("n1", "10.0.0.1")])
    inventory.environment |= {"K8S_AUTH_HOST": api_server.url, "K8S_AUTH_API_KEY": "s3cret-t0ken"}
    found = inventory.listed({})
    assert found.every_host == ["n1"]
    assert found.variables("n1")["kubelet_certs_clusters"] == {"kubernetes": {}}
    clusters = [{"name": name, "kubeconfig": inventory.kubeconfig(api_server.url)} for name in ("a", "b")]
    said = inventory.refused({"clusters": clusters})
    assert "K8S_AUTH_HOST, K8S_AUTH_API_KEY would be taken for each of several clusters" in said
    assert "s3cret" not in said


def test_the_cache_spares_the_api_server_and_what_it_lacks_is_asked(inventory: Inventory, api_server: t.Any) -> None:
    api_server.serve_list(NODES, [node("n1", "10.0.0.1", pool=HOSTILE)])
    broken = inventory.kubeconfig("http://127.0.0.1:1", "b")
    config = {
        "clusters": [
            {"name": "up", "kubeconfig": inventory.kubeconfig(api_server.url)},
            {"name": "late", "kubeconfig": broken},
        ],
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(inventory.folder / "cache"),
    }
    first = inventory.listed(config)
    assert first.every_host == ["n1.up"]
    inventory.kubeconfig(api_server.url, "b")
    second = inventory.listed(config)
    assert second.every_host == ["n1.late", "n1.up"]
    assert len(api_server.asked) == 2
    assert second.variables("n1.up") == first.variables("n1.up")
    (kept,) = (inventory.folder / "cache").iterdir()
    assert "t0ken" not in kept.read_text()


WRONG: list[tuple[Data, str]] = [
    ({"adress_networks": []}, "unknown options adress_networks"),
    ({"address_networks": ["10.0.0.1/8"]}, "option address_networks: 10.0.0.1/8 has host bits set"),
    ({"address_types": ["Anything"]}, "Anything"),
    ({"hostname": "{cluster}"}, "option hostname: must hold {node}"),
    ({"hostname": "{node} -x"}, "option hostname: holds {node}"),
    ({"cluster_name": "a.b"}, "option cluster_name: 'a.b' is no name of a cluster"),
    ({"kubeconfig": "no-such-file"}, "cluster kubernetes: option kubeconfig: no-such-file: there is no such file"),
    ({"validate_certs": "perhaps"}, "cluster kubernetes: "),
    ({"clusters": []}, "option clusters: names none"),
    ({"clusters": [{"kubeconfig": "x"}]}, "option clusters, entry 1: None is no name of a cluster"),
    ({"clusters": [{"name": "a", "kubconfig": "x"}]}, "option clusters, a: unknown options kubconfig"),
    ({"clusters": [{"name": "a"}, {"name": "a"}]}, "option clusters, a: the name is given twice"),
    (
        {"clusters": [{"name": "a"}], "context": "x"},
        "context: beside the option clusters, each cluster has its own",
    ),
    ({"page_size": 0}, "option page_size: must be at least 1"),
]


def test_wrong_input_is_refused_by_file_and_option(inventory: Inventory) -> None:
    said = inventory.refused(*(config for config, _words in WRONG))
    parts = said.split("Failed to parse inventory with 'auto' plugin: ")
    for number, (_config, words) in enumerate(WRONG):
        assert any(words in part for part in parts if f"/{number}.cluster_nodes.yml" in part), words


def test_one_name_for_two_clusters_in_two_sources_is_refused(
    inventory: Inventory, api_server: t.Any, second_server: t.Any
) -> None:
    for server in (api_server, second_server):
        server.serve_list(NODES, [node(f"n{server.port}", "10.0.0.1")])
    said = inventory.run(
        {"kubeconfig": inventory.kubeconfig(api_server.url, "a")},
        {"kubeconfig": inventory.kubeconfig(second_server.url, "b")},
    )[2]
    assert "1.cluster_nodes.yml: cluster kubernetes: another source has a cluster of this name" in said


def test_documented_options_are_those_that_are_taken() -> None:
    documentation = yaml.safe_load(cluster_nodes.DOCUMENTATION)
    assert documentation["options"]["plugin"]["choices"] == [PLUGIN]
    assert f"{PLUGIN.rsplit('.', 1)[0]}.k8s_auth" in documentation["extends_documentation_fragment"]
    assert not set(documentation["options"]) & set(AUTH_ARGUMENTS)
    for example in cluster_nodes.EXAMPLES.split("\n---\n"):
        known = {*documentation["options"], *AUTH_ARGUMENTS, "compose", "keyed_groups", "groups"}
        assert {key for key in yaml.safe_load(example) if not key.startswith("cache")} <= known

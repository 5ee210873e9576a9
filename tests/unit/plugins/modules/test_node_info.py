# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
EVENTS = "/api/v1/events"


def node(name: str = "worker-7") -> dict[str, t.Any]:
    return {
        "metadata": {
            "name": name,
            "uid": "u-1",
            "creationTimestamp": "2026-01-10T08:00:00Z",
            "labels": {"kubernetes.io/os": "linux"},
            "managedFields": [
                {"manager": "kubelet", "operation": "Update", "subresource": "status", "time": "2026-11-23T20:00:00Z"},
                {
                    "manager": "kubectl-taint",
                    "operation": "Update",
                    "time": "2026-11-01T00:00:00Z",
                    "fieldsV1": {"f:spec": {}},
                },
            ],
        },
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}], "unschedulable": True, "providerID": "aws:///i-1"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.7"}],
            "conditions": [
                {
                    "type": "Ready",
                    "status": "Unknown",
                    "reason": "NodeStatusUnknown",
                    "message": "Kubelet stopped posting node status.",
                    "lastHeartbeatTime": "2026-11-23T19:00:00Z",
                    "lastTransitionTime": "2026-11-23T19:01:00+01:00",
                }
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "kubeletVersion": "v1.36.3",
                "containerRuntimeVersion": "containerd://1.7",
                "osImage": "Debian",
                "kernelVersion": "6.1",
                "machineID": "m",
                "bootID": "b",
            },
        },
    }


def lease(name: str) -> dict[str, t.Any]:
    spec = {"holderIdentity": name, "renewTime": "2026-11-23T20:05:00.123456Z", "leaseDurationSeconds": 40}
    return {"metadata": {"name": name}, "spec": spec}


def event(name: str, last: str | None = None, **more: t.Any) -> dict[str, t.Any]:
    source = {"component": "kubelet", "host": name}
    base = {
        "metadata": {"name": "e"},
        "type": "Normal",
        "reason": "Starting",
        "message": "m",
        "count": 3,
        "source": source,
    }
    base |= {
        "involvedObject": {"kind": "Node", "name": name, "uid": name},
        "lastTimestamp": last,
        "firstTimestamp": "2026-11-23T10:00:00Z",
    }
    return base | more


@pytest.fixture
def cluster(api_server: t.Any) -> t.Any:
    api_server.serve_list(NODES, [node("b"), node("a")])
    api_server.serve_list(LEASES, [lease("a")])
    api_server.serve_list(EVENTS, [])
    return api_server


def test_a_node_as_the_contract_has_it(run_module: t.Any, cluster: t.Any) -> None:
    result = run_module("node_info", host=cluster.url, api_key="t0ken-of-tests").result
    assert [entry["name"] for entry in result["nodes"]] == ["a", "b"]
    assert result["not_seen"] == []
    assert result["requests"] == 3
    assert result["nodes"][0] == {
        "name": "a",
        "uid": "u-1",
        "created": "2026-01-10T08:00:00Z",
        "deleting": False,
        "labels": {"kubernetes.io/os": "linux"},
        "taints": [{"key": "k", "value": None, "effect": "NoSchedule"}],
        "unschedulable": True,
        "provider_id": "aws:///i-1",
        "addresses": [{"type": "InternalIP", "address": "10.0.0.7"}],
        "conditions": [
            {
                "type": "Ready",
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "last_heartbeat": "2026-11-23T19:00:00Z",
                "last_transition": "2026-11-23T18:01:00Z",
            }
        ],
        "kubelet_version": "v1.36.3",
        "container_runtime_version": "containerd://1.7",
        "os_image": "Debian",
        "kernel_version": "6.1",
        "machine_id": "m",
        "boot_id": "b",
        "kubelet_port": 10250,
        "managed_fields": [
            {"manager": "kubectl-taint", "operation": "Update", "subresource": None, "time": "2026-11-01T00:00:00Z"},
            {"manager": "kubelet", "operation": "Update", "subresource": "status", "time": "2026-11-23T20:00:00Z"},
        ],
        "lease": {"holder": "a", "acquired": None, "renewed": "2026-11-23T20:05:00Z", "duration_seconds": 40},
        "events": [],
        "events_dropped": 0,
    }
    assert result["nodes"][1]["lease"] is None


def test_events_of_either_api_by_name_and_time(run_module: t.Any, cluster: t.Any) -> None:
    newer = {
        "lastTimestamp": None,
        "firstTimestamp": None,
        "count": None,
        "source": {},
        "reportingComponent": "x",
        "reportingInstance": "h",
    }
    newer |= {
        "eventTime": "2026-11-23T11:00:00.5Z",
        "series": {"count": 9, "lastObservedTime": "2026-11-23T13:00:00.25Z"},
    }
    pod = event("a", "2026-11-23T12:00:00Z") | {"involvedObject": {"kind": "Pod", "name": "a"}}
    cluster.serve_list(
        EVENTS, [event("a", **newer), pod, event("a", "2026-11-23T12:00:00Z"), event("gone", "2026-11-23T12:00:00Z")]
    )
    nodes = {
        entry["name"]: entry
        for entry in run_module("node_info", host=cluster.url, api_key="t0ken-of-tests").result["nodes"]
    }
    assert nodes["b"]["events"] == []
    assert [entry["last_seen"] for entry in nodes["a"]["events"]] == ["2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z"]
    assert nodes["a"]["events"][1] == {
        "type": "Normal",
        "reason": "Starting",
        "message": "m",
        "count": 9,
        "first_seen": "2026-11-23T11:00:00Z",
        "last_seen": "2026-11-23T13:00:00Z",
        "component": "x",
        "host": "h",
    }


def test_only_the_newest_events_are_kept(run_module: t.Any, cluster: t.Any) -> None:
    cluster.serve_list(
        EVENTS, [event("a", f"2026-11-23T12:{n // 60:02}:{n % 60:02}Z", message=str(n)) for n in range(53)]
    )
    found = run_module("node_info", host=cluster.url, api_key="t0ken-of-tests").result["nodes"][0]
    assert [entry["message"] for entry in found["events"]] == [str(n) for n in range(3, 53)]
    assert found["events_dropped"] == 3


def test_without_events(run_module: t.Any, cluster: t.Any) -> None:
    result = run_module("node_info", host=cluster.url, api_key="t0ken-of-tests", events=False).result
    assert result["nodes"][0]["events"] is None
    assert [(entry["subject"], entry["reason"]) for entry in result["not_seen"]] == [("events", "disabled")]
    assert EVENTS not in [asked.path for asked in cluster.asked]


@pytest.mark.parametrize(("path", "subject", "key"), [(LEASES, "leases", "lease"), (EVENTS, "events", "events")])
def test_one_kind_forbidden_leaves_the_others(
    run_module: t.Any, cluster: t.Any, path: str, subject: str, key: str
) -> None:
    message = 'x is forbidden: User "audit" cannot list resource "x" in API group "" at the cluster scope'
    cluster.routes[path] = cluster.reply(403, {"kind": "Status", "message": message})
    result = run_module("node_info", host=cluster.url, api_key="t0ken-of-tests").result
    assert len(result["nodes"]) == 2
    assert result["nodes"][0][key] is None
    assert result["not_seen"] == [{"subject": subject, "reason": "forbidden", "message": f"HTTP 403: {message}"}]


def test_a_few_names_are_read_by_name(run_module: t.Any, cluster: t.Any) -> None:
    cluster.routes[f"{NODES}/a"] = cluster.reply(200, node("a"))
    cluster.serve_list(EVENTS, [event("a", "2026-11-23T12:00:00Z"), event("b", "2026-11-23T12:00:00Z")])
    result = run_module("node_info", host=cluster.url, api_key="t0ken-of-tests", names=["a", "a", "n/o,pe=x"]).result
    assert [entry["name"] for entry in result["nodes"]] == ["a"]
    assert result["nodes"][0]["lease"]["holder"] == "a"
    assert len(result["nodes"][0]["events"]) == 1
    assert [(entry["subject"], entry["reason"]) for entry in result["not_seen"]] == [("nodes.n/o,pe=x", "not_found")]
    selectors = [asked.query["fieldSelector"] for asked in cluster.asked if asked.path == EVENTS]
    assert selectors == [
        "involvedObject.kind=Node,involvedObject.name=a",
        "involvedObject.kind=Node,involvedObject.name=n/o\\,pe\\=x",
    ]
    assert NODES not in [asked.path for asked in cluster.asked]


def test_many_names_are_picked_from_the_list(run_module: t.Any, cluster: t.Any) -> None:
    names = ["a", *(f"absent-{n}" for n in range(20))]
    result = run_module("node_info", host=cluster.url, api_key="t0ken-of-tests", names=names).result
    assert [entry["name"] for entry in result["nodes"]] == ["a"]
    assert len(result["not_seen"]) == 20
    assert result["requests"] == 3

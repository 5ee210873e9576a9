# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Nodes, their leases and their events as ``docs/evidence.md`` (*cluster/node_info.json*) has them."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import (
    Data,
    condition,
    integer,
    labels,
    lease,
    managed_fields,
    mapping,
    moment,
    safe_text,
    sequence,
    text,
    truth,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._paging import list_all

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
EVENTS = "/api/v1/events"

MAX_EVENTS = 50
"""Events kept of one node, the newest; how many more there were is in ``events_dropped``."""

ONE_BY_ONE = 10
"""Up to so many nodes asked for by name are read by name; of more, the whole list is cheaper."""

Item = t.TypeVar("Item")


def node_evidence(api: Api, names: t.Sequence[str], with_events: bool, page_size: int) -> Data:
    """``{nodes, not_seen}``. ``names`` empty: every node. A node asked for that does not exist is in ``not_seen`` as ``nodes.<name>``."""
    not_seen: list[Data] = []
    wanted = list(dict.fromkeys(names))
    try:
        nodes, missing = _nodes(api, wanted, page_size)
    except ApiError as error:
        entries = [error.not_seen("nodes"), error.not_seen("leases")]
        return {"nodes": None, "not_seen": entries + ([error.not_seen("events")] if with_events else [_disabled()])}
    not_seen += missing
    try:
        leases = dict(_by_node(api, wanted, LEASES, page_size, _lease, by_name=True))
    except ApiError as error:
        leases = {}
        not_seen.append(error.not_seen("leases"))
    events: dict[str, list[Data]] | None = None
    if with_events:
        try:
            events = _grouped(_by_node(api, wanted, EVENTS, page_size, _event))
        except ApiError as error:
            not_seen.append(error.not_seen("events"))
    else:
        not_seen.append(_disabled())
    for node in nodes:
        mine = None if events is None else events.get(node["name"], [])
        node["lease"] = leases.get(node["name"])
        node["events"] = None if mine is None else mine[-MAX_EVENTS:]
        node["events_dropped"] = None if mine is None else max(0, len(mine) - MAX_EVENTS)
    return {"nodes": nodes, "not_seen": not_seen}


def node_record(node: Data) -> Data:
    """One Node object, without lease and events."""
    metadata, spec, status = (mapping(node.get(part)) for part in ("metadata", "spec", "status"))
    info = mapping(status.get("nodeInfo"))
    endpoint = mapping(mapping(status.get("daemonEndpoints")).get("kubeletEndpoint"))
    return {
        "name": text(metadata.get("name")) or "",
        "uid": text(metadata.get("uid")),
        "created": moment(metadata.get("creationTimestamp")),
        "deleting": bool(metadata.get("deletionTimestamp")),
        "labels": labels(metadata.get("labels")),
        "taints": [
            {key: text(taint.get(key)) for key in ("key", "value", "effect")}
            for taint in map(mapping, sequence(spec.get("taints")))
        ],
        "unschedulable": truth(spec.get("unschedulable")) or False,
        "provider_id": text(spec.get("providerID")) or None,
        "addresses": [
            {"type": text(address.get("type")), "address": text(address.get("address"))}
            for address in map(mapping, sequence(status.get("addresses")))
        ],
        "conditions": [
            {
                **condition(entry),
                "last_heartbeat": moment(entry.get("lastHeartbeatTime")),
                "last_transition": moment(entry.get("lastTransitionTime")),
            }
            for entry in map(mapping, sequence(status.get("conditions")))
        ],
        "kubelet_version": text(info.get("kubeletVersion")),
        "container_runtime_version": text(info.get("containerRuntimeVersion")),
        "os_image": text(info.get("osImage")),
        "kernel_version": text(info.get("kernelVersion")),
        "machine_id": text(info.get("machineID")),
        "boot_id": text(info.get("bootID")),
        "kubelet_port": integer(endpoint.get("Port")),
        "managed_fields": managed_fields(metadata),
    }


def event_record(event: Data) -> Data:
    """One Event, of either API: ``events.k8s.io`` fills ``eventTime``, ``series`` and the ``reporting`` fields instead of the old ones."""
    metadata, series, source = (mapping(event.get(part)) for part in ("metadata", "series", "source"))
    first = (
        moment(event.get("firstTimestamp"))
        or moment(event.get("eventTime"))
        or moment(metadata.get("creationTimestamp"))
    )
    last = moment(series.get("lastObservedTime")) or moment(event.get("lastTimestamp")) or first
    return {
        "type": text(event.get("type")),
        "reason": text(event.get("reason")),
        "message": safe_text(event.get("message")),
        "count": integer(series.get("count")) or integer(event.get("count")) or 1,
        "first_seen": first,
        "last_seen": last,
        "component": text(source.get("component")) or text(event.get("reportingComponent")) or None,
        "host": text(source.get("host")) or text(event.get("reportingInstance")) or None,
    }


def _nodes(api: Api, wanted: list[str], page_size: int) -> tuple[list[Data], list[Data]]:
    found: list[Data] = []
    missing: list[Data] = []
    if 0 < len(wanted) <= ONE_BY_ONE:
        for name in wanted:
            try:
                found.append(node_record(api.get_json(f"{NODES}/{urllib.parse.quote(name, safe='')}")))
            except ApiError as error:
                if error.status != 404:
                    raise
                missing.append(error.not_seen(f"nodes.{name}"))
    else:
        found = list_all(api, NODES, page_size, node_record)
        if wanted:
            found = [node for node in found if node["name"] in set(wanted)]
            absent = set(wanted) - {node["name"] for node in found}
            missing = [
                {"subject": f"nodes.{name}", "reason": "not_found", "message": f"there is no node {name}"}
                for name in sorted(absent)
            ]
    return sorted(found, key=lambda node: node["name"]), missing


def _by_node(
    api: Api, wanted: list[str], path: str, page_size: int, convert: t.Callable[[Data], Item], by_name: bool = False
) -> list[Item]:
    """Leases or events: of a few nodes one request each, else one list."""
    selector = "" if by_name else "involvedObject.kind=Node"
    if not 0 < len(wanted) <= ONE_BY_ONE:
        return list_all(api, path, page_size, convert, **({"fieldSelector": selector} if selector else {}))
    found: list[Item] = []
    for name in wanted:
        of_name = f"metadata.name={_term(name)}" if by_name else f"{selector},involvedObject.name={_term(name)}"
        found += list_all(api, path, page_size, convert, fieldSelector=of_name)
    return found


def _term(name: str) -> str:
    """Escapes a field selector's value (``apimachinery/pkg/fields``: EscapeValue)."""
    return name.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _lease(item: Data) -> tuple[str, Data]:
    return text(mapping(item.get("metadata")).get("name")) or "", lease(item.get("spec"))


def _event(item: Data) -> tuple[str, Data]:
    """By the node's name: the uid that kubelets write is often its name as well."""
    return text(mapping(item.get("involvedObject")).get("name")) or "", event_record(item)


def _grouped(events: t.Iterable[tuple[str, Data]]) -> dict[str, list[Data]]:
    groups: dict[str, list[Data]] = {}
    for name, event in events:
        groups.setdefault(name, []).append(event)
    for group in groups.values():
        group.sort(key=lambda event: (event["last_seen"] or "", event["first_seen"] or ""))
    return groups


def _disabled() -> Data:
    return {"subject": "events", "reason": "disabled", "message": "the option events is false"}

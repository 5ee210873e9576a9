# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A plan as untrusted input: it may be the artifact of another job, or a file that somebody edited.

Everything is checked before anything is acted on: exact keys, types, lengths, known acts, names, paths, digests. Nothing is corrected.
A plan that was made here goes through the same checks.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import KUBELET_SIGNERS
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._rbac_objects import OBJECTS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._patterns import (
    CERTIFICATES,
    DATED_FILE,
    MAX_FILES,
    MAX_NODE_CHARS,
    MAX_PEM_CHARS,
    MAX_REMOVED,
    MAX_SERVER_CHARS,
    MAX_UNIT_CHARS,
    NODE,
    SERVER,
    SHA256,
    UNIT,
    is_plain_path,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.acts import REGISTRY
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.names import CLUSTER_ACTS, RISKS

SCHEMA = "kubecare.kubelet_certs/plan/1"

MAX_STEPS = 5000
MAX_ITEMS = 10000
MAX_TEXT = 4000

FOLDERS = (
    "/etc/kubernetes/",
    "/etc/rancher/",
    "/etc/k0s/",
    "/var/lib/kubelet/",
    "/var/lib/rancher/",
    "/var/lib/k0s/",
    "/var/snap/microk8s/",
)
"""Where the known layouts keep what an act may change."""

Value = t.Any
Checker = t.Callable[[Value, str], Value]


class PlanError(ValueError):
    """The plan is refused; the message names the path in it and what is wrong."""


def check_plan(
    data: Value, hosts: t.Collection[str] | None = None, control_planes: t.Collection[str] = ()
) -> dict[str, Value]:
    """The plan, made anew of what was checked.

    Args:
        data: what claims to be a plan.
        hosts: the inventory's hosts; a step of another is refused. None: not compared.
        control_planes: nodes and hosts that are seen to be control planes; a plan that takes one for a worker is refused.

    Raises:
        PlanError: it is none.
    """
    plan = _keys(data, "", _PLAN)
    seen: set[str] = set()
    for index, step in enumerate(plan["steps"]):
        where = f"steps[{index}]"
        check_step_meaning(step, where, hosts)
        if step["id"] in seen:
            raise PlanError(f"{where}.id: occurs twice")
        seen.add(step["id"])
    for index, node in enumerate(plan["nodes"]):
        if hosts is not None and node["host"] is not None and node["host"] not in hosts:
            raise PlanError(f"nodes[{index}].host: is not in the inventory")
        if not node["control_plane"] and {node["name"], node["host"]} & set(control_planes):
            raise PlanError(f"nodes[{index}].control_plane: this node is a control plane")
    return plan


def check_step(step: Value, hosts: t.Collection[str] | None = None) -> dict[str, Value]:
    """One step by itself, as in ``check_plan``. Raises PlanError."""
    checked: dict[str, Value] = _step(step, "step")
    check_step_meaning(checked, "step", hosts)
    return checked


def check_step_meaning(step: dict[str, Value], where: str, hosts: t.Collection[str] | None) -> None:
    """What the parts of a step must be to each other. Raises PlanError."""
    act = REGISTRY[step["act"]]
    if step["module"] != act.module:
        raise PlanError(f"{where}.module: {act.name} is of {act.module}")
    if RISKS.index(step["risk"]) < RISKS.index(act.risk):
        raise PlanError(f"{where}.risk: {act.name} is of {act.risk} risk")
    for part, shapes in (("parameters", PARAMETERS), ("bound_to", BOUND_TO)):
        step[part] = _keys(step[part], f"{where}.{part}", shapes[act.name])
    if act.name not in CLUSTER_ACTS:
        if step["node"] is None or step["host"] is None:
            raise PlanError(f"{where}.node: {act.name} is of one node and its host")
        if step["parameters"]["node"] != step["node"]:
            raise PlanError(f"{where}.parameters.node: is another node than the step's")
        if hosts is not None and step["host"] not in hosts:
            raise PlanError(f"{where}.host: is not in the inventory")
    elif step["host"] is not None:
        raise PlanError(f"{where}.host: {act.name} is of the cluster, and runs on no host")
    _check_bound(step, where)


def _check_bound(step: dict[str, Value], where: str) -> None:
    parameters, bound = step["parameters"], step["bound_to"]
    for names, versions in (("objects", "resource_versions"), ("names", "uids")):
        if names in parameters and set(parameters[names]) != set(bound[versions]):
            raise PlanError(f"{where}.bound_to.{versions}: tells not exactly those of parameters.{names}")
    if step["act"] == "approve_csr" and parameters["node"] != step["node"]:
        raise PlanError(f"{where}.parameters.node: is another node than the step's")


# Shapes: a checker takes a value and its path, and gives the value back.

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
"""What no terminal or page shows as it is, and so no text of a plan may hold."""
_JINJA = re.compile(r"\{[{%#]|[}%#]\}")


def _text(value: Value, where: str, longest: int = MAX_TEXT) -> str:
    if not isinstance(value, str):
        raise PlanError(f"{where}: is no text")
    if len(value) > longest:
        raise PlanError(f"{where}: is longer than {longest} characters")
    if CONTROL.search(value):
        raise PlanError(f"{where}: has a control character")
    if _JINJA.search(value):
        raise PlanError(f"{where}: looks like a template")
    return str(value)


def _matching(pattern: str | re.Pattern[str], what: str, longest: int = 253) -> Checker:
    compiled = re.compile(pattern, re.ASCII) if isinstance(pattern, str) else pattern

    def check(value: Value, where: str) -> str:
        if not compiled.fullmatch(_text(value, where, longest)):
            raise PlanError(f"{where}: is no {what}")
        return str(value)

    return check


def _one_of(*allowed: str) -> Checker:
    def check(value: Value, where: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise PlanError(f"{where}: is none of {', '.join(allowed)}")
        return str(value)

    return check


def _or_none(checker: Checker) -> Checker:
    return lambda value, where: None if value is None else checker(value, where)


def _truth(value: Value, where: str) -> bool:
    if not isinstance(value, bool):
        raise PlanError(f"{where}: is neither true nor false")
    return value


def _list(item: Checker, longest: int = MAX_ITEMS, least: int = 0) -> Checker:
    def check(value: Value, where: str) -> list[Value]:
        if not isinstance(value, (list, tuple)):
            raise PlanError(f"{where}: is no list")
        if not least <= len(value) <= longest:
            raise PlanError(f"{where}: has {len(value)} items, not {least} to {longest}")
        return [item(entry, f"{where}[{index}]") for index, entry in enumerate(value)]

    return check


def _set(item: Checker, longest: int) -> Checker:
    inner = _list(item, longest, least=1)

    def check(value: Value, where: str) -> list[Value]:
        found: list[Value] = inner(value, where)
        if len(set(found)) != len(found):
            raise PlanError(f"{where}: has an item twice")
        return found

    return check


def _map(key: Checker, item: Checker, longest: int = MAX_ITEMS) -> Checker:
    def check(value: Value, where: str) -> dict[str, Value]:
        if not isinstance(value, t.Mapping):
            raise PlanError(f"{where}: is no mapping")
        if len(value) > longest:
            raise PlanError(f"{where}: has more than {longest} keys")
        return {key(name, f"{where} (a key)"): item(entry, f"{where}.{name}") for name, entry in value.items()}

    return check


def _keys(value: Value, where: str, shape: t.Mapping[str, Checker]) -> dict[str, Value]:
    """A mapping of exactly these keys; one whose name ends in ``?`` may be absent."""
    label = where or "the plan"
    if not isinstance(value, t.Mapping):
        raise PlanError(f"{label}: is no mapping")
    optional = {name[:-1] for name in shape if name.endswith("?")}
    known = {name.rstrip("?") for name in shape}
    if any(not isinstance(name, str) for name in value) or set(value) - known:
        raise PlanError(f"{label}: has a key that is not known")
    missing = sorted(known - optional - set(value))
    if missing:
        raise PlanError(f"{label}: lacks {', '.join(missing)}")
    start = f"{where}." if where else ""
    return {
        name.rstrip("?"): checker(value[name.rstrip("?")], f"{start}{name.rstrip('?')}")
        for name, checker in shape.items()
        if name.rstrip("?") in value
    }


def _record(shape: t.Mapping[str, Checker]) -> Checker:
    return lambda value, where: _keys(value, where, shape)


def _path(value: Value, where: str) -> str:
    """An absolute path of plain characters, without ``..``, in one of the known folders."""
    path = _text(value, where, 512)
    if not is_plain_path(path):
        raise PlanError(f"{where}: is no plain absolute path")
    if not any(f"{path}/".startswith(folder) for folder in FOLDERS):
        raise PlanError(f"{where}: is in none of the folders that an act may change")
    return path


def _file(value: Value, where: str) -> str:
    """A path that is not one of the folders themselves."""
    path = _path(value, where)
    if f"{path}/" in FOLDERS:
        raise PlanError(f"{where}: is a folder")
    return path


def _certificates(value: Value, where: str) -> str:
    """PEM of certificates, and nothing else."""
    if not isinstance(value, str) or len(value) > MAX_PEM_CHARS or not CERTIFICATES.fullmatch(value):
        raise PlanError(f"{where}: is no PEM of certificates alone")
    return str(value)


_node = _matching(NODE, "node name (DNS-1123 subdomain)", MAX_NODE_CHARS)
_object = _matching(r"[A-Za-z0-9]([A-Za-z0-9:._-]*[A-Za-z0-9])?", "object name")
_host = _matching(r"[A-Za-z0-9_]([A-Za-z0-9._:@-]*[A-Za-z0-9_])?", "inventory host")
_rule = _matching(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", "rule id", 100)
_time = _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "time (RFC 3339, UTC)")
_sha256 = _matching(SHA256, "SHA-256 in hex")
_uid = _matching(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "uid")
_version = _matching(r"[0-9]{1,20}", "resourceVersion")
_unit = _matching(UNIT, "name of a unit", MAX_UNIT_CHARS)
_server = _matching(SERVER, "https address of an API server", MAX_SERVER_CHARS)
_dated = _matching(DATED_FILE, "name of a dated certificate file")
_texts = _list(_text, 1000)

_OF_NODE: dict[str, Checker] = {
    "certificate_sha256?": _or_none(_sha256),
    "files": _map(_file, _or_none(_sha256), MAX_FILES),
}
_PLACES: dict[str, Checker] = {"node": _node, "pki_path": _file, "kubeconfig?": _file}
PARAMETERS: dict[str, dict[str, Checker]] = {
    "approve_csr": {"name": _object, "node": _node, "signer_name": _one_of(*KUBELET_SIGNERS)},
    "restore_rbac": {"objects": _set(_one_of(*OBJECTS), len(OBJECTS))},
    "delete_csrs": {"names": _set(_object, 1000)},
    "enable_rotation": {**_PLACES, "kubelet_config": _file, "unit": _unit},
    "use_rotating_kubeconfig": {**_PLACES, "unit": _unit},
    "refresh_ca": {**_PLACES, "unit": _unit, "ca_pem": _certificates, "ca_file?": _file},
    "repair_modes": _PLACES,
    "repair_link": _PLACES,
    "free_space": {**_PLACES, "remove": _set(_dated, MAX_REMOVED)},
    "rebootstrap": {
        **_PLACES,
        "unit": _unit,
        "bootstrap_kubeconfig": _file,
        "server": _server,
        "ca_pem": _certificates,
    },
    "restart_kubelet": {
        **_PLACES,
        "unit": _unit,
        "wait_for_new_certificate": _truth,
    },
}
BOUND_TO: dict[str, dict[str, Checker]] = {
    **dict.fromkeys(PARAMETERS, _OF_NODE),
    "approve_csr": {"uid": _uid, "request_sha256": _sha256},
    "restore_rbac": {"resource_versions": _map(_one_of(*OBJECTS), _or_none(_version))},
    "delete_csrs": {"uids": _map(_object, _uid)},
}


def _any(value: Value, _where: str) -> Value:
    """Checked by ``check_step_meaning``, when the act is known."""
    return value


_step = _record(
    {
        "id": _matching(r"[a-z_]+(:[A-Za-z0-9:._-]+)?", "step id", 300),
        "act": _one_of(*REGISTRY),
        "module": _one_of("csr_approval", "cluster_repair", "node_repair"),
        "node": _or_none(_node),
        "host": _or_none(_host),
        "control_plane": _truth,
        "answers": _list(_record({"node": _node, "rule": _rule, "title": _text}), least=1),
        "risk": _one_of(*RISKS),
        "title": _text,
        "commands": _texts,
        "changes": _texts,
        "needs": _texts,
        "parameters": _any,
        "bound_to": _any,
        "verified_by": _text,
    }
)
_PLAN: dict[str, Checker] = {
    "schema": _one_of(SCHEMA),
    "made_at": _time,
    "evidence_at": _time,
    "cluster": _record({"api_url": _or_none(_text), "version": _or_none(_text)}),
    "nodes": _list(_record({"name": _node, "host": _or_none(_host), "control_plane": _truth})),
    "steps": _list(_step, MAX_STEPS),
    "procedures": _list(
        _record(
            {
                "rule": _rule,
                "title": _text,
                "nodes": _list(_node),
                "risk": _one_of(*RISKS),
                "why": _text,
                "steps": _list(_record({"text": _text, "command": _or_none(_text)}), 100),
            }
        )
    ),
}

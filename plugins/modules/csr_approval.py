#!/usr/bin/python
# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Approves or denies certificate signing requests of kubelets, after all checks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: csr_approval
short_description: Approves certificate signing requests of kubelets that pass every check
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Approves pending requests for the certificates of kubelets, each only when all checks of C(docs/csr-approval.md) pass. What could not be
    checked is not approved.
  - Changes nothing unless O(dry_run) is V(false), and tells what it would do.
  - Which nodes there are, and their names and addresses, comes from O(expected_nodes), usually the inventory, as a node can write its own
    Node object.
options:
  names:
    description:
      - Requests to decide on. By default every pending one of the two signers of kubelets.
    type: list
    elements: str
  decision:
    description:
      - V(approve) approves what passes every check.
      - V(deny) denies the requests of O(names), whatever the checks say; it needs O(names).
    type: str
    choices: [approve, deny]
    default: approve
  dry_run:
    description:
      - Whether to only tell what would be done. Check mode does the same.
    type: bool
    default: true
  expected_nodes:
    description:
      - The nodes that may have certificates, by name. Requests of any other are refused.
      - Each may have C(addresses) and C(dns_names), the lists of what may be in its serving certificate. Its own name always may.
    type: dict
    default: {}
  bootstrap_users:
    description:
      - Users that may ask for the first certificate of a node, besides those of bootstrap tokens, such as a service account.
    type: list
    elements: str
    default: []
  bound_to:
    description:
      - What a plan saw, by the name of the request, its C(uid) and C(request_sha256), the SHA-256 in hexadecimal of the decoded
        C(spec.request).
      - A request that is not the same any more makes the module fail with RV(status) V(moved). One that is not named here is refused.
    type: dict
  created_after:
    description:
      - Only requests made at this time or later are approved, in RFC 3339.
    type: str
  max_age:
    description:
      - Only requests that are not older than so many seconds are approved. A kubelet waits 15 minutes for its certificate, then makes
        another request.
    type: int
    default: 900
  max_approvals:
    description:
      - At most so many requests are approved in one run, the oldest first.
    type: int
    default: 20
  flood_margin:
    description:
      - When more requests are pending than there are nodes and this many besides, nothing at all is touched. Requests older than
        O(max_age) do not count.
    type: int
    default: 50
  deny_refused:
    description:
      - Whether to deny requests that fail a check for what they ask, instead of leaving them alone. One that is only too old, or that
        could not be checked, is left alone all the same.
    type: bool
    default: false
  fail_on_refused:
    description:
      - Whether the module fails when a request is refused.
    type: bool
    default: false
  page_size:
    description:
      - Objects asked for in one request of a list.
    type: int
    default: 500
notes:
  - Needs to C(list) and C(get) certificatesigningrequests, to C(update) certificatesigningrequests/approval, to C(approve) the signers
    C(kubernetes.io/kube-apiserver-client-kubelet) and C(kubernetes.io/kubelet-serving), and to C(list) nodes and leases. Without the last
    two no bootstrap request is approved.
  - Every request is read again just before it is decided on. When it is not the one that was checked, it is left alone, and the module
    fails with RV(status) V(moved).
attributes:
  check_mode:
    support: full
    description: Can run in check mode, and changes nothing there.
  diff_mode:
    support: none
    description: Shows what has changed; RV(decisions) tells it.
seealso:
  - module: kubecare.kubelet_certs.csr_info
  - name: Certificates and Certificate Signing Requests
    description: What signers and approvers do.
    link: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
extends_documentation_fragment:
  - kubecare.kubelet_certs.k8s_auth
  - kubecare.kubelet_certs.api_module
"""

EXAMPLES = r"""
- name: Tell which requests would be approved
  kubecare.kubelet_certs.csr_approval:
    expected_nodes:
      worker-7: {addresses: [10.0.0.7], dns_names: [worker-7.example.com]}
  delegate_to: localhost
  run_once: true
  register: requests

- name: Show why the others are not
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.reason }}"
  loop: "{{ requests.decisions | selectattr('verdict', 'equalto', 'refused') }}"

- name: Approve one request, if it is still the one that was looked at
  kubecare.kubelet_certs.csr_approval:
    names: [csr-x7k2p]
    bound_to:
      csr-x7k2p:
        uid: 3f0c1b5e-6d0c-4c57-8a0e-6b1f0f2f9a11
        request_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    expected_nodes:
      worker-7: {addresses: [10.0.0.7]}
    dry_run: false
  delegate_to: localhost
  run_once: true

- name: Deny a request
  kubecare.kubelet_certs.csr_approval:
    names: [csr-evil1]
    decision: deny
    dry_run: false
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
status:
  description:
    - V(done), requests were decided on, or would be; V(nothing_to_do); V(refused), none was decided on and some were refused; V(flood);
      V(moved), a request was not the one that was checked; V(failed), the API server took a decision not.
  returned: success
  type: str
  sample: done
message:
  description: The same for a person.
  returned: success
  type: str
  sample: 2 approved, 1 refused
flood:
  description: "Whether the flood breaker stopped everything, and what it counted."
  returned: success
  type: dict
  contains:
    stopped: {description: Whether nothing was touched., type: bool}
    pending: {description: Requests that are pending and not older than O(max_age)., type: int}
    nodes: {description: "Nodes: the expected ones, or those of the cluster when they are more.", type: int}
    limit: {description: How many may be pending., type: int}
counts:
  description: How many requests had each verdict.
  returned: success
  type: dict
  sample: {"approved": 2, "refused": 1}
decisions:
  description: The requests, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Name of the request., type: str, sample: csr-x7k2p}
    uid: {description: Its uid., type: str}
    node: {description: The node that it is for; null when it is for none., type: str, sample: worker-7}
    signer_name: {description: Who is to sign it., type: str, sample: kubernetes.io/kubelet-serving}
    requestor: {description: Who made it., type: str, sample: "system:node:worker-7"}
    request_sha256: {description: Digest of the decoded request., type: str}
    verdict:
      description: >-
        V(approved), V(would_approve), V(denied), V(would_deny), V(refused) when a check did not pass and it was left alone, V(skipped) when
        there is nothing to decide, V(moved), or V(failed).
      type: str
      sample: refused
    reason:
      description: >-
        The first check that did not pass; of V(skipped) ones V(already_approved), V(already_denied), V(not_found), V(max_approvals),
        V(flood) or V(other_signer); of V(failed) ones why the API server refused; else null.
      type: str
      sample: organization
    message: {description: The same for a person., type: str}
    checks:
      description: "Every check: C(name), C(passed), which is null when unknown, and C(compared)."
      type: list
      elements: dict
requests:
  description: How many requests were sent to the API server.
  returned: success
  type: int
  sample: 5
"""

import email.utils
import typing as t
import urllib.parse

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils import _csr_checks
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._auth_arguments import API_ARGUMENTS
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._cluster_evidence import (
    ClusterModule,
    connect,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csr_checks import Policy, Request, World, show
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import CSRS, KUBELET_SIGNERS
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data, moment, text
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._nodes import node_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._paging import list_all
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import (
    format_time,
    seconds_between,
    utc_now,
)

ARGUMENTS: Data = {
    **API_ARGUMENTS,
    "names": {"type": "list", "elements": "str"},
    "decision": {"type": "str", "choices": ["approve", "deny"], "default": "approve"},
    "dry_run": {"type": "bool", "default": True},
    "expected_nodes": {"type": "dict", "default": {}},
    "bootstrap_users": {"type": "list", "elements": "str", "default": []},
    "bound_to": {"type": "dict"},
    "created_after": {"type": "str"},
    "max_age": {"type": "int", "default": 900},
    "max_approvals": {"type": "int", "default": 20},
    "flood_margin": {"type": "int", "default": 50},
    "deny_refused": {"type": "bool", "default": False},
    "fail_on_refused": {"type": "bool", "default": False},
    "page_size": {"type": "int", "default": 500},
}

PASSED = "KubecareChecksPassed"
REFUSED = "KubecareCheckFailed"
BY_HAND = "KubecareDenied"

MAX_MESSAGE = 1000


def policy_of(params: Data) -> Policy:
    """What is expected, out of the module's options. Raises ValueError, which names the option."""
    try:
        expected = _csr_checks.expected_nodes(params["expected_nodes"])
    except ValueError as error:
        raise ValueError(f"option expected_nodes: {error}") from error
    bound_to = params["bound_to"]
    for name, entry in (bound_to or {}).items():
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("uid", "request_sha256")):
            raise ValueError(f"option bound_to: {show(name)}: must have uid and request_sha256")
    if params["created_after"] is not None and moment(params["created_after"]) is None:
        raise ValueError(f"option created_after: {show(params['created_after'])} is no time of RFC 3339")
    if params["decision"] == "deny" and not params["names"]:
        raise ValueError("option decision: deny needs names")
    return Policy(
        expected=expected,
        bootstrap_users=frozenset(params["bootstrap_users"]),
        created_after=moment(params["created_after"]),
        max_age=params["max_age"],
        bound_to=bound_to,
    )


def server_time(api: Api) -> str:
    """The API server's time, as its requests' are: of the Date header of its first answer, else this machine's."""
    try:
        said = api.first_answer.headers.get("Date") if api.first_answer else None
        return format_time(email.utils.parsedate_to_datetime(said or ""))
    except (ValueError, TypeError):
        return utc_now()


class Nodes:
    """The cluster's Node objects and leases; each is unknown where it could not be read."""

    def __init__(self, api: Api, page_size: int) -> None:
        found = node_evidence(api, [], False, page_size)
        self.nodes: dict[str, Data] | None = (
            None if found["nodes"] is None else {node["name"]: node for node in found["nodes"]}
        )
        self.missing = [entry for entry in found["not_seen"] if entry["subject"] in ("nodes", "leases")]

    def alive(self, now: str) -> t.Callable[[str], tuple[bool | None, str]]:
        """For ``World.alive``."""

        def asked(name: str) -> tuple[bool | None, str]:
            if self.nodes is None:
                return None, "nodes could not be read"
            node = self.nodes.get(name)
            if node is None:
                return False, "there is no such Node"
            ready = next((entry["status"] for entry in node["conditions"] if entry["type"] == "Ready"), None)
            if ready == "True":
                return True, "the Node is Ready"
            if self.missing:
                return None, f"the Node's Ready is {ready}, its lease could not be read"
            renewed = (node["lease"] or {}).get("renewed")
            age = None if renewed is None else seconds_between(renewed, now)
            if age is not None and age <= _csr_checks.LEASE_ALIVE_SECONDS:
                return True, f"the Node's lease was renewed {age} s ago"
            return (
                False,
                f"the Node's Ready is {ready}, its lease was renewed {'never' if age is None else f'{age} s ago'}",
            )

        return asked


class Approver:
    """One run."""

    def __init__(self, api: Api, params: Data, policy: Policy, check_mode: bool) -> None:
        self.api = api
        self.params = params
        self.policy = policy
        self.acts = not (check_mode or params["dry_run"])
        self.changed = False
        self.decisions: list[Data] = []
        self._approvals = 0

    def run(self) -> Data:
        """The module's result. Raises ApiError when the requests cannot be listed."""
        requests = list_all(self.api, CSRS, self.params["page_size"], _csr_checks.read)
        requests.sort(key=lambda one: (one.created or "", one.name))
        nodes = Nodes(self.api, self.params["page_size"])
        now = server_time(self.api)
        world = World(now, nodes.alive(now), tuple(requests))
        flood = self._flood(world, nodes)
        for request in self._wanted(requests):
            self._decide(request, world, flood["stopped"])
        counts: dict[str, int] = {}
        for entry in self.decisions:
            counts[entry["verdict"]] = counts.get(entry["verdict"], 0) + 1
        status = _status(counts, flood["stopped"])
        told = ", ".join(f"{number} {verdict.replace('_', ' ')}" for verdict, number in counts.items()) or "no requests"
        if flood["stopped"]:
            told = f"{flood['pending']} requests are pending, more than {flood['limit']}: nothing was touched"
        return {
            "changed": self.changed,
            "status": status,
            "message": told,
            "flood": flood,
            "counts": counts,
            "decisions": self.decisions,
            "requests": self.api.requests,
        }

    def _flood(self, world: World, nodes: Nodes) -> Data:
        pending = sum(_csr_checks.young(one, self.policy, world) for one in world.requests)
        known = max(len(self.policy.expected), len(nodes.nodes or ()))
        limit = known + self.params["flood_margin"]
        return {"stopped": pending > limit, "pending": pending, "nodes": known, "limit": limit}

    def _wanted(self, requests: list[Request]) -> list[Request]:
        names = self.params["names"]
        if names is None:
            return [one for one in requests if one.pending and one.signer in KUBELET_SIGNERS]
        found = {one.name for one in requests}
        for name in dict.fromkeys(names):
            if name not in found:
                moved = name in (self.policy.bound_to or {})
                self._note(name, None, "moved" if moved else "skipped", "not_found", "there is no such request", [])
        return [one for one in requests if one.name in set(names)]

    def _decide(self, request: Request, world: World, stopped: bool) -> None:
        checks = _csr_checks.judge(request, self.policy, world)
        failing = {entry["name"]: entry for entry in checks if entry["passed"] is not True}
        if request.signer not in KUBELET_SIGNERS:
            self._note(request.name, request, "skipped", "other_signer", "it is not a kubelet's", checks)
        elif "bound" in failing:
            named = request.name in (self.policy.bound_to or {})
            self._note(
                request.name, request, "moved" if named else "refused", "bound", failing["bound"]["compared"], checks
            )
        elif not request.pending:
            denied = "Denied" in request.conditions or "Failed" in request.conditions
            self._note(request.name, request, "skipped", "already_denied" if denied else "already_approved", "", checks)
        elif stopped:
            self._note(request.name, request, "skipped", "flood", "too many requests are pending", checks)
        elif self.params["decision"] == "deny":
            self._act(request, "Denied", BY_HAND, "denied by hand", checks)
        elif failing:
            first = next(iter(failing.values()))
            told = f"{first['name'].replace('_', ' ')}: {first['compared']}"
            if self.params["deny_refused"] and _csr_checks.deniable(checks):
                self._act(request, "Denied", REFUSED, told, checks, first["name"])
            else:
                self._note(request.name, request, "refused", first["name"], told, checks)
        elif self._approvals >= self.params["max_approvals"]:
            self._note(request.name, request, "skipped", "max_approvals", "as many as a run may approve were", checks)
        else:
            self._approvals += 1
            passed = ", ".join(str(entry["name"]) for entry in checks)
            told = f"{request.common_names[0]} asked for by {request.requestor}; checks passed: {passed}"
            self._act(request, "Approved", PASSED, told, checks)

    def _act(
        self, request: Request, kind: str, reason: str, message: str, checks: list[Data], slug: str | None = None
    ) -> None:
        """Writes the condition, if the request is still the one that was checked."""
        verb = "approve" if kind == "Approved" else "deny"
        if not self.acts:
            self.changed = self.changed or not self.params["dry_run"]
            self._note(request.name, request, f"would_{verb}", slug, message, checks)
            return
        path = f"{CSRS}/{urllib.parse.quote(request.name, safe='')}"
        try:
            current = self.api.get_json(path)
            why = _csr_checks.moved(request, _csr_checks.read(current))
            if why is None:
                condition = {"type": kind, "status": "True", "reason": reason, "message": text(message, MAX_MESSAGE)}
                status = current.get("status") if isinstance(current.get("status"), dict) else {}
                kept = (status or {}).get("conditions")
                conditions = [*(kept if isinstance(kept, list) else ()), condition]
                self.api.put_json(
                    f"{path}/approval", {**current, "status": {**(status or {}), "conditions": conditions}}
                )
        except ApiError as error:
            gone = error.status in (404, 409)
            self._note(
                request.name,
                request,
                "moved" if gone else "failed",
                "moved" if gone else error.reason,
                error.message,
                checks,
            )
            return
        if why is not None:
            self._note(request.name, request, "moved", "moved", why, checks)
            return
        self.changed = True
        self._note(request.name, request, "approved" if kind == "Approved" else "denied", slug, message, checks)

    def _note(
        self, name: str, request: Request | None, verdict: str, reason: str | None, message: str, checks: list[Data]
    ) -> None:
        self.decisions.append(
            {
                "name": text(name),
                "uid": text(request.uid) if request else None,
                "node": text(request.node) if request else None,
                "signer_name": text(request.signer) if request else None,
                "requestor": text(request.requestor) if request else None,
                "request_sha256": request.sha256 if request else None,
                "verdict": verdict,
                "reason": reason,
                "message": text(message),
                "checks": checks,
            }
        )


def _status(counts: t.Mapping[str, int], stopped: bool) -> str:
    for verdict in ("moved", "failed"):
        if counts.get(verdict):
            return verdict
    if stopped:
        return "flood"
    if any(counts.get(verdict) for verdict in ("approved", "denied", "would_approve", "would_deny")):
        return "done"
    return "refused" if counts.get("refused") else "nothing_to_do"


def main() -> None:
    """Runs the module."""
    module = ClusterModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    api, params = connect(module, "request_timeout", "page_size", "max_age", "max_approvals")
    if params["flood_margin"] < 0:
        module.fail_json(msg=f"option flood_margin: must be at least 0, not {params['flood_margin']}")
    try:
        policy = policy_of(params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    try:
        result = Approver(api, params, policy, module.check_mode).run()
    except ApiError as error:
        module.fail_json(msg=f"the requests could not be listed: {error.message}", reason=error.reason)
    if result["status"] in ("moved", "failed"):
        module.fail_json(msg=f"{result['status']}: {result['message']}", **result)
    if params["fail_on_refused"] and (result["counts"].get("refused") or result["flood"]["stopped"]):
        module.fail_json(msg=result["message"], **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

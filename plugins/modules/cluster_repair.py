#!/usr/bin/python
# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mends what the cluster holds for kubelets' certificates."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_repair
short_description: Mends what the cluster holds for kubelets' certificates
version_added: 0.1.0
author: The kubecare founders (@kubecare)
description:
  - Restores the RBAC objects by which kubelets ask for certificates and have them approved, deletes stale certificate signing requests, and
    makes and deletes a bootstrap token of a few minutes.
  - It can write nothing else. Just before it acts it looks whether the object is still the one that was planned for, and leaves it alone
    when it is not.
options:
  act:
    description:
      - V(restore_rbac) creates the objects named that are absent, and adds to those present what they lack. Of an object that is there,
        nothing is taken away, but a ClusterRoleBinding to another role is replaced, as its role never changes. Its subjects were bound to
        that other role, so they are not taken over. Before it is deleted, the API server is asked whether it would take the new one.
      - V(delete_csrs) deletes requests of the two signers of kubelets that are pending, denied or failed.
      - V(create_bootstrap_token) makes a token that lets one node join, and V(delete_bootstrap_token) deletes one that this module made.
    type: str
    required: true
    choices: [restore_rbac, delete_csrs, create_bootstrap_token, delete_bootstrap_token]
  parameters:
    description:
      - "V(restore_rbac): C(objects), names of the known objects, which are the ClusterRoleBindings C(kubeadm:kubelet-bootstrap),
        C(kubeadm:node-autoapprove-bootstrap) and C(kubeadm:node-autoapprove-certificate-rotation), and the ClusterRoles that they bind."
      - "V(delete_csrs): C(names)."
      - "V(create_bootstrap_token): C(node), and C(ttl_seconds), 60 to 900."
      - "V(delete_bootstrap_token): C(token_id)."
    type: dict
    required: true
  bound_to:
    description:
      - What was there when it was planned. An object that is another by now is not touched, and the module fails with RV(status) V(moved).
      - "V(restore_rbac): C(resource_versions), the resourceVersion of each object, null where it was absent. When O(bound_to) is
        given, it must have all of O(parameters)."
      - "V(delete_csrs): C(uids), the uid of each request. Needed there."
    type: dict
    default: {}
notes:
  - A task with V(create_bootstrap_token) must say C(no_log=true), as its result holds the token.
  - To write a role or a binding, RBAC wants that the user holds what it grants, or has C(escalate) and C(bind) on it.
attributes:
  check_mode:
    support: full
    description: Can run in check mode, and changes nothing there.
  diff_mode:
    support: full
    description: Shows what has changed.
seealso:
  - module: kubecare.kubelet_certs.rbac_info
  - module: kubecare.kubelet_certs.csr_approval
  - module: kubecare.kubelet_certs.node_repair
extends_documentation_fragment:
  - kubecare.kubelet_certs.k8s_auth
  - kubecare.kubelet_certs.api_module
"""

EXAMPLES = r"""
- name: Let renewals be approved again
  kubecare.kubelet_certs.cluster_repair:
    act: restore_rbac
    parameters:
      objects: ["kubeadm:node-autoapprove-certificate-rotation"]
  delegate_to: localhost
  run_once: true

- name: Create the binding only if it is still absent
  kubecare.kubelet_certs.cluster_repair:
    act: restore_rbac
    parameters:
      objects: ["kubeadm:node-autoapprove-bootstrap"]
    bound_to:
      resource_versions: {"kubeadm:node-autoapprove-bootstrap": null}
  delegate_to: localhost
  run_once: true

- name: Delete a stale request
  kubecare.kubelet_certs.cluster_repair:
    act: delete_csrs
    parameters:
      names: [csr-x7k2p]
    bound_to:
      uids: {csr-x7k2p: 3f0c1b5e-6d0c-4c57-8a0e-6b1f0f2f9a11}
  delegate_to: localhost
  run_once: true

- name: Make a token for ten minutes
  kubecare.kubelet_certs.cluster_repair:
    act: create_bootstrap_token
    parameters: {node: worker-7, ttl_seconds: 600}
  delegate_to: localhost
  register: token
  no_log: true

- name: Delete it
  kubecare.kubelet_certs.cluster_repair:
    act: delete_bootstrap_token
    parameters:
      token_id: "{{ token.token_id }}"
  delegate_to: localhost
"""

RETURN = r"""
status:
  description:
    - V(done), V(nothing_to_do), V(moved) when something is not what was planned for, V(rolled_back) when an object could not be replaced and
      the one before was put back, or V(failed).
  returned: always, once the options are right
  type: str
  sample: done
act:
  description: The act.
  returned: always, once the options are right
  type: str
  sample: restore_rbac
message:
  description: What was done, or would be, for a person.
  returned: always, once the options are right
  type: str
  sample: created ClusterRoleBinding kubeadm:node-autoapprove-certificate-rotation
before:
  description: What was there of each object that was changed, by its name; empty where there was none.
  returned: always, once the options are right
  type: dict
after:
  description: What is there now, or would be.
  returned: always, once the options are right
  type: dict
bootstrap_token:
  description: The token. Never let it be logged.
  returned: the act is V(create_bootstrap_token) and it is not check mode
  type: str
token_id:
  description: The public part of the token.
  returned: the act is V(create_bootstrap_token) and it is not check mode
  type: str
  sample: 3kd92s
"""

import base64
import datetime
import re
import secrets
import string
import typing as t
import urllib.parse

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils import _rbac_objects
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._auth_arguments import API_ARGUMENTS
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._cluster_evidence import (
    ClusterModule,
    connect,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import (
    CSRS,
    KUBELET_SIGNERS,
    issue_record,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data, mapping, safe_text
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._rbac_objects import BOOTSTRAP_GROUP, OBJECTS
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time

ARGUMENTS: Data = {
    **API_ARGUMENTS,
    "act": {
        "type": "str",
        "required": True,
        "choices": ["restore_rbac", "delete_csrs", "create_bootstrap_token", "delete_bootstrap_token"],
    },
    "parameters": {"type": "dict", "required": True},
    "bound_to": {"type": "dict", "default": {}},
}

SECRETS = "/api/v1/namespaces/kube-system/secrets"
OURS = "kubecare.kubelet_certs: lets the node {node} join again"
MAX_NAMES = 500
LIFETIME_SECONDS = (60, 900)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.:]{0,251}[a-z0-9])?")
_TOKEN_ID = re.compile(r"[a-z0-9]{6}")
_DELETABLE = ("pending", "denied", "failed")


class StopError(Exception):
    """The act cannot go on: ``status`` is moved, failed or rolled_back, the message says why."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Repair:
    """One act. What was done before it had to stop is in ``done``, ``before`` and ``after``."""

    def __init__(self, api: Api, parameters: Data, bound_to: Data, check_mode: bool) -> None:
        self.api = api
        self.parameters = parameters
        self.bound_to = bound_to
        self.check_mode = check_mode
        self.done: list[str] = []
        self.before: Data = {}
        self.after: Data = {}
        self.token: Data = {}
        self.about = ""
        """The object that is being asked about or written, for messages."""

    def restore_rbac(self) -> None:
        """Creates or completes each known object. Raises StopError, ApiError."""
        wanted = [name for name in OBJECTS if name in self.parameters["objects"]]
        versions = mapping(self.bound_to.get("resource_versions"))
        for name in wanted:
            self.about = f"{OBJECTS[name]['kind']} {name}"
            path = f"{_rbac_objects.collection_path(name)}/{urllib.parse.quote(name, safe='')}"
            found = self._get(path)
            lacking = self._lacking(name, found)
            if lacking is None:
                continue
            version = None if found is None else mapping(found.get("metadata")).get("resourceVersion")
            if name in versions and versions[name] != version:
                was, is_now = (f"version {v}" if v else "absent" for v in (versions[name], version))
                raise StopError("moved", f"{name} was {safe_text(was, 80)} when this was planned, and is {is_now} now")
            self._write(name, path, found, lacking)
            kind = OBJECTS[name]["kind"]
            how = "created" if found is None else "replaced" if lacking is OBJECTS[name] else "completed"
            self._note(name, f"{how} {kind} {name}", _rbac_objects.shown(found), _rbac_objects.shown(lacking))

    def _lacking(self, name: str, found: Data | None) -> Data | None:
        """The object as it is to be; None when it is so already."""
        if found is None or _rbac_objects.names_another_role(found, name):
            return OBJECTS[name]
        return _rbac_objects.mended(found, name)

    def _write(self, name: str, path: str, found: Data | None, wanted: Data) -> None:
        if self.check_mode:
            return
        collection = _rbac_objects.collection_path(name)
        if found is None:
            self.api.post_json(collection, wanted)
        elif wanted is not OBJECTS[name]:
            self.api.put_json(path, wanted)
        else:
            self._replace(name, path, found, wanted)

    def _replace(self, name: str, path: str, found: Data, wanted: Data) -> None:
        """Deletes ``found`` and creates ``wanted`` of the same name; what was there is put back when that fails. Raises StopError, ApiError.

        Who may not create ``wanted`` is told so before anything is deleted: authorization, admission and RBAC's check for escalation come
        before the server sees that there is an object of that name (``pkg/registry/rbac/clusterrolebinding/policybased/storage.go``).
        """
        collection = _rbac_objects.collection_path(name)
        try:
            self.api.post_json(f"{collection}?dryRun=All", wanted)
        except ApiError as error:
            if error.status != 409:
                raise
        else:
            raise StopError("moved", f"{name} was deleted by another just now")
        metadata = mapping(found.get("metadata"))
        self.api.delete_json(path, metadata.get("uid"), metadata.get("resourceVersion"))
        try:
            self.api.post_json(collection, wanted)
        except ApiError as error:
            kept = {k: v for k, v in metadata.items() if k in ("name", "labels", "annotations")}
            why = f"{name} could not be created: {error.message}"
            try:
                self.api.post_json(collection, {**found, "metadata": kept})
            except ApiError as again:
                self._note(name, f"deleted {self.about}", _rbac_objects.shown(found), {})
                raise StopError("failed", f"{why}; nor could the one before be put back: {again.message}") from again
            raise StopError("rolled_back", f"{why}; the one before was put back") from error

    def delete_csrs(self) -> None:
        """Deletes each request that is still the one meant and still undecided or refused. Raises StopError, ApiError."""
        uids = mapping(self.bound_to.get("uids"))
        for name in dict.fromkeys(self.parameters["names"]):
            self.about = f"CertificateSigningRequest {name}"
            path = f"{CSRS}/{urllib.parse.quote(name, safe='')}"
            found = self._get(path)
            if found is None:
                continue
            metadata = mapping(found.get("metadata"))
            uid = metadata.get("uid")
            if uid != uids[name]:
                raise StopError("moved", f"the request {name} is another by now than the one that was planned for")
            record = issue_record(found)
            if record["signer_name"] not in KUBELET_SIGNERS:
                raise StopError("failed", f"the request {name} is no kubelet's: its signer is {record['signer_name']}")
            if record["state"] not in _DELETABLE:
                raise StopError("moved", f"the request {name} is {record['state']} by now")
            if not self.check_mode:
                self._delete(path, metadata)
            self._note(name, f"deleted {name}", record, {})

    def create_bootstrap_token(self) -> None:
        """Makes a token of kubeadm's kind that ends by itself. Raises ApiError."""
        node, seconds = self.parameters["node"], self.parameters["ttl_seconds"]
        self.about = f"bootstrap token for {node}"
        letters = string.ascii_lowercase + string.digits
        token_id, secret = ("".join(secrets.choice(letters) for _turn in range(length)) for length in (6, 16))
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        data = {
            "token-id": token_id,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": BOOTSTRAP_GROUP,
            "expiration": format_time(ends),
            "description": OURS.format(node=node),
        }
        if not self.check_mode:
            name = f"bootstrap-token-{token_id}"
            body = {"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token"}
            self.api.post_json(SECRETS, {**body, "metadata": {"name": name}, "stringData": data})
            self.token = {"bootstrap_token": f"{token_id}.{secret}", "token_id": token_id}
        ended = format_time(ends)
        self._note("bootstrap token", f"made a bootstrap token for {node} until {ended}", {}, {"expiration": ended})

    def delete_bootstrap_token(self) -> None:
        """Deletes a token that this module made, and no other. Raises StopError, ApiError."""
        token_id = self.parameters["token_id"]
        self.about = f"bootstrap token {token_id}"
        path = f"{SECRETS}/bootstrap-token-{token_id}"
        found = self._get(path)
        if found is None:
            return
        if not _is_ours(found):
            raise StopError(
                "failed", f"the bootstrap token {token_id} was not made by this module, so it is left alone"
            )
        if not self.check_mode:
            self._delete(path, mapping(found.get("metadata")))
        self._note("bootstrap token", f"deleted the bootstrap token {token_id}", {"token_id": token_id}, {})

    def _delete(self, path: str, metadata: Data) -> None:
        """Deletes the object as it was read: one that was decided on or written since stays. One that is gone is as good."""
        try:
            self.api.delete_json(path, metadata.get("uid"), metadata.get("resourceVersion"))
        except ApiError as error:
            if error.status != 404:
                raise

    def _get(self, path: str) -> Data | None:
        try:
            return self.api.get_json(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _note(self, name: str, what: str, before: Data, after: Data) -> None:
        self.done.append(what)
        self.before[name], self.after[name] = before, after


def _is_ours(secret: Data) -> bool:
    """Whether the description, which is base64 in ``data``, is one of ours."""
    try:
        said = base64.b64decode(str(mapping(secret.get("data")).get("description") or "")).decode()
    except ValueError:
        return False
    return said.startswith(OURS.split("{", maxsplit=1)[0])


def check_parameters(act: str, parameters: Data, bound_to: Data) -> None:
    """Raises ValueError, which names the option and what is wrong with it."""
    allowed = {
        "restore_rbac": {"objects"},
        "delete_csrs": {"names"},
        "create_bootstrap_token": {"node", "ttl_seconds"},
        "delete_bootstrap_token": {"token_id"},
    }[act]
    if set(parameters) != allowed:
        raise ValueError(f"option parameters: {act} takes {' and '.join(sorted(allowed))}, and nothing else")
    if act == "restore_rbac":
        names = _names(parameters["objects"], "objects")
        if unknown := sorted(set(names) - set(OBJECTS)):
            raise ValueError(
                f"option parameters: objects: {safe_text(unknown[0], 100)} is none of {', '.join(OBJECTS)}"
            )
        versions = mapping(bound_to.get("resource_versions"))
        if bound_to and (
            missing := [name for name in names if not isinstance(versions.get(name, 0), (str, type(None)))]
        ):
            raise ValueError(f"option bound_to: resource_versions: has none of {missing[0]}")
    elif act == "delete_csrs":
        names = _names(parameters["names"], "names")
        uids = mapping(bound_to.get("uids"))
        if missing := [name for name in names if not isinstance(uids.get(name), str)]:
            raise ValueError(f"option bound_to: uids: has none of {missing[0]}")
    elif act == "create_bootstrap_token":
        _names([parameters["node"]], "node")
        low, high = LIFETIME_SECONDS
        try:
            parameters["ttl_seconds"] = int(parameters["ttl_seconds"])
        except (TypeError, ValueError, OverflowError):
            parameters["ttl_seconds"] = -1
        if not low <= parameters["ttl_seconds"] <= high:
            raise ValueError(f"option parameters: ttl_seconds must be between {low} and {high}")
    elif not _TOKEN_ID.fullmatch(str(parameters["token_id"])):
        raise ValueError("option parameters: token_id must be six lower-case letters and digits")


def _names(value: t.Any, key: str) -> list[str]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_NAMES:
        raise ValueError(f"option parameters: {key} must be a list of 1 to {MAX_NAMES} names")
    for name in value:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"option parameters: {key}: {safe_text(str(name), 100)!r} is no name of an object")
    return value


def main() -> None:
    """Runs the module."""
    module = ClusterModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    api, params = connect(module, "request_timeout")
    act = params["act"]
    try:
        check_parameters(act, params["parameters"], params["bound_to"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    repair = Repair(api, params["parameters"], params["bound_to"], module.check_mode)
    stopped: tuple[str, str] | None = None
    try:
        getattr(repair, act)()
    except StopError as stop:
        stopped = (stop.status, stop.message)
    except ApiError as error:
        stopped = ("moved" if error.status == 409 else "failed", f"{repair.about}: {error.message}")
    told = "; ".join(repair.done)
    status, message = stopped or (("done", told) if repair.done else ("nothing_to_do", "it is so already"))
    if stopped and told:
        message = f"{message}. Before that: {told}"
    result: Data = {
        "changed": bool(repair.done),
        "status": status,
        "act": act,
        "message": message,
        "before": repair.before,
        "after": repair.after,
        **repair.token,
    }
    if module._diff:
        result["diff"] = {"before": repair.before, "after": repair.after}
    if stopped:
        module.fail_json(msg=f"{act}: {message}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

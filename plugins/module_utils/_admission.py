# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Which webhooks and policies see certificate signing requests, as ``docs/evidence.md`` (``admission``) has it.

Rules are matched as ``apiserver/pkg/admission/plugin/webhook/predicates/rules/rules.go`` does: ``*`` is every resource without a
subresource, ``*/*`` every one, ``pods/*`` all subresources. Whom selectors and conditions leave out is not looked at.
"""

from __future__ import annotations

import re

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import (
    Data,
    last_change,
    mapping,
    sequence,
    text,
    texts,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._paging import list_all

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
WEBHOOKS = {
    "ValidatingWebhookConfiguration": f"{REGISTRATION}/validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": f"{REGISTRATION}/mutatingwebhookconfigurations",
}
POLICIES = f"{REGISTRATION}/validatingadmissionpolicies"
BINDINGS = f"{REGISTRATION}/validatingadmissionpolicybindings"

MAX_NAMED_NODES = 100
_NODE_USER = re.compile(r"system:node:([a-z0-9][a-z0-9.-]{0,252})")

ACTS = {
    "create": ("CREATE", "certificatesigningrequests", None),
    "approve": ("UPDATE", "certificatesigningrequests", "approval"),
    "sign": ("UPDATE", "certificatesigningrequests", "status"),
}
"""What a request goes through → operation, resource and subresource."""


def admission_evidence(api: Api, page_size: int) -> list[Data]:
    """What may refuse a request, its approval or its signature, by kind and name. Raises ApiError when a kind cannot be listed.

    A policy counts only where a binding makes it deny (``validationActions``). ``nodes``: whose users its expressions name, and no more of
    them.
    """
    found: list[Data] = []
    for kind, path in WEBHOOKS.items():
        for configuration in list_all(api, path, page_size, dict):
            found += _webhooks(kind, configuration)
    denying = {
        text(mapping(binding.get("spec")).get("policyName"))
        for binding in _listed(api, BINDINGS, page_size)
        if "Deny" in texts(mapping(binding.get("spec")).get("validationActions"))
    }
    for policy in _listed(api, POLICIES, page_size):
        metadata, spec = mapping(policy.get("metadata")), mapping(policy.get("spec"))
        rules = sequence(mapping(spec.get("matchConstraints")).get("resourceRules"))
        if text(metadata.get("name")) in denying and (acts := acts_of(rules)):
            record = _record("ValidatingAdmissionPolicy", None, metadata, spec, acts)
            found.append({**record, "nodes": nodes_named(spec)})
    return sorted(found, key=lambda entry: (entry["kind"], entry["name"] or "", entry["webhook"] or ""))


def _listed(api: Api, path: str, page_size: int) -> list[Data]:
    """All objects of a kind; none where the API server does not have it (policies of this version came with 1.30)."""
    try:
        return list_all(api, path, page_size, dict)
    except ApiError as error:
        if error.status == 404:
            return []
        raise


def nodes_named(spec: Data) -> list[str]:
    """The nodes whose users (``system:node:<name>``) a policy's expressions name."""
    keys = ("matchConditions", "validations", "variables")
    expressions = [mapping(part).get("expression") for key in keys for part in sequence(spec.get(key))]
    named = {
        name.rstrip(".-") for expression in expressions for name in _NODE_USER.findall(text(expression, 65536) or "")
    }
    return sorted(named)[:MAX_NAMED_NODES]


def acts_of(rules: list[object]) -> list[str]:
    """The acts of ACTS that any of the rules matches."""
    return [act for act, wanted in ACTS.items() if any(_matches(mapping(rule), *wanted) for rule in rules)]


def _matches(rule: Data, operation: str, resource: str, subresource: str | None) -> bool:
    combined = f"{resource}/{subresource}" if subresource else resource
    known = {"*/*", combined}
    known |= {f"{resource}/*", f"*/{subresource}"} if subresource else {"*", f"{resource}/*"}
    return (
        not {"*", "certificates.k8s.io"}.isdisjoint(texts(rule.get("apiGroups")))
        and not {"*", "v1"}.isdisjoint(texts(rule.get("apiVersions")))
        and not {"*", operation}.isdisjoint(texts(rule.get("operations")))
        and not known.isdisjoint(texts(rule.get("resources")))
    )


def _webhooks(kind: str, configuration: Data) -> list[Data]:
    metadata = mapping(configuration.get("metadata"))
    webhooks = [mapping(entry) for entry in sequence(configuration.get("webhooks"))]
    acting = ((webhook, acts_of(sequence(webhook.get("rules")))) for webhook in webhooks)
    return [_record(kind, text(webhook.get("name")), metadata, webhook, acts) for webhook, acts in acting if acts]


def _record(kind: str, webhook: str | None, metadata: Data, spec: Data, acts: list[str]) -> Data:
    changed, manager = last_change(metadata)
    return {
        "kind": kind,
        "name": text(metadata.get("name")),
        "webhook": webhook,
        "acts": acts,
        "failure_policy": text(spec.get("failurePolicy")) or "Fail",
        "last_changed": changed,
        "last_manager": manager,
        "nodes": [],
    }

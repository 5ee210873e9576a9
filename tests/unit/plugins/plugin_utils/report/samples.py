# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds diagnoses as ``docs/diagnosis.md`` has them, for the tests of what shows them."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime, timedelta

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time

Record = dict[str, t.Any]
NOW = datetime(2026, 11, 23, 20, 5, tzinfo=UTC)

STAGES = {
    "kubelet": "Is a kubelet running here, as the node it thinks it is?",
    "configuration": "Is rotation on, and is the rotated file used?",
    "schedule": "Is rotation due, is the clock right?",
    "connection": "Does the node reach the API server, and do both trust each other?",
    "request": "May the node create a request?",
    "approval": "Who should approve it, and why is it pending or denied?",
    "signing": "Is the signer alive, with a CA that is a pair?",
    "storage": "Was the certificate fetched and written?",
    "use": "Is the new certificate loaded, trusted and served?",
}

HOSTILE = (
    "<script>document.documentElement.dataset.pwned=1</script>",
    '<img src=x onerror="document.documentElement.dataset.pwned=1">',
    "\"'><svg onload=document.documentElement.dataset.pwned=1>",
    "</style></title></textarea></script><script>document.documentElement.dataset.pwned=1</script>",
    "\x1b[2J\x1b]0;pwned\x07 \x9b31m \u202egnp.exe\u2069 \u200b\ufeff zero\r\nnext\ttab \ud800",
    "{{ lookup('pipe', 'touch pwned') }} {% for x in y %}",
    "javascript:document.documentElement.dataset.pwned=1",
    "日本語のログ " * 30,
    "Z\u0300\u0301\u0302\u0303\u0304\u0305\u0306algo",
    "x" * 5000,
)


def at(**delta: float) -> str:
    """A time relative to NOW: ``at(hours=-2)``."""
    return format_time(NOW + timedelta(**delta))


def event(when: str, kind: str, text: str, end: str | None = None, first_failure: bool = False) -> Record:
    return {"time": when, "end": end, "kind": kind, "text": text, "source": "sample", "first_failure": first_failure}


def certificate(
    days_old: float, days_left: float, source: str = "/var/lib/kubelet/pki/kubelet-client-current.pem"
) -> Record:
    life = days_old + days_left
    return {
        "not_before": at(days=-days_old),
        "not_after": at(days=days_left),
        "seconds_left": int(days_left * 86400),
        "used_percent": round(100 * days_old / life) if life else None,
        "rotation_from": at(days=0.7 * life - days_old),
        "rotation_until": at(days=0.9 * life - days_old),
        "serial": "4f1c9a22e07b",
        "issuer": "CN=kubernetes",
        "source": source,
    }


def finding(
    rule: str, title: str, stage: str, role: str = "primary", severity: str = "critical", **other: t.Any
) -> Record:
    return {
        "rule": rule,
        "title": title,
        "stage": stage,
        "severity": severity,
        "role": role,
        "explained_by": [],
        "explains": [],
        "evidence": [{"text": f"proof of {rule}", "source": "csr_info csrs", "time": at(minutes=-25)}],
        "why": f"Why {title[0].lower()}{title[1:]}.",
        "fix": {"steps": [{"text": "Look at it", "command": None}], "risk": "low", "task": None},
        "references": ["https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/"],
        "docs": f"docs/rules/{rule}.md",
        **other,
    }


BINDING = finding(
    "auto-approval-binding-missing",
    "No binding lets nodes have their renewals approved",
    "approval",
    explains=["client-csr-pending"],
    evidence=[
        {
            "text": "SubjectAccessReview: group system:nodes may not create certificatesigningrequests/selfnodeclient",
            "source": "rbac_info reviews.node_selfnodeclient",
            "time": at(minutes=-1),
        },
        {"text": "csr-x7k2p is pending for 25 min", "source": "csr_info csrs", "time": at(minutes=-25)},
    ],
    why="The controller manager approves a node's renewal only when the node's group may create "
    "certificatesigningrequests/selfnodeclient. No binding grants it, so requests stay pending. "
    "The kubelet logs nothing of it.",
    fix={
        "steps": [
            {
                "text": "Create the binding that kubeadm makes",
                "command": "kubectl create clusterrolebinding kubeadm:node-autoapprove-certificate-rotation "
                "--clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient "
                "--group=system:nodes",
            },
            {"text": "See the pending request approved within a minute", "command": "kubectl get csr -w"},
        ],
        "risk": "low",
        "task": "restore_auto_approval",
    },
)


def foresight(opens: int, closes: int, ends: int, *blocked_by: str) -> Record:
    """In seconds from NOW, as ``diagnosis/foresight.py`` gives it."""
    return {
        "rotation_opens_in_seconds": opens,
        "rotation_closes_in_seconds": closes,
        "expires_in_seconds": ends,
        "blocked_by": list(blocked_by),
    }


APPROVAL = {
    "subject": "serving",
    "csr": "csr-x7k2p",
    "state": "pending",
    "created": at(minutes=-25),
    "approver": {"name": "kubelet-csr-approver", "workload": "kube-system/kubelet-csr-approver"},
    "decision": "refuses",
    "failing": ["dns-resolution"],
    "checks": [
        {"name": "common-name", "passed": True, "compared": "system:node:worker-7"},
        {"name": "dns-resolution", "passed": False, "compared": "10.0.0.7 is none of 10.0.0.8"},
        {"name": "expiration", "passed": None, "compared": ""},
    ],
    "source": "https://github.com/postfinance/kubelet-csr-approver",
}
COMPARISON = {
    "client": {
        "reference": {"serial": "4f1c", "path": "/var/lib/kubelet/pki/kubelet-client-current.pem"},
        "disk": {"serial": "4f1c", "public_key_sha256": "ab" * 32, "not_after": at(days=65), "path": "/pki/current"},
        "issued": {"serial": "5a00", "public_key_sha256": "cd" * 32, "not_after": at(days=365), "csr": "csr-new"},
        "served": None,
        "agree": False,
        "lost_at": "issued-not-fetched",
        "lost": "The certificate was issued, and the kubelet never fetched it.",
    },
    "serving": None,
}
DISTRIBUTION = {
    "name": "kubeadm",
    "title": "kubeadm",
    "rotates_by": "kubelet",
    "evidence": [
        {"text": "its bootstrap kubeconfig is /etc/kubernetes/bootstrap-kubelet.conf", "source": "node_probe"}
    ],
}


def stages(broken: str | None = None, **states: str) -> list[Record]:
    """All nine; those behind ``broken`` wait."""
    names = list(STAGES)
    limit = names.index(broken) if broken else len(names)
    facts = {
        "kubelet": ["kubelet v1.36.3 runs since 2026-11-02"],
        "configuration": ["rotateCertificates is on (default)"],
    }
    return [
        {
            "stage": name,
            "title": name.capitalize(),
            "question": question,
            "state": states.get(name, "broken" if name == broken else "waiting" if index > limit else "ok"),
            "facts": facts.get(name, [f"{name}: seen"]),
            "findings": [],
        }
        for index, (name, question) in enumerate(STAGES.items())
    ]


def healthy(name: str) -> Record:
    return {
        "name": name,
        "host": name,
        "matched_by": "certificate",
        "verdict": "healthy",
        "summary": "the certificate is good for 244 days, rotation is on",
        "first_broken_stage": None,
        "first_failure": None,
        "primary": None,
        "findings": [],
        "skipped": [],
        "missing": [],
        "stages": stages(),
        "certificates": {"client": certificate(121, 244), "serving": certificate(121, 244, "served")},
        "timeline": [
            event(at(days=-121), "certificate", "client certificate", at(days=244)),
            event(at(days=-21), "kubelet", "kubelet started"),
        ],
    }


def failing(name: str) -> Record:
    """Pending renewals since the binding was deleted 25 minutes ago."""
    symptom = finding(
        "client-csr-pending",
        "A renewal is pending",
        "approval",
        "symptom",
        explained_by=["auto-approval-binding-missing"],
    )
    return {
        **healthy(name),
        "verdict": "failing",
        "summary": "renewal csr-x7k2p waits for an approval that nobody may give",
        "first_broken_stage": "approval",
        "first_failure": at(minutes=-25),
        "primary": BINDING,
        "findings": [BINDING, symptom],
        "skipped": [
            {
                "rule": "clock-skew",
                "title": "The clock is wrong",
                "stage": "schedule",
                "missing": ["clock.offset_seconds"],
            }
        ],
        "missing": [{"subject": "clock.synchronized", "reason": "missing_tool", "message": "no timedatectl"}],
        "stages": stages("approval", schedule="unknown"),
        "certificates": {"client": certificate(300, 65), "serving": certificate(300, 65, "served")},
        "changes_before_failure": [
            {
                **event(at(minutes=-31), "manifest", "kube-controller-manager.yaml changed"),
                "seconds_before": 360,
                "mechanism": "its flags decide whether it approves",
            },
            {
                **event(at(minutes=-31.5), "manifest", "kube-apiserver.yaml changed"),
                "seconds_before": 390,
                "mechanism": "its flags decide whether it approves",
            },
            event(at(minutes=-32), "rbac", "ClusterRoleBinding kubeadm:node-autoapprove-certificate-rotation deleted"),
        ],
        "approval": [APPROVAL],
        "comparison": COMPARISON,
        "distribution": DISTRIBUTION,
        "foresight": foresight(-3 * 86400, 20 * 86400, 65 * 86400, "auto-approval-binding-missing"),
        "timeline": [
            event(at(days=-300), "certificate", "client certificate 4f1c9a", at(days=65)),
            event(at(days=-300), "certificate", "serving certificate 88ab01", at(days=65)),
            event(at(days=-900), "ca", "CA kubernetes valid from"),
            event(at(days=-3), "version", "API server v1.36.2 to v1.36.3"),
            event(
                at(minutes=-32),
                "rbac",
                "ClusterRoleBinding kubeadm:node-autoapprove-certificate-rotation deleted by kubectl",
            ),
            event(at(minutes=-31), "manifest", "kube-controller-manager.yaml changed"),
            event(at(minutes=-25), "csr", "csr-x7k2p created, pending since", at(), first_failure=True),
            event(at(minutes=-10), "csr", "csr-q9m4d created, pending since", at()),
            event(at(minutes=-22), "log", "14 x certificate signing request was not approved", at(minutes=-2)),
            event(at(minutes=-24), "event", "NodeNotReady"),
            event(at(minutes=-23), "node", "Ready: Unknown, kubelet stopped posting node status"),
            event(at(days=-21), "kubelet", "kubelet started"),
        ],
    }


def expired(name: str) -> Record:
    gone = finding(
        "client-certificate-expired",
        "The client certificate ended, and the bootstrap token too",
        "connection",
        evidence=[
            {
                "text": "x509: certificate has expired or is not yet valid",
                "source": "kubelet journal",
                "time": at(hours=-40),
            }
        ],
    )
    return {
        **failing(name),
        "verdict": "expired",
        "summary": "the certificate ended 40 hours ago",
        "first_broken_stage": "connection",
        "first_failure": at(hours=-40),
        "primary": gone,
        "findings": [gone],
        "changes_before_failure": [],
        "stages": stages("connection"),
        "certificates": {"client": certificate(366.67, -1.67), "serving": None},
        "timeline": [
            event(at(days=-366), "certificate", "client certificate", at(hours=-40)),
            event(at(hours=-40), "log", "812 x certificate has expired", at(minutes=-1), first_failure=True),
            event(at(hours=-39), "node", "Ready: Unknown"),
        ],
    }


def at_risk(name: str) -> Record:
    disk = finding(
        "pki-disk-nearly-full", "The disk with the certificates is nearly full", "storage", severity="warning"
    )
    return {
        **healthy(name),
        "verdict": "at_risk",
        "summary": "3 MiB are left on the file system of /var/lib/kubelet/pki",
        "primary": disk,
        "findings": [disk],
        "foresight": foresight(3 * 3600, 5 * 3600, 6 * 3600, disk["rule"]),
        "stages": stages(storage="at_risk"),
    }


def unknown(name: str) -> Record:
    return {
        **healthy(name),
        "host": None,
        "matched_by": None,
        "verdict": "unknown",
        "summary": "neither the certificate nor its rotation could be seen",
        "missing": [
            {
                "subject": "node_probe",
                "reason": "unreachable",
                "message": "ssh: connect to host 10.0.0.9 port 22: No route to host",
            }
        ],
        "stages": stages(**dict.fromkeys(STAGES, "unknown")),
        "certificates": {"client": None, "serving": None},
        "timeline": [],
    }


def without_root(node: Record) -> Record:
    """The node as a login that is not root sees it."""
    subjects = (
        "denials",
        "log",
        "kubeconfig.user",
        "pki.files./var/lib/kubelet/pki/a.pem.certificates",
        "pki.writable",
        "odd.one",
    )
    denied = [{"subject": name, "reason": "not_permitted", "message": "may not be read"} for name in subjects]
    return {
        **node,
        "root": False,
        "missing": [*denied, {"subject": "clock.synchronized", "reason": "missing_tool", "message": "no"}],
    }


def hostile(name: str) -> Record:
    """Every text that a node or a requestor could choose is hostile."""
    text = " ".join(HOSTILE[:6])
    steps = [{"text": item, "command": item} for item in HOSTILE]
    proofs = [{"text": item, "source": item, "time": at(minutes=-5)} for item in HOSTILE]
    bad = finding(
        text,
        text,
        "request",
        evidence=proofs,
        why=text,
        fix={"steps": steps, "risk": "high", "task": text},
        references=list(HOSTILE),
        docs=text,
    )
    return {
        **failing(name),
        "name": name,
        "host": text,
        "summary": text,
        "primary": bad,
        "findings": [bad, {**bad, "rule": HOSTILE[1], "role": "symptom"}],
        "skipped": [{"rule": text, "title": text, "stage": text, "missing": list(HOSTILE)}],
        "missing": [{"subject": item, "reason": item, "message": item} for item in HOSTILE],
        "stages": [{**stage, "title": text, "question": text, "facts": list(HOSTILE)} for stage in stages("request")],
        "certificates": {
            "client": {**certificate(300, 65), "serial": text, "issuer": text, "source": text},
            "serving": None,
        },
        "changes_before_failure": [event(at(minutes=-9), "rbac", item) for item in HOSTILE],
        "timeline": [event(at(minutes=-index), "log", item) for index, item in enumerate(HOSTILE)],
    }


def diagnosis(nodes: list[Record], **fleet: t.Any) -> Record:
    """The fleet of these nodes, its causes clustered as the engine does."""
    by_rule: dict[str, list[Record]] = {}
    for node in nodes:
        if node["primary"]:
            by_rule.setdefault(node["primary"]["rule"], []).append(node)
    hit = sum(map(len, by_rule.values()))
    causes = [
        {
            **{key: hits[0]["primary"][key] for key in ("rule", "title", "stage", "severity", "docs")},
            "nodes": [node["name"] for node in hits],
            "count": len(hits),
            "of": hit,
            "least_seconds_left": min(
                (node["certificates"]["client"]["seconds_left"] for node in hits if node["certificates"]["client"]),
                default=None,
            ),
        }
        for hits in sorted(by_rule.values(), key=len, reverse=True)
    ]
    verdicts = {
        name: sum(node["verdict"] == name for node in nodes)
        for name in ("healthy", "at_risk", "failing", "expired", "unknown")
    }
    return {
        "schema": "kubecare.kubelet_certs/diagnosis/1",
        "now": at(),
        "cluster": {
            "api_url": "https://api.prod.example:6443",
            "version": "v1.36.3",
            "reachable": True,
            "not_seen": [],
        },
        "fleet": {
            "nodes": len(nodes),
            "verdicts": verdicts,
            "causes": causes,
            "unmatched_hosts": [],
            "nodes_without_host": [],
            "duplicate_hosts": [],
            **fleet,
        },
        "nodes": nodes,
    }


def one_failing() -> Record:
    """A small cluster at 3 a.m.: one node of three fails."""
    return diagnosis([failing("worker-7"), healthy("worker-5"), healthy("worker-6")])


def fleet_of_41() -> Record:
    """34 nodes with one cause, and one or two of each other kind."""
    nodes = [
        expired("worker-41"),
        *(failing(f"worker-{index}") for index in range(1, 35)),
        at_risk("worker-35"),
        unknown("worker-36"),
    ]
    value = diagnosis(
        [*nodes, *(healthy(f"worker-{index}") for index in range(37, 41))], nodes_without_host=["worker-36"]
    )
    value["cluster"]["not_seen"] = [
        {"subject": "events", "reason": "forbidden", "message": "events is forbidden: User audit cannot list events"}
    ]
    value["fleet"]["unmatched_hosts"] = [{"host": "bastion", "why": "runs no kubelet"}]
    return value


def fleet_of_2000() -> Record:
    """1,500 healthy nodes, 480 with one cause, 20 of other kinds."""
    nodes = [expired(f"edge-{index}") for index in range(10)]
    nodes += [failing(f"pool-a-{index:04}") for index in range(480)]
    nodes += [at_risk(f"edge-{index}") for index in range(10, 15)] + [
        unknown(f"edge-{index}") for index in range(15, 20)
    ]
    return diagnosis([*nodes, *(healthy(f"pool-b-{index:04}") for index in range(1500))])


def hostile_fleet() -> Record:
    """Hostile texts everywhere, also in names and in what is said of the cluster."""
    value = diagnosis([hostile(name) for name in ("worker-1", *HOSTILE[:6])])
    value["cluster"].update(
        api_url=HOSTILE[0],
        version=HOSTILE[1],
        not_seen=[{"subject": item, "reason": item, "message": item} for item in HOSTILE],
    )
    value["fleet"].update(
        unmatched_hosts=[{"host": item, "why": item} for item in HOSTILE],
        nodes_without_host=list(HOSTILE),
        duplicate_hosts=[{"node": item, "hosts": list(HOSTILE)} for item in HOSTILE],
    )
    return value

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Acts on what the kubelet is configured with: rotation, its kubeconfig, the CA that it trusts."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, dig
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.case import (
    Act,
    CannotAct,
    Case,
    Draft,
    command,
)


def _enable(case: Case) -> list[Draft]:
    if "rotate-certificates" in (case.probed("kubelet", "flags") or {}):
        raise CannotAct("the flag --rotate-certificates decides it, and flags are set where the unit is made")
    layers = [layer for layer in case.probed("config", "layers") or () if isinstance(layer, dict)]
    saying = [layer for layer in layers if layer.get("rotate_certificates") is False]
    path = str((saying[-1].get("path") if saying else None) or case.needed("the configuration file", "config", "path"))
    return [
        Draft(
            key=case.name,
            node=case.name,
            parameters={**case.places(), "kubelet_config": path, "unit": case.unit()},
            bound_to=case.bound(path),
            needs=case.not_bound(path),
            commands=(command("sed", "-i", "s/^rotateCertificates:.*/rotateCertificates: true/", path),),
            changes=(f"sets rotateCertificates: true in {path}",),
            verified_by="the file says so, and the kubelet logs that client rotation is on after its restart",
        )
    ]


def _rotating(case: Case) -> list[Draft]:
    kubeconfig = str(case.needed("the kubeconfig", "kubeconfig", "path"))
    pki = str(case.needed("the certificate directory", "pki", "path"))
    if case.rotated() is None:
        raise CannotAct(f"{pki}/kubelet-client-current.pem holds no certificate of this node that is valid now")
    current = f"{pki}/kubelet-client-current.pem"
    return [
        Draft(
            key=case.name,
            node=case.name,
            parameters={**case.places(), "kubeconfig": kubeconfig, "unit": case.unit()},
            bound_to=case.bound(kubeconfig),
            needs=case.not_bound(kubeconfig),
            commands=(
                command("cp", "-p", kubeconfig, f"{kubeconfig}.bak"),
                f"# in {kubeconfig}: client-certificate: {current}, client-key: {current}, without their -data",
            ),
            changes=(f"{kubeconfig} names {current} as certificate and key",),
            verified_by="the API server accepts the kubelet after its restart, and the node is Ready",
        )
    ]


def _refresh(case: Case) -> list[Draft]:
    pem = dig(case.cluster, "control_plane_info", "cluster_ca", "pem")
    if not pem:
        raise CannotAct(
            "the cluster's CA (kube-root-ca.crt) was not seen, or this evidence is older than the plan's needs"
        )
    if not _of_this_cluster(case):
        raise CannotAct(
            "neither the node's kubeconfig nor the API server that it reaches has a CA of this cluster, so it may be another one's node"
        )
    with_kubeconfig = case.rule != "kubelet-client-ca-stale"
    parameters: Data = {**case.places(with_kubeconfig), "unit": case.unit(), "ca_pem": pem}
    places = []
    ca_file = case.probed("client_ca_file", "path")
    if ca_file:
        parameters["ca_file"] = ca_file
        places.append(str(ca_file))
    if with_kubeconfig:
        places.append(str(case.needed("the kubeconfig", "kubeconfig", "path")))
    if not places:
        raise CannotAct("no file of the node is known that holds the CA")
    return [
        Draft(
            key=case.name,
            node=case.name,
            parameters=parameters,
            bound_to=case.bound(*places, with_kubeconfig=with_kubeconfig),
            needs=case.not_bound(*places),
            commands=("kubectl -n kube-system get configmap kube-root-ca.crt -o jsonpath='{.data.ca\\.crt}'",),
            changes=tuple(f"puts the cluster's CA certificates in the place of those in {place}" for place in places),
            verified_by="the node trusts the API server, and the API server reaches the kubelet",
        )
    ]


def _of_this_cluster(case: Case) -> bool:
    """Whether the node trusts a CA of the cluster already, or reaches an API server that one of these has issued. Names and addresses
    prove nothing: a host of that name may belong to another cluster."""
    known = dig(case.cluster, "control_plane_info", "cluster_ca", "certificates") or ()
    fingerprints = {cert.get("fingerprint_sha256") for cert in known} - {None}
    keys = {cert.get("subject_key_id") for cert in known} - {None}
    trusted = case.probed("kubeconfig", "ca", "certificates") or ()
    shown = case.probed("network", "server_certificates") or ()
    return any(cert.get("fingerprint_sha256") in fingerprints for cert in trusted) or any(
        cert.get("authority_key_id") in keys for cert in shown
    )


_ROOT = "root on the node"
_BACKUP = "the files are copied beside themselves first, and put back when the kubelet does not come up"
ENABLE_ROTATION = Act(
    "enable_rotation", "node_repair", "Switch certificate rotation on", "low", (_ROOT,), _BACKUP, _enable
)
USE_ROTATING_KUBECONFIG = Act(
    "use_rotating_kubeconfig",
    "node_repair",
    "Point the kubeconfig to the certificate that rotates",
    "medium",
    (_ROOT,),
    _BACKUP,
    _rotating,
)
REFRESH_CA = Act(
    "refresh_ca",
    "node_repair",
    "Give the node the cluster's present CA",
    "medium",
    (_ROOT, "get on a ConfigMap kube-root-ca.crt"),
    _BACKUP,
    _refresh,
)

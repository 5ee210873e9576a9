# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``ca``: which CA each part of the cluster trusts or signs with, compared.

A CA is known by its *key identifier* (X.509: a leaf's authority key identifier is its issuer's subject key identifier), so that a CA
certificate that was renewed with the same key is the same CA, and two CAs of the same name are not. What carries no identifier is
unknown. The ConfigMap ``extension-apiserver-authentication`` keeps CAs that an API server no longer trusts until they expire
(``pkg/controlplane/controller/clusterauthenticationtrust``), so the files of the API server come before it where they were seen.
"""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Cluster,
    Data,
    View,
    dig,
    latest,
)

NODE, KUBELET_CLIENT_CA, LEAF = (
    "the node's kubeconfig",
    "the kubelet's clientCAFile",
    "the issuer of the node's certificate",
)
CLIENT_CA, CLUSTER_CA, SIGNING_CA = "the API server's client CA", "ConfigMap kube-root-ca.crt", "the signing CA"


def ca_signals(view: View, signing: Data, client: Data) -> Data:
    """``places``: who holds which CA. ``odd``: places that share none with the others. The rest compares two of them each."""
    probe, cluster = view.probe, view.cluster
    trusted = signing.get("client_ca")
    root = _certificates(dig(cluster.control_plane_info, "cluster_ca", "certificates"))
    node = _certificates(dig(probe, "kubeconfig", "ca", "certificates"))
    signing_ca = [signing["ca"]] if signing.get("ca") else None
    places = {
        NODE: _keys(node),
        KUBELET_CLIENT_CA: _keys(_certificates(dig(probe, "client_ca_file", "certificates"))),
        LEAF: {client["issuer_key"]} if client.get("issuer_key") else None,
        CLIENT_CA: _keys(trusted),
        CLUSTER_CA: _keys(root),
        SIGNING_CA: _keys(signing_ca),
    }
    server = next(iter(_certificates(dig(probe, "network", "server_certificates")) or ()), None)
    server_key = dig(server, "authority_key_id")
    node_newest, root_newest, odd = _newest(node), _newest(root), odd_ones(places)
    return {
        "places": [{"place": place, "keys": sorted(places[place] or ())} for place in _odd_first(places, odd)],
        "odd": odd,
        "leaf_issuer_trusted": _within(places[LEAF], places[CLIENT_CA]),
        "leaf_of_signing_ca": _within(places[LEAF], places[SIGNING_CA]),
        "signing_ca_trusted": _within(places[SIGNING_CA], places[CLIENT_CA]),
        "trusted_subjects": None if trusted is None else [cert.get("subject") for cert in trusted],
        "trusted_fingerprints": None if trusted is None else [_short(cert) for cert in trusted],
        "signing_fingerprint": _short(signing["ca"]) if signing.get("ca") else None,
        "server_issuer_in_cluster": _within({server_key} if server_key else None, places[CLUSTER_CA]),
        "node_newest": node_newest,
        "cluster_newest": root_newest,
        "node_behind": None if node_newest is None or root_newest is None else node_newest < root_newest,
        "node_fingerprints": None if node is None else [_short(cert) for cert in node],
        "cluster_fingerprints": None if root is None else [_short(cert) for cert in root],
        "cluster_changed": dig(cluster.control_plane_info, "cluster_ca", "last_changed"),
        **_clipping(client, signing),
    }


def _clipping(client: Data, signing: Data) -> Data:
    """``clipped_at``: the node's certificate ends the second the CA does. ``lifetimes_shrink``: and it lasts less than half of what is
    asked for, as it is after a second rotation in a row that the CA's end cut short. ``leaf_is_newer``: it was issued under this CA."""
    ends, begins = client.get("not_after"), client.get("not_before")
    clipped = None if not ends or not signing.get("not_after") else ends == signing["not_after"]
    lifetime, wanted = client.get("lifetime_seconds"), signing.get("lifetime_seconds")
    return {
        "clipped_at": ends if clipped else None,
        "lifetimes_shrink": None
        if clipped is None or not lifetime or not wanted
        else clipped and lifetime < wanted / 2,
        "leaf_is_newer": None if not begins or not signing.get("not_before") else begins >= signing["not_before"],
    }


def client_ca_certificates(cluster: Cluster) -> list[Data] | None:
    """What the API server accepts clients of: its files on the hosts (what all of them hold), else what it published."""
    of_hosts = []
    for host in cluster.control_plane_hosts:
        path = dig(host, "manifests", "kube-apiserver", "flags", "client-ca-file")
        entry = next((e for e in dig(host, "files") or () if path and e.get("path") == path), None)
        found = _certificates(dig(entry, "certificates"))
        if found and not dig(entry, "certificates_dropped"):
            of_hosts.append(found)
    if of_hosts:
        common = set.intersection(*({_identity(cert) for cert in found} for found in of_hosts))
        return [cert for cert in of_hosts[0] if _identity(cert) in common]
    return _certificates(dig(cluster.control_plane_info, "client_ca", "certificates"))


def odd_ones(places: dict[str, set[str] | None]) -> list[str] | None:
    """The places that share no CA with the largest group of places that do share; None with fewer than three places known."""
    known = {place: keys for place, keys in places.items() if keys}
    if len(known) < 3:
        return None
    groups: list[tuple[set[str], list[str]]] = []
    for place, keys in known.items():
        merged, members = set(keys), [place]
        for group in [g for g in groups if g[0] & keys]:
            groups.remove(group)
            merged |= group[0]
            members = [*group[1], *members]
        groups.append((merged, members))
    largest = max(len(members) for _keys_, members in groups)
    if sum(1 for _keys_, members in groups if len(members) == largest) > 1:
        return []
    return [place for _keys_, members in groups if len(members) < largest for place in members]


def _odd_first(places: dict[str, set[str] | None], odd: list[str] | None) -> list[str]:
    return sorted((place for place, keys in places.items() if keys), key=lambda place: place not in (odd or ()))


def _certificates(found: t.Any) -> list[Data] | None:
    """The readable ones; None when none was seen (an empty bundle says nothing about trust that could be compared)."""
    readable = [cert for cert in found or () if "error" not in cert]
    return readable or None


def _keys(certificates: list[Data] | None) -> set[str] | None:
    """Their key identifiers; None as soon as one has none, since then nothing can be said to be absent."""
    if certificates is None or any(not cert.get("subject_key_id") for cert in certificates):
        return None
    return {cert["subject_key_id"] for cert in certificates}


def _within(part: set[str] | None, whole: set[str] | None) -> bool | None:
    return None if part is None or whole is None else bool(part & whole)


def _identity(certificate: Data) -> str | None:
    return certificate.get("subject_key_id") or certificate.get("fingerprint_sha256")


def _short(certificate: Data) -> str:
    return f"{certificate.get('subject')} ({str(certificate.get('fingerprint_sha256'))[:16]}…, from {certificate.get('not_before')})"


def _newest(certificates: list[Data] | None) -> str | None:
    return latest(cert.get("not_before") for cert in certificates or ())

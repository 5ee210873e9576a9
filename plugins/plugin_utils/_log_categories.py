# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What a line of the kubelet's log says about its certificates: category → pattern and meaning.

The texts are those of ``k8s.io/client-go/util/certificate``, ``pkg/kubelet/certificate`` and Go's ``net`` and ``crypto/x509``, in the
forms of Kubernetes 1.12 to 1.37: structured (``"MSG" err="…"``), prefixed (``<signer>: MSG: …``) and JSON. So patterns match parts of a
line without regard to case, and a line may belong to several categories. Lines about pods (probes, images, volumes) belong to none:
their ``connection refused`` is not the API server's.
"""

from __future__ import annotations

import re
import typing as t


class Category(t.NamedTuple):
    """``pattern`` is searched in the line; ``meaning`` is one line for a reader."""

    pattern: re.Pattern[str]
    meaning: str


def _category(pattern: str, meaning: str) -> Category:
    return Category(re.compile(pattern, re.IGNORECASE), meaning)


CATEGORIES: t.Final[dict[str, Category]] = {
    "rotation_enabled": _category(
        r"client rotation is on|certificate rotation is enabled|starting client certificate rotation",
        "the kubelet started with rotation on",
    ),
    "rotated": _category(
        r"certificate rotation detected|certificate signing request \S+ is issued|certificate signing request is issued",
        "a new certificate was issued or taken into use",
    ),
    "create_failed": _category(
        r"failed while requesting a signed certificate|cannot create certificate signing request"
        r"|unable to load a client to request certificates|unable to generate a certificate signing request",
        "the certificate signing request could not be created",
    ),
    "not_signed": _category(
        r"certificate request was not signed", "no certificate came back for a certificate signing request"
    ),
    "csr_denied": _category(
        r"certificate signing request( \S+)? (is|was) denied", "the certificate signing request was denied"
    ),
    "csr_failed": _category(
        r"certificate signing request( \S+)? (has )?failed, reason",
        "the signer refused the certificate signing request",
    ),
    "csr_deleted": _category(
        r"\bcsr \\?\"?[^\s\"\\]+\\?\"? was deleted",
        "the certificate signing request was deleted before anybody decided",
    ),
    "store_failed": _category(
        r"unable to store the new cert/key pair|could not create directory \S+ to store certificates"
        r"|failed to sync certificate data to disk|could not convert data from \S+ into cert/key pair"
        r"|unable to set the cert/key pair to the bootstrap certificate|unable to create a symlink from"
        r"|unable to rename \S+ to \S*kubelet-|unable to remove \S*kubelet-",
        "the new certificate could not be written",
    ),
    "backoff": _category(
        r"reached backoff limit, still unable to rotate",
        "rotation failed several times and is tried again with a pause",
    ),
    "no_valid_certificate": _category(
        r"no valid client certificate is found|since a valid client cert was found|no valid client certificate",
        "the kubelet runs without a valid client certificate",
    ),
    "certificate_expired": _category(
        r"currently active client certificate has expired|current certificate is expired"
        r"|part of the existing bootstrap client certificate( in \S+)? is expired",
        "the kubelet's own client certificate has expired",
    ),
    "bootstrap_kubeconfig_missing": _category(
        r"unable to load bootstrap kubeconfig.*no such file", "the bootstrap kubeconfig that is needed does not exist"
    ),
    "kubeconfig_unusable": _category(
        r"invalid kubeconfig|unable to load kubeconfig|unable to load bootstrap kubeconfig(?!.*no such file)"
        r"|unable to (load|read) (tls|existing bootstrap client|the existing bootstrap)",
        "a kubeconfig, or a file that it names, cannot be used",
    ),
    "unauthorized": _category(
        r"\bunauthorized\b|must be logged in to the server|the server has asked for the client to provide credentials",
        "the API server does not accept the credentials (401)",
    ),
    "forbidden": _category(
        r"\bis forbidden\b|\bforbidden: user\b|\bcannot (get|list|watch|create|update|patch|delete) resource",
        "the API server refuses the act (403)",
    ),
    "anonymous": _category(
        r"system:anonymous", "the kubelet was taken for an anonymous user: it presented no certificate"
    ),
    "name_unresolved": _category(
        r"no such host|server misbehaving|temporary failure in name resolution|lookup \S+.*i/o timeout",
        "a name does not resolve",
    ),
    "proxy_failed": _category(
        r"proxyconnect tcp|(?<!failed to connect to )\bproxy\b.*(connection refused|i/o timeout|no such host)|proxy authentication required",
        "the proxy that the kubelet is told to use does not lead to the API server",
    ),
    "connection_refused": _category(
        r"(dial tcp|\btcp\b|proxyconnect|connect:).*connection refused|connection to the server \S+ was refused",
        "nothing listens where the API server should",
    ),
    "connection_timeout": _category(
        r"no route to host|network is unreachable|i/o timeout|tls handshake timeout|host is unreachable"
        r"|dial tcp.*(connection timed out|operation timed out)|client\.timeout exceeded while awaiting headers",
        "the API server cannot be reached or does not answer in time",
    ),
    "tls_stalled": _category(
        r"tls handshake timeout", "the connection comes about, and the TLS handshake does not end in time"
    ),
    "server_untrusted": _category(
        r"^(?!.*unable to authenticate the request)"  # there the kubelet refuses who calls it
        r".*(certificate signed by unknown authority|certificate is not trusted|unknown certificate authority)",
        "the API server's certificate is not signed by a CA that the kubeconfig names",
    ),
    "server_certificate_expired": _category(
        r"(failed to verify certificate|\bGet \S*https?://|\bPost \S*https?://|\bdial\b|failed to list).*"
        r"x509: certificate has expired or is not yet valid",
        "the certificate that the API server presents is not valid now",
    ),
    "server_name_mismatch": _category(
        r"x509: certificate is (not )?valid for|doesn't contain any IP SANs|is not valid for any names",
        "the API server's certificate does not hold the name it was called by",
    ),
    "admission_refused": _category(
        r"admission webhook \S+ denied|validatingadmissionpolicy .* denied request"
        r"|can only create a node CSR with CN=",
        "admission in the API server refused the request",
    ),
    "webhook_failed": _category(
        r"failed calling webhook|failed to call webhook", "an admission webhook could not be called"
    ),
    "throttled": _category(
        r"too many requests", "the API server answers 429: it takes no more requests of this kind at present"
    ),
    "etcd_failed": _category(
        r"etcdserver: (?!mvcc: database space exceeded)|etcd cluster is unavailable",
        "the API server cannot read or write etcd",
    ),
    "etcd_full": _category(r"database space exceeded", "etcd is full and takes no more writes"),
    "csr_api_missing": _category(
        r"(certificate ?signing ?request).*could not find the requested resource",
        "the API server does not serve certificate signing requests",
    ),
    "bootstrap_forbidden": _category(
        r"user \W*system:bootstrap:[a-z0-9]+\W+cannot create resource \W*certificatesigningrequests",
        "the API server knows the bootstrap token, and does not let it create a certificate signing request",
    ),
    "no_serving_certificate": _category(
        r"no serving certificate available", "the kubelet has no certificate to serve on its port yet"
    ),
    "disk_full": _category(r"no space left on device|disk quota exceeded", "no space or inodes are left"),
    "read_only": _category(r"read-only file system", "the file system is read-only"),
    "permission_denied": _category(
        r"(kubelet-(client|server)|/pki\b|kubelet\.(crt|key|conf)|kubeconfig|certificate|cert/key).*(permission denied|operation not permitted)",
        "the kubelet may not read or write one of its certificate files",
    ),
    "key_mismatch": _category(
        r"private key does not match public key|failed to find any PEM data",
        "a certificate file is damaged or holds another's key",
    ),
    "not_a_symlink": _category(
        r"expected \S+ to be a symlink but it is a file", "a file stands where the kubelet keeps a symbolic link"
    ),
    "identity_mismatch": _category(
        r"can only access node lease with the same name|only its own node object|current certificate CN( \([^)]*\))? does not match"
        r"|can only create a node CSR with CN=",
        "the certificate is of another node name than the kubelet's",
    ),
    "lenient_decoding": _category(
        r"using lenient decoding as strict decoding failed",
        "the configuration file has a key that the kubelet does not know and passes over",
    ),
    "start_failed": _category(
        r"failed to run kubelet|\"?command failed\"?\s+err=|failed to initialize client certificate|failed to initialize certificate manager"
        r"|failed to (construct kubelet dependencies|load kubelet config file|validate kubelet)|unable to load client CA file",
        "the kubelet could not start",
    ),
}
"""Category → pattern and meaning, in the order of a rotation."""

_OF_PODS = re.compile(
    r"prober\.go|probe failed|probeResult|image_?pull|pullimage|mountvolume|unmountvolume|operationExecutor"
    r"|error syncing pod|crashloopbackoff|dial unix|cni plugin|failed to create pod sandbox",
    re.IGNORECASE,
)


def categories_of(line: str) -> list[str]:
    """The categories of a log line, in the order of ``CATEGORIES``; empty when it says nothing about certificates."""
    if _OF_PODS.search(line) and not CATEGORIES["start_failed"].pattern.search(line):
        return []
    return [name for name, category in CATEGORIES.items() if category.pattern.search(line)]

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Toward the API server and on the kubelet's own port: what ``openssl s_client`` of 1.1 and 3.x said, as evidence."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import (
    CRYPTOGRAPHY_IMPORT_ERROR,
    chain_trusted,
    load_certificates,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.files import Missing
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import Answer, Section
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import Data, certificates, pem_of

# errno values are those of Linux.
_OUTCOMES: t.Final = (
    ("refused", re.compile(r"connection refused|errno=111\b", re.IGNORECASE)),
    (
        "unreachable",
        re.compile(r"no route to host|network is unreachable|host is unreachable|errno=(113|101)\b", re.IGNORECASE),
    ),
    ("timeout", re.compile(r"timed out|errno=110\b", re.IGNORECASE)),
)
_UNRESOLVED = re.compile(
    r"name or service not known|name resolution|BIO_lookup|nodename nor servname|no address associated", re.IGNORECASE
)
_RESOLVE_ERRORS = {
    "2": "the name is not known",
    "124": "no answer in time",
    "137": "no answer in time",
    "143": "no answer in time",
}


def connection(section: Section) -> tuple[str | None, str | None, str | None, str | None]:
    """(``connect``, its error, ``tls``, its error) of one handshake; all None when it was not tried."""
    status = section.number("status")
    if status is None:
        return None, None, None, None
    trouble = "; ".join(_shorten(line) for line in section.all("trouble")[:3]) or None
    timed_out = status in (124, 137, 143)
    refused_by_proxy = any("CONNECT failed" in line for line in section.all("trouble"))
    if not section.one("connected") or refused_by_proxy:
        connect = next(
            (name for name, pattern in _OUTCOMES if pattern.search(trouble or "")), "timeout" if timed_out else "error"
        )
        return (
            connect,
            trouble or ("no answer in time" if timed_out else f"openssl ended with status {status}"),
            None,
            None,
        )
    if section.all("cert") or section.one("handshake"):
        alert = trouble if trouble and "alert" in trouble.lower() else None
        return ("ok", None, "failed", alert) if alert and not section.one("handshake") else ("ok", None, "ok", None)
    return (
        "ok",
        None,
        "timeout" if timed_out else "failed",
        trouble or ("no answer in time" if timed_out else "the handshake ended without a certificate"),
    )


def network(
    answer: Answer, kubeconfigs: dict[str, Data | None], proxies: dict[str, str], missing: Missing
) -> Data | None:
    """From the node to the server of the kubeconfig, or where that names none, of the bootstrap kubeconfig.

    Where the kubelet goes through a proxy, the values are of that way, and ``direct`` tells what the way around it is like.
    """
    section = answer.first("network")
    if section is None:
        return None
    source = section.one("source") or "kubeconfig"
    kubeconfig = kubeconfigs.get(source) or {}
    kubeconfig_section = answer.first("bootstrap" if source == "bootstrap_kubeconfig" else "kubeconfig")
    host = section.one("host") or ""
    resolved = {True: section.all("address"), False: [], None: None}[section.yes("resolved")]
    connect, connect_error, _tls, _tls_error = connection(section)
    if (resolved is None and connect == "ok") or (resolved is None and _UNRESOLVED.search(connect_error or "")):
        resolved = []
    name = kubeconfig.get("tls_server_name") or host
    readable = CRYPTOGRAPHY_IMPORT_ERROR is None and kubeconfig_section is not None
    roots = load_certificates(pem_of(kubeconfig_section, "ca_cert")) if readable and kubeconfig_section else []
    via_proxy = kubeconfig.get("proxy_url") or proxy_for(host, proxies)
    way: Section | None = answer.first("proxy") if via_proxy else section
    result: Data = {
        "source": source,
        "host": host,
        "port": section.number("port"),
        "via_proxy": via_proxy,
        "direct": connect if via_proxy else None,
        "resolved": resolved,
        "resolve_error": None,
        **_met(way, name, roots),
        "addresses": [_address(each, name, roots) for each in answer.every("address")],
    }
    if section.yes("resolved") is False:
        result["resolve_error"] = _RESOLVE_ERRORS.get(section.one("resolve_status") or "", "the name did not resolve")
    if way is None:
        missing("network.connect", "unsupported", "the kubelet goes through a proxy that the probe does not speak to")
    elif _wants_password(way):
        result.update(dict.fromkeys(_met(None, name, roots)))
        missing("network.connect", "unauthorized", "the proxy asks for a password, which the probe does not read")
    elif result["server_certificates"] and not roots:
        missing("network.server_trusted", "not_found", "no CA of the kubeconfig could be read")
    if way is not None and way.one("connected") and result["authentication"] is None:
        missing("network.authentication", "tls", way.one("http_trouble") or "no HTTP answer came")
    return result


def _met(section: Section | None, name: str, roots: list[t.Any]) -> Data:
    """One way to the API server: connection, handshake, trust, name, and what it makes of the node's certificate."""
    connect, connect_error, tls, tls_error = connection(section) if section is not None else (None,) * 4
    result: Data = {
        "connect": connect,
        "connect_error": connect_error,
        "tls": tls,
        "tls_error": tls_error,
        "server_certificates": None,
        "server_trusted": None,
        "server_name_matches": None,
        "client_certificate_requested": None,
        "authentication": None,
    }
    if section is None:
        return result
    if connect == "ok":
        result["server_certificates"] = certificates(section)
    presented = load_certificates(pem_of(section)) if CRYPTOGRAPHY_IMPORT_ERROR is None else []
    if presented and roots:
        result["server_trusted"] = chain_trusted(presented, roots)
    if result["server_certificates"] and "error" not in result["server_certificates"][0]:
        result["server_name_matches"] = name_matches(name, result["server_certificates"][0])
    if tls == "ok" and section.one("handshake"):
        result["client_certificate_requested"] = section.yes("client_requested") is True
    if section.one("http_status"):
        result["authentication"] = {
            "http_status": section.number("http_status"),
            "username": section.one("username"),
            "message": section.one("http_message"),
        }
    return result


def _address(section: Section, name: str, roots: list[t.Any]) -> Data:
    """The short form of what one of several addresses is like."""
    met = _met(section, name, roots)
    leaf: Data = next((entry for entry in met["server_certificates"] or () if "error" not in entry), {})
    return {
        "address": section.name,
        "connect": met["connect"],
        "tls": met["tls"],
        "error": met["connect_error"] or (met["tls_error"] if met["tls"] != "ok" else None),
        "issuer": leaf.get("issuer"),
        "serial": leaf.get("serial"),
        "not_after": leaf.get("not_after"),
        "server_trusted": met["server_trusted"],
        "server_name_matches": met["server_name_matches"],
        "http_status": (met["authentication"] or {}).get("http_status"),
    }


def _wants_password(section: Section) -> bool:
    return any("CONNECT failed" in line and "407" in line for line in section.all("trouble"))


def etcd(answer: Answer) -> list[Data]:
    """From a control-plane node to the etcd that its API server is told of, an entry an endpoint."""
    found = []
    for section in answer.every("etcd"):
        connect, error, _tls, _tls_error = connection(section)
        health, _space, reason = (section.one("health") or "").partition(" ")
        found.append(
            {
                "endpoint": section.name,
                "connect": connect,
                "error": error,
                "healthy": {"true": True, "false": False}.get(health),
                "reason": reason or None,
            }
        )
    return found


def serving(section: Section | None) -> Data | None:
    """What is served on the kubelet's port of this node."""
    if section is None:
        return None
    connect, connect_error, tls, tls_error = connection(section)
    return {
        "address": section.name,
        "port": section.number("port"),
        "connect": connect,
        "certificates": certificates(section) if connect == "ok" else [],
        "error": connect_error or (tls_error if tls == "failed" else None),
    }


def name_matches(name: str, certificate: Data) -> bool:
    """Whether the certificate is for this name or address, as Go judges it: subject alternative names only, one wildcard label."""
    try:
        wanted = ipaddress.ip_address(name)
    except ValueError:
        labels = name.lower().rstrip(".").split(".")
        for candidate in certificate.get("dns_names") or ():
            pattern = str(candidate).lower().rstrip(".").split(".")
            if pattern == labels or (pattern[0] == "*" and len(pattern) == len(labels) and pattern[1:] == labels[1:]):
                return True
        return False
    for candidate in certificate.get("ip_addresses") or ():
        try:
            if ipaddress.ip_address(candidate) == wanted:
                return True
        except ValueError:
            continue
    return False


def proxy_for(host: str, proxies: dict[str, str]) -> str | None:
    """The proxy that Go's client takes for an HTTPS server (HTTPS_PROXY unless NO_PROXY names the host), None for none."""
    values = {name.upper(): value for name, value in proxies.items()}
    proxy = values.get("HTTPS_PROXY")
    if not proxy:
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return None
    for item in (part.strip().lower() for part in values.get("NO_PROXY", "").split(",")):
        bare = item.rpartition(":")[0] if re.fullmatch(r"[^:]+:\d+", item) else item
        if not bare:
            continue
        if bare == "*" or host.lower() == bare.lstrip(".") or host.lower().endswith(f".{bare.lstrip('*').lstrip('.')}"):
            return None
        try:
            if address is not None and address in ipaddress.ip_network(bare, strict=False):
                return None
        except ValueError:
            continue
    return proxy


def _shorten(line: str) -> str:
    """Without the thread id and source file that OpenSSL puts around its words."""
    found = re.match(r"^[0-9A-F]+:error:[0-9A-F]+:([^:]*):([^:]*):([^:]*):", line)
    return f"{found.group(2)}: {found.group(3)}" if found else line

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""postfinance/kubelet-csr-approver, for serving certificates. It denies what fails, unless skip-deny-step is on.

Source: ``internal/controller/csr_controller.go`` (Reconcile) and ``internal/controller/regex_ip_checks.go`` (DNSCheck, WhitelistedIPCheck), the
settings' defaults in ``internal/cmd/cmd.go``, of April 2026. What it resolves is not resolved here, as only its own pod's DNS counts: the
denial's own message, where there is one, tells.
"""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers import checks
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.approvers.checks import (
    Case,
    check,
    shown,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

SOURCE = "https://github.com/postfinance/kubelet-csr-approver/blob/main/internal/controller/regex_ip_checks.go"

_MAX_SECONDS = 367 * 24 * 3600
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_MOST_REPEATS = 3
"""More of ``*``, ``+`` and ``{`` than this, or a repeated group, is not tried: Python could take for ever where Go's regexp does not."""


def replay(case: Case) -> list[Data]:
    """Its checks in its order; it stops at the first that fails."""
    return [
        check(
            "signed-in node",
            case.requestor.startswith("system:node:"),
            f"{case.requestor or 'unknown'}; wanted: system:node:…",
        ),
        checks.some_names(case),
        checks.is_requestor(case),
        _how_many(case),
        _prefixed(case),
        _regex(case),
        _resolves(case),
        _prefixes(case),
        _duration(case),
    ]


def _how_many(case: Case) -> Data:
    names, allowed = case.names("dns_names"), _number(case, "allowed-dns-names", 1)
    passed = None if allowed is None else len(names) <= allowed
    return check("number of DNS names", passed, f"{len(names)} ({shown(names)}); allowed: {_known(allowed)}")


def _prefixed(case: Case) -> Data:
    host, names = case.requestor.removeprefix("system:node:"), case.names("dns_names")
    bypassed = _flag(case, "bypass-hostname-check")
    strange = [name for name in names if not name.startswith(host)]
    passed = True if bypassed or not strange else None if bypassed is None else False
    return check(
        "DNS names begin with the node's", passed, f"{shown(strange or names)}; the node is {host or 'unknown'}"
    )


def _regex(case: Case) -> Data:
    pattern = case.settings.get("provider-regex", ".*")
    names = case.names("dns_names")
    if not isinstance(pattern, str) or len(pattern) > 300 or _is_risky(pattern):
        return check("provider-regex", None, f"{shown(names)}; {pattern or 'its value is not seen'}")
    try:
        strange = [name for name in names if len(name) > 253 or not re.search(pattern, name)]
    except (re.error, RecursionError):
        return check("provider-regex", None, f"{shown(names)}; {pattern}")
    return check("provider-regex", not strange, f"{shown(strange or names)}; allowed: {pattern}")


def _is_risky(pattern: str) -> bool:
    plain = re.sub(r"\\.", "", pattern)
    return len(re.findall(r"[*+{]", plain)) > _MOST_REPEATS or bool(re.search(r"\)[*+{]|\(\?[^:imsP]", plain))


def _resolves(case: Case) -> Data:
    names, bypassed = case.names("dns_names"), _flag(case, "bypass-dns-resolution")
    said = next(
        (str(entry.get("message")) for entry in case.csr.get("conditions") or () if entry.get("type") == "Denied"), ""
    )
    if "could not be resolved" in said or "resolved IP addresses" in said:
        return check("DNS resolves to the addresses", False, said)
    if bypassed or not names:
        return check("DNS resolves to the addresses", True, "not asked" if not names else "bypassed by its settings")
    wanted = shown(case.names("ip_addresses"))
    return check("DNS resolves to the addresses", None, f"{shown(names)} must resolve, in its pod, to {wanted}")


def _prefixes(case: Case) -> Data:
    given = case.settings.get("provider-ip-prefixes", "0.0.0.0/0,::/0")
    addresses = case.names("ip_addresses")
    try:
        networks = (
            [ipaddress.ip_network(part.strip(), strict=False) for part in str(given).split(",")] if given else None
        )
    except ValueError:
        networks = None
    if networks is None:
        return check("provider-ip-prefixes", None, f"{shown(addresses)}; {given or 'its value is not seen'}")
    strange = [
        ip for ip in addresses if (found := checks.address(ip)) is None or not any(found in net for net in networks)
    ]
    return check("provider-ip-prefixes", not strange, f"{shown(strange or addresses)}; allowed: {given}")


def _duration(case: Case) -> Data:
    wanted, most = case.csr.get("requested_duration_seconds"), _number(case, "max-expiration-sec", _MAX_SECONDS)
    passed = True if wanted is None else None if most is None else wanted <= most
    return check(
        "max-expiration-sec", passed, f"{'none asked for' if wanted is None else wanted}; at most {_known(most)}"
    )


def _flag(case: Case, name: str) -> bool | None:
    value = case.settings.get(name, "false")
    return None if value is None else value in _TRUE


def _number(case: Case, name: str, default: int) -> int | None:
    value = case.settings.get(name, str(default))
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def _known(value: int | None) -> str:
    return "unknown" if value is None else str(value)

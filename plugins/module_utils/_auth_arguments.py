# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The options by which an API server is reached: for argument specifications alone, so that whoever only has them loads no client."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.parameters import env_fallback

Params = dict[str, t.Any]


def _option(variable: str, **more: t.Any) -> Params:
    return {"fallback": (env_fallback, [f"K8S_AUTH_{variable}"]), **more}


AUTH_ARGUMENTS: Params = {
    "kubeconfig": _option("KUBECONFIG", type="raw"),
    "context": _option("CONTEXT", type="str"),
    "host": _option("HOST", type="str"),
    "api_key": _option("API_KEY", type="str", no_log=True),
    "username": _option("USERNAME", type="str"),
    "password": _option("PASSWORD", type="str", no_log=True),
    "validate_certs": _option("VERIFY_SSL", type="bool", aliases=["verify_ssl"]),
    "ca_cert": _option("SSL_CA_CERT", type="path", aliases=["ssl_ca_cert"]),
    "client_cert": _option("CERT_FILE", type="path", aliases=["cert_file"]),
    "client_key": _option("KEY_FILE", type="path", aliases=["key_file"], no_log=False),
    "proxy": _option("PROXY", type="str"),
    "no_proxy": _option("NO_PROXY", type="str"),
    "proxy_headers": {
        "type": "dict",
        "apply_defaults": True,
        "options": {
            "proxy_basic_auth": _option("PROXY_HEADERS_PROXY_BASIC_AUTH", type="str", no_log=True),
            "basic_auth": _option("PROXY_HEADERS_BASIC_AUTH", type="str", no_log=True),
            "user_agent": _option("PROXY_HEADERS_USER_AGENT", type="str"),
        },
    },
    "persist_config": _option("PERSIST_CONFIG", type="bool"),
    "impersonate_user": _option("IMPERSONATE_USER", type="str"),
    "impersonate_groups": _option("IMPERSONATE_GROUPS", type="list", elements="str"),
}
"""As kubernetes.core names them, with its environment variables."""

ALIASES = {alias: name for name, spec in AUTH_ARGUMENTS.items() for alias in spec.get("aliases", ())}
"""Alias → the option's own name."""

API_ARGUMENTS: Params = {**AUTH_ARGUMENTS, "request_timeout": {"type": "int", "default": 30}}
"""The options of the doc fragments ``k8s_auth`` and ``api_module``."""

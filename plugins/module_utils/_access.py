# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""How to reach the API server: kubernetes.core's options, a kubeconfig, or the cluster's own account of a pod.

Everything is checked before the first request, so that a mistake in it is told by the option and the file it is in,
and is not mistaken for an API server that is down.
"""

from __future__ import annotations

import base64
import dataclasses
import logging
import os
import ssl
import traceback
import typing as t
import urllib.parse

from ansible.module_utils.common.parameters import env_fallback

KUBERNETES_IMPORT_ERROR: str | None
try:
    import urllib3
    import yaml
    from kubernetes import client, config
except ImportError:
    KUBERNETES_IMPORT_ERROR = traceback.format_exc()
else:
    KUBERNETES_IMPORT_ERROR = None

KUBERNETES_REQUIREMENT = "kubernetes >= 29.0.0"

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


class ConfigurationMistake(ValueError):
    """What the user gave cannot be used; the message names the option and the file. Never holds a credential."""


@dataclasses.dataclass(frozen=True)
class Access:
    """A way to the API server. ``headers`` hold the credentials; ``warnings`` what the client said while it read them."""

    configuration: t.Any
    headers: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Scheme, host and port: nothing a user may have hidden in the rest of a URL."""
        parts = urllib.parse.urlsplit(self.configuration.host)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def access(params: Params, temporary: str) -> Access:
    """What the options, else the environment, else a pod's service account lead to.

    Args:
        params: the module's parameters, those of ``AUTH_ARGUMENTS`` among them.
        temporary: a private folder that is removed with the module, for credentials that the TLS library wants as files.

    Raises:
        ConfigurationMistake: an option, a file that it names, or the absence of both.
    """
    configuration = client.Configuration()
    configuration.verify_ssl = True
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    try:
        _load(params, configuration, temporary)
    finally:
        logging.getLogger().removeHandler(heard)
    configuration.refresh_api_key_hook = None  # it reads the kubeconfig again, over the options
    _override(params, configuration)
    _check_address(params, configuration)
    _check_files(params, configuration)
    return Access(configuration, tuple(_headers(params, configuration)), tuple(heard.messages))


class _Heard(logging.Handler):
    """Keeps what the client logs (a credential plugin that failed, say), which would else go to standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage()[:500])


def _load(params: Params, configuration: t.Any, temporary: str) -> None:
    kubeconfig, origin = params.get("kubeconfig"), "option kubeconfig"
    if not isinstance(kubeconfig, (str, dict, type(None))):
        raise ConfigurationMistake(f"{origin}: a path or a dictionary is wanted, not {type(kubeconfig).__name__}")
    credentials = params.get("api_key") or params.get("client_cert") or params.get("username")
    if not kubeconfig and not params.get("context") and params.get("host") and credentials:
        return
    if not kubeconfig:
        kubeconfig, origin = _default_kubeconfig()
    if not kubeconfig:
        if params.get("context"):
            raise ConfigurationMistake(
                f"option context: names {params['context']!r}, but there is no kubeconfig to find it in"
            )
        _load_in_cluster(params, configuration)
        return
    source: Params
    if isinstance(kubeconfig, dict):
        loader, source = config.load_kube_config_from_dict, {"config_dict": kubeconfig}
    else:
        kubeconfig = os.path.expanduser(os.path.expandvars(kubeconfig))
        _check_kubeconfig(kubeconfig, origin)
        loader, source = config.load_kube_config, {"config_file": kubeconfig}
    try:
        loader(
            **source,
            context=params.get("context"),
            client_configuration=configuration,
            persist_config=bool(params.get("persist_config")),
            temp_file_path=temporary,
        )
    except config.ConfigException as error:
        named = origin if isinstance(kubeconfig, dict) else f"{origin}: {kubeconfig}"
        raise ConfigurationMistake(f"{named}: {str(error)[:300]}") from error
    except Exception as error:  # the loader trusts the file's shape: any wrong type in it is another exception
        named = origin if isinstance(kubeconfig, dict) else f"{origin}: {kubeconfig}"
        raise ConfigurationMistake(f"{named}: is no kubeconfig that can be used ({type(error).__name__})") from error


def _default_kubeconfig() -> tuple[str | None, str]:
    named = os.environ.get("KUBECONFIG")
    if named:
        return named, "environment variable KUBECONFIG"
    usual = os.path.expanduser("~/.kube/config")
    return (usual, "the default kubeconfig") if os.path.exists(usual) else (None, "")


def _load_in_cluster(params: Params, configuration: t.Any) -> None:
    try:
        config.load_incluster_config(client_configuration=configuration)
    except (config.ConfigException, OSError, UnicodeDecodeError) as error:
        if params.get("host"):
            return
        raise ConfigurationMistake(
            "nothing says how to reach the API server: give the option kubeconfig (or K8S_AUTH_KUBECONFIG, or KUBECONFIG), or the "
            f"option host with api_key or client_cert and client_key; and this is no pod with a service account ({error})"
        ) from error


def _check_kubeconfig(paths: str, origin: str) -> None:
    """Reads each file of a KUBECONFIG list, for a message that names the file and the line, and quotes nothing of it."""
    present = 0
    several = [path for path in paths.split(os.pathsep) if path]
    for path in several:
        path = os.path.expanduser(path)
        try:
            with open(path, encoding="utf-8") as stream:
                content = yaml.safe_load(stream)
        except FileNotFoundError:
            if len(several) == 1:
                raise ConfigurationMistake(f"{origin}: {path}: there is no such file") from None
            continue  # as kubectl does with a list
        except OSError as error:
            raise ConfigurationMistake(f"{origin}: {path}: cannot be read: {error.strerror}") from error
        except yaml.MarkedYAMLError as error:
            where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ConfigurationMistake(f"{origin}: {path}{where}: is no YAML: {error.problem}") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigurationMistake(f"{origin}: {path}: is no YAML ({type(error).__name__})") from None
        if not isinstance(content, dict):
            raise ConfigurationMistake(f"{origin}: {path}: is no kubeconfig (no mapping at its top level)")
        present += 1
    if not present:
        raise ConfigurationMistake(f"{origin}: {paths}: none of these files exists")


def _override(params: Params, configuration: t.Any) -> None:
    for option, attribute in (
        ("host", "host"),
        ("ca_cert", "ssl_ca_cert"),
        ("client_cert", "cert_file"),
        ("client_key", "key_file"),
        ("proxy", "proxy"),
        ("no_proxy", "no_proxy"),
    ):
        if params.get(option):
            setattr(configuration, attribute, params[option])
    if params.get("validate_certs") is not None:
        configuration.verify_ssl = params["validate_certs"]
    headers = {key: value for key, value in (params.get("proxy_headers") or {}).items() if value}
    if headers:
        configuration.proxy_headers = urllib3.util.make_headers(**headers)
    configuration.host = str(configuration.host).rstrip("/")


def _check_address(params: Params, configuration: t.Any) -> None:
    origin = "option host" if params.get("host") else "the kubeconfig's server"
    parts = urllib.parse.urlsplit(configuration.host)
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationMistake(f"{origin}: {configuration.host[:200]!r} is no URL of the form https://host:port")


def _check_files(params: Params, configuration: t.Any) -> None:
    """Loads the CA and the client certificate as the TLS library will, so that a bad file is told by its name."""
    if not configuration.host.startswith("https:"):
        return
    ca_origin = "option ca_cert" if params.get("ca_cert") else "the kubeconfig's certificate-authority"
    cert_origin = "option client_cert" if params.get("client_cert") else "the kubeconfig's client-certificate"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if configuration.ssl_ca_cert and configuration.verify_ssl:
        try:
            context.load_verify_locations(configuration.ssl_ca_cert)
        except OSError as error:
            raise ConfigurationMistake(f"{ca_origin}: {_named(params, 'ca_cert')}{_why(error)}") from error
    if configuration.cert_file:
        try:
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise ConfigurationMistake(
                f"{cert_origin} and its key: {_named(params, 'client_cert')}{_why(error)}"
            ) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted, and there is no way to give its password")


def _named(params: Params, option: str) -> str:
    return f"{params[option]}: " if params.get(option) else ""


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"cannot be used: {error.reason or error.args[-1]}"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"cannot be used: {error}"


def _headers(params: Params, configuration: t.Any) -> t.Iterator[tuple[str, str]]:
    """The credentials as headers: of the options, else of the kubeconfig."""
    if params.get("api_key"):
        yield "Authorization", f"Bearer {params['api_key']}"
    elif params.get("username"):
        pair = f"{params['username']}:{params.get('password') or ''}".encode()
        yield "Authorization", f"Basic {base64.b64encode(pair).decode()}"
    else:
        for setting in configuration.auth_settings().values():
            if setting.get("in") == "header" and setting.get("value"):
                yield str(setting["key"]).title(), str(setting["value"]).strip()
    if params.get("impersonate_user"):
        yield "Impersonate-User", params["impersonate_user"]
        for group in params.get("impersonate_groups") or ():
            yield "Impersonate-Group", group

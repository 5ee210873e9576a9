# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta, timezone

import pytest
import yaml

NOW = datetime.now(timezone.utc)


def kubeconfig(server: str, ca_file: str | None = None, **user: t.Any) -> dict[str, t.Any]:
    cluster = {"server": server} | ({"certificate-authority": ca_file} if ca_file else {})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }


@pytest.fixture
def files(tmp_path: t.Any) -> t.Callable[..., str]:
    def write(name: str, content: t.Any) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
        return str(path)

    return write


def test_trusted(run_module: t.Any, tls_server: t.Any, ca: t.Any, files: t.Any, pairs: t.Any) -> None:
    server = tls_server(pairs("api", ca, names=["127.0.0.1"]))
    path = files("config", kubeconfig(server.url, files("ca.crt", ca.pem), token="abc"))
    ended = run_module("csr_info", kubeconfig=path)
    assert ended.result["reachable"] is True
    assert server.asked[0].headers["Authorization"] == "Bearer abc"


def test_options_stand_over_a_kubeconfig_with_a_token(
    run_module: t.Any, tls_server: t.Any, ca: t.Any, files: t.Any, pairs: t.Any
) -> None:
    server = tls_server(pairs("api", ca, names=["127.0.0.1"]))
    insecure = kubeconfig("https://127.0.0.1:1", token="abc")
    insecure["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    path = files("config", insecure)
    ended = run_module("csr_info", kubeconfig=path, host=server.url, ca_cert=files("ca.crt", ca.pem))
    assert ended.result["reachable"] is True
    assert server.asked[0].headers["Authorization"] == "Bearer abc"
    other = files("other.crt", pairs("other CA").pem)
    refused = run_module("csr_info", kubeconfig=path, host=server.url, ca_cert=other, validate_certs=True)
    assert [entry["reason"] for entry in refused.result["not_seen"]] == ["tls"]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("untrusted", "unable to get local issuer certificate"),
        ("self-signed", "self-signed certificate"),
        ("expired", "certificate has expired"),
        ("not-yet", "certificate is not yet valid"),
        ("name", "127.0.0.1"),
    ],
)
def test_tls_that_is_refused(
    run_module: t.Any, tls_server: t.Any, ca: t.Any, files: t.Any, pairs: t.Any, shape: str, words: str
) -> None:
    certificate = {
        "untrusted": lambda: pairs("api", pairs("other CA"), names=["127.0.0.1"]),
        "self-signed": lambda: pairs("api", names=["127.0.0.1"]),
        "expired": lambda: pairs(
            "api", ca, names=["127.0.0.1"], not_before=NOW - timedelta(2), not_after=NOW - timedelta(1)
        ),
        "not-yet": lambda: pairs(
            "api", ca, names=["127.0.0.1"], not_before=NOW + timedelta(1), not_after=NOW + timedelta(2)
        ),
        "name": lambda: pairs("api", ca, names=["api.example.com"]),
    }[shape]()
    server = tls_server(certificate)
    path = files("config", kubeconfig(server.url, files("ca.crt", ca.pem), token="abc"))
    ended = run_module("control_plane_info", kubeconfig=path)
    assert not ended.failed
    found = ended.result["api_server"]
    assert found["reachable"] is False
    assert found["error"]["reason"] == "tls"
    assert words in found["error"]["message"]
    assert server.asked == []  # the token was not sent
    assert found["serving_certificates"][0]["common_name"] == "api"  # what is wrong with it can be seen
    ended = run_module("control_plane_info", kubeconfig=path, validate_certs=False)
    assert ended.result["api_server"]["reachable"] is True


def test_the_chain_presented_is_whole(
    run_module: t.Any, tls_server: t.Any, ca: t.Any, files: t.Any, pairs: t.Any
) -> None:
    server = tls_server(pairs("api", ca, names=["127.0.0.1"]), ca)
    path = files("config", kubeconfig(server.url, files("ca.crt", ca.pem)))
    found = run_module("control_plane_info", kubeconfig=path).result["api_server"]["serving_certificates"]
    assert [certificate["common_name"] for certificate in found] == ["api", "kubernetes"]


def test_plain_http_where_tls_is_wanted(run_module: t.Any, api_server: t.Any) -> None:
    ended = run_module("csr_info", host=api_server.url.replace("http:", "https:"), api_key="t0ken-of-tests")
    assert ended.result["not_seen"][0]["reason"] == "tls"


def test_a_name_that_does_not_resolve(run_module: t.Any) -> None:
    ended = run_module("csr_info", host="https://api.invalid:6443", api_key="t0ken-of-tests", request_timeout=5)
    assert ended.result["not_seen"][0]["reason"] == "unreachable"
    assert "does not resolve" in ended.result["not_seen"][0]["message"]


def test_a_proxy_that_is_down(run_module: t.Any) -> None:
    ended = run_module(
        "control_plane_info",
        host="https://api.invalid:6443",
        api_key="t0ken-of-tests",
        proxy="http://user:pa55@127.0.0.1:9",
    )
    assert ended.result["api_server"]["reachable"] is False
    assert ended.result["api_server"]["error"]["reason"] == "unreachable"
    reasons = {entry["subject"]: entry["reason"] for entry in ended.result["not_seen"]}
    assert reasons["api_server.serving_certificates"] == "unsupported"
    assert "pa55" not in json.dumps(ended.result["not_seen"])


MISTAKES = [
    ("missing", None, ["/nowhere", "no such file"]),
    ("yaml", b"a: [\ntoken: s3cr3t-value\n", ["line", "no YAML"]),
    ("control", b"\x00\x01", ["no YAML"]),
    ("list", b"- a\n- b\n", ["no kubeconfig"]),
    ("empty", b"", ["no kubeconfig"]),
    ("no-contexts", b"current-context: one\n", ["contexts"]),
    ("types", b"current-context: one\ncontexts: 7\nclusters: {}\nusers: x\n", ["no"]),
]


@pytest.mark.parametrize(("name", "content", "words"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_kubeconfigs_that_cannot_be_used(
    run_module: t.Any, files: t.Any, name: str, content: bytes | None, words: list[str]
) -> None:
    path = "/nowhere" if content is None else files(name, content)
    ended = run_module("node_info", kubeconfig=path)
    assert ended.failed
    assert ended.result["msg"].startswith(f"option kubeconfig: {path}")
    for word in words:
        assert word in ended.result["msg"]
    assert "s3cr3t-value" not in ended.output


def test_an_unknown_context(run_module: t.Any, files: t.Any) -> None:
    path = files("config", kubeconfig("https://127.0.0.1:1"))
    ended = run_module("node_info", kubeconfig=path, context="two")
    assert ended.failed
    assert path in ended.result["msg"]
    assert "two" in ended.result["msg"]


def test_the_environments_kubeconfig_is_named(run_module: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    ended = run_module("node_info")
    assert ended.failed
    assert ended.result["msg"].startswith("environment variable KUBECONFIG: /nowhere/config")


def test_nothing_says_where(run_module: t.Any) -> None:
    ended = run_module("node_info")
    assert ended.failed
    assert "kubeconfig" in ended.result["msg"]
    assert "K8S_AUTH_KUBECONFIG" in ended.result["msg"]


@pytest.mark.parametrize("host", ["api:6443", "ftp://api", "https://", "https://api:99999", "//api"])
def test_a_host_that_is_no_url(run_module: t.Any, host: str) -> None:
    ended = run_module("node_info", host=host, api_key="t0ken-of-tests")
    assert ended.failed
    assert "option host" in ended.result["msg"]


def test_ca_and_client_certificate_files(run_module: t.Any, files: t.Any, ca: t.Any, pairs: t.Any) -> None:
    client, other = pairs("client", ca), pairs("other", ca)
    cert, key = files("client.crt", client.pem), files("other.key", other.key_pem)
    for arguments, words in (
        ({"ca_cert": "/nowhere/ca.crt"}, ["option ca_cert: /nowhere/ca.crt", "No such file"]),
        ({"ca_cert": files("bad.crt", b"no certificate")}, ["option ca_cert", "bad.crt"]),
        ({"client_cert": cert, "client_key": key}, ["option client_cert", "client.crt"]),
        ({"client_cert": cert, "client_key": "/nowhere/key"}, ["option client_cert", "No such file"]),
    ):
        ended = run_module("node_info", host="https://127.0.0.1:1", api_key="t0ken-of-tests", **arguments)
        assert ended.failed
        for word in words:
            assert word in ended.result["msg"]


def test_a_credential_plugin_that_fails_is_a_warning(run_module: t.Any, api_server: t.Any, files: t.Any) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false", "interactiveMode": "Never"}
    ended = run_module("csr_info", kubeconfig=files("config", kubeconfig(api_server.url, exec=plugin)))
    assert not ended.failed
    assert "Authorization" not in api_server.asked[0].headers
    assert any("exec" in json.dumps(warning) for warning in ended.result["warnings"])


@pytest.mark.parametrize("value", [7, ["/a"], True])
def test_a_kubeconfig_that_is_neither_path_nor_dictionary(run_module: t.Any, value: t.Any) -> None:
    ended = run_module("node_info", kubeconfig=value)
    assert ended.failed
    assert ended.result["msg"].startswith("option kubeconfig: a path or a dictionary is wanted")


def test_a_home_folder_is_understood(run_module: t.Any, api_server: t.Any, files: t.Any) -> None:
    files("config", kubeconfig(api_server.url, token="abc"))  # the home folder of these tests is their own
    assert run_module("csr_info", kubeconfig="~/config").result["reachable"] is True

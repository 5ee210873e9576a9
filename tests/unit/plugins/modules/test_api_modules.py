# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import socket
import stat
import time
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils import _api, _paging

ALL = ("node_info", "csr_info", "rbac_info", "control_plane_info")
NODES = "/api/v1/nodes"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SUBJECTS = {
    "node_info": ("nodes",),
    "csr_info": ("csrs", "last_issued"),
    "rbac_info": ("reviews", "bindings", "roles"),
    "control_plane_info": ("client_ca", "cluster_ca", "last_issued"),
}


def node(name: str, **status: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": {}, "status": status}


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def assert_nothing_seen(ended: t.Any, module: str, reason: str) -> None:
    assert not ended.failed
    assert ended.result["changed"] is False
    for subject in SUBJECTS[module]:
        assert ended.result[subject] is None
    assert {entry["reason"] for entry in ended.result["not_seen"]} == {reason}
    assert all(entry["message"] for entry in ended.result["not_seen"])


@pytest.mark.parametrize("module", ALL)
def test_no_connection_is_a_finding(run_module: t.Any, module: str) -> None:
    port = closed_port()
    ended = run_module(module, host=f"https://127.0.0.1:{port}", api_key="t0ken-of-tests")
    assert_nothing_seen(ended, module, "unreachable")
    assert ended.result["reachable"] is False
    assert ended.result["requests"] == 1
    assert "Connection refused" in ended.result["not_seen"][0]["message"]
    assert f"127.0.0.1:{port}" in ended.result["not_seen"][0]["message"]


def without_handshake(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    return [entry for entry in entries if entry["subject"] != "api_server.serving_certificates"]


@pytest.mark.parametrize(
    ("status", "reason", "requests"),
    [
        (401, "unauthorized", 1),
        (403, "forbidden", None),
        (500, "error", None),
        (503, "error", None),
        (302, "error", None),
    ],
)
@pytest.mark.parametrize("module", ALL)
def test_refusals(
    run_module: t.Any, api_server: t.Any, module: str, status: int, reason: str, requests: int | None
) -> None:
    message = 'things is forbidden: User "audit" cannot list resource "things"'
    api_server.everything = api_server.reply(status, {"kind": "Status", "message": message, "code": status})
    ended = run_module(module, host=api_server.url, api_key="t0ken-of-tests")
    assert not ended.failed
    assert ended.result["reachable"] is True
    entries = without_handshake(ended.result["not_seen"])
    assert entries
    assert {entry["reason"] for entry in entries} == {reason}
    assert all(message in entry["message"] for entry in entries)
    if requests is not None:
        assert ended.result["requests"] == len(api_server.asked) == requests


HOSTILE_BODIES = [
    b"",
    b"<html><body>It works!</body></html>",
    b"[]",
    b"null",
    b'{"items": 7}',
    b'{"items": {"a": 1}}',
    b'{"kind": "NodeList"',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"items": ' + b"9" * 10_000 + b"}",
]


@pytest.mark.parametrize("body", HOSTILE_BODIES)
@pytest.mark.parametrize("module", ALL)
def test_answers_that_are_no_api(run_module: t.Any, api_server: t.Any, module: str, body: bytes) -> None:
    api_server.everything = api_server.reply(200, body)
    ended = run_module(module, host=api_server.url, api_key="t0ken-of-tests")
    assert not ended.failed
    assert "malformed" in {entry["reason"] for entry in ended.result["not_seen"]}


HOSTILE_VALUES = [
    None,
    True,
    -1,
    1e308,
    "",
    "x",
    "\x1b[31m\u202e\x00",
    "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00+14:00",
    [],
    [[[]]],
    {},
    {"a": {}},
]


@pytest.mark.parametrize("value", HOSTILE_VALUES)
@pytest.mark.parametrize("module", ALL)
def test_objects_of_any_shape(run_module: t.Any, api_server: t.Any, module: str, value: t.Any) -> None:
    """Whatever an API object's fields hold, the modules end well and what they give is JSON without control characters."""

    keys = (
        "name uid creationTimestamp deletionTimestamp labels managedFields taints addresses conditions nodeInfo daemonEndpoints kubeletEndpoint "
        "Port providerID unschedulable signerName username groups usages request expirationSeconds certificate type status reason message "
        "lastUpdateTime lastTransitionTime manager operation subresource time fieldsV1 roleRef subjects rules containers containerStatuses "
        "command args involvedObject series source count firstTimestamp eventTime holderIdentity renewTime leaseDurationSeconds data allowed"
    ).split()
    flat = dict.fromkeys(keys, value)
    item = {
        **flat,
        "metadata": {**flat, "name": "n", "managedFields": [flat, value]},
        "spec": {**flat, "containers": [flat, value]},
    }
    item |= {"status": {**flat, "conditions": [flat, value], "addresses": [flat, value], "containerStatuses": [flat]}}
    item |= {
        "rules": [{"verbs": value, "apiGroups": value, "resources": value}, value],
        "roleRef": {"name": "system:node"},
        "subjects": [flat, value],
    }
    item |= {"involvedObject": {"name": "n"}, "data": {"client-ca-file": value, "ca.crt": value}}
    api_server.everything = api_server.reply(200, {"kind": "List", "items": [item, value], **item})
    ended = run_module(module, host=api_server.url, api_key="t0ken-of-tests")
    assert not ended.failed
    decoded = json.loads(ended.output)
    assert not [text for text in walk(decoded) if "\x1b" in text or "\x00" in text]


def walk(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("module", ALL)
def test_a_silent_server_times_out_once(run_module: t.Any, api_server: t.Any, module: str) -> None:
    api_server.everything = api_server.reply(200, {"items": []}, delay=3)
    ended = run_module(module, host=api_server.url, api_key="t0ken-of-tests", request_timeout=1)
    assert ended.result["reachable"] is False
    assert ended.result["requests"] == 1
    entries = without_handshake(ended.result["not_seen"])
    assert {entry["reason"] for entry in entries} == {"timeout"}
    assert "within 1 s" in entries[0]["message"]


def test_a_trickling_answer_ends_in_time(run_module: t.Any, api_server: t.Any) -> None:
    api_server.everything = api_server.reply(200, {"kind": "List", "items": [], "padding": "x" * 200}, trickle=0.05)
    ended = run_module("csr_info", host=api_server.url, api_key="t0ken-of-tests", request_timeout=1)
    assert ended.result["csrs"] is None
    assert ended.result["not_seen"][0]["reason"] == "timeout"


def test_an_answer_too_large_is_not_read(run_module: t.Any, api_server: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_api, "MAX_ANSWER_BYTES", 100)
    api_server.everything = api_server.reply(200, {"kind": "List", "items": [], "padding": "x" * 200})
    ended = run_module("csr_info", host=api_server.url, api_key="t0ken-of-tests")
    assert ended.result["not_seen"][0]["reason"] == "too_large"


def test_a_busy_server_is_asked_again(run_module: t.Any, api_server: t.Any) -> None:
    replies = iter(
        [api_server.reply(429, {}, headers={"Retry-After": "0"}), api_server.reply(200, {"kind": "List", "items": []})]
    )
    api_server.routes[CSRS] = lambda asked: next(replies)
    ended = run_module("csr_info", host=api_server.url, api_key="t0ken-of-tests", signer_names=["a/b"])
    assert ended.result["csrs"] == []
    assert ended.result["requests"] == 2


@pytest.mark.parametrize("trickle", [False, True])
def test_a_server_that_wastes_time_is_given_up(run_module: t.Any, api_server: t.Any, trickle: bool) -> None:
    busy = api_server.reply(429, {"message": "too many"}, headers={"Retry-After": "3600"})
    slow = api_server.reply(200, {"kind": "List"}, trickle=0.7)
    api_server.everything = slow if trickle else busy
    started = time.monotonic()
    ended = run_module("rbac_info", host=api_server.url, api_key="t0ken-of-tests", request_timeout=1)
    assert time.monotonic() - started < 7
    assert ended.result["requests"] <= 3  # of 16
    reason, words = ("timeout", "not complete") if trickle else ("error", "HTTP 429: too many")
    gaps = {gap["subject"]: gap for gap in ended.result["not_seen"]}
    assert set(gaps) == {"roles", "bindings", "reviews"}
    assert all(gap["reason"] == reason and words in gap["message"] for gap in gaps.values())


def test_lists_come_page_by_page(run_module: t.Any, api_server: t.Any) -> None:
    api_server.serve_list(NODES, [node(f"n{number:03}") for number in range(25)])
    ended = run_module("node_info", host=api_server.url, api_key="t0ken-of-tests", page_size=10)
    assert [entry["name"] for entry in ended.result["nodes"]] == [f"n{number:03}" for number in range(25)]
    asked = [asked.query for asked in api_server.asked if asked.path == NODES]
    assert asked == [{"limit": "10"}, {"limit": "10", "continue": "10"}, {"limit": "10", "continue": "20"}]
    assert ended.result["requests"] == len(api_server.asked)


@pytest.mark.parametrize(("times", "seen"), [(1, True), (2, False)])
def test_an_expired_list_begins_anew_once(run_module: t.Any, api_server: t.Any, times: int, seen: bool) -> None:
    api_server.serve_list(NODES, [node(f"n{number}") for number in range(4)])
    whole, left = api_server.routes[NODES], [times]

    def reply(asked: t.Any) -> t.Any:
        if "continue" in asked.query and left[0]:
            left[0] -= 1
            return api_server.reply(
                410, {"kind": "Status", "message": "The provided continue parameter is too old", "code": 410}
            )
        return whole(asked)

    api_server.routes[NODES] = reply
    ended = run_module("node_info", host=api_server.url, api_key="t0ken-of-tests", page_size=2)
    if seen:
        assert [entry["name"] for entry in ended.result["nodes"]] == ["n0", "n1", "n2", "n3"]
    else:
        assert ended.result["nodes"] is None
        assert "too old" in ended.result["not_seen"][0]["message"]


@pytest.mark.parametrize("token", ["same", 7, {"a": 1}])
def test_a_continue_token_that_leads_nowhere(run_module: t.Any, api_server: t.Any, token: t.Any) -> None:
    api_server.everything = api_server.reply(200, {"kind": "List", "items": [], "metadata": {"continue": token}})
    ended = run_module("csr_info", host=api_server.url, api_key="t0ken-of-tests")
    assert ended.result["not_seen"][0]["reason"] == "malformed"
    assert ended.result["requests"] <= 2


def test_endless_pages_end(run_module: t.Any, api_server: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_paging, "MAX_PAGES", 5)
    count = iter(range(1000))
    api_server.routes[CSRS] = lambda asked: api_server.reply(
        200, {"items": [], "metadata": {"continue": f"c{next(count)}"}}
    )
    ended = run_module("csr_info", host=api_server.url, api_key="t0ken-of-tests")
    assert ended.result["not_seen"][0]["reason"] == "too_large"
    assert ended.result["requests"] == 5


def test_dest_takes_the_evidence(run_module: t.Any, api_server: t.Any, tmp_path: t.Any) -> None:
    api_server.serve_list(NODES, [node("a"), node("b")])
    dest = tmp_path / "deep" / "er" / "node_info.json"
    ended = run_module("node_info", check=True, host=api_server.url, api_key="t0ken-of-tests", dest=str(dest))
    assert ended.result["changed"] is False
    assert ended.result["nodes_total"] == 2
    assert "nodes" not in ended.result
    written = json.loads(dest.read_text())
    assert [entry["name"] for entry in written["nodes"]] == ["a", "b"]
    assert written["collected_at"] == ended.result["collected_at"]
    assert written["not_seen"] == ended.result["not_seen"]
    assert stat.S_IMODE(os.stat(dest).st_mode) == 0o600
    assert {stat.S_IMODE(os.stat(folder).st_mode) for folder in (dest.parent, dest.parent.parent)} == {0o700}
    assert os.listdir(dest.parent) == ["node_info.json"]


def test_dest_that_cannot_be_written_is_told(run_module: t.Any, api_server: t.Any, tmp_path: t.Any) -> None:
    (tmp_path / "file").write_text("")
    ended = run_module(
        "csr_info", host=api_server.url, api_key="t0ken-of-tests", dest=str(tmp_path / "file" / "csr_info.json")
    )
    assert ended.failed
    assert "option dest" in ended.result["msg"]


@pytest.mark.parametrize("module", ALL)
def test_check_mode_is_the_same(run_module: t.Any, api_server: t.Any, module: str) -> None:
    plain = run_module(module, host=api_server.url, api_key="t0ken-of-tests").result
    checked = run_module(module, check=True, host=api_server.url, api_key="t0ken-of-tests").result
    for result in (plain, checked):
        result.pop("collected_at")
        result.pop("invocation", None)
        result.get("api_server", {}).pop("time", None)
        result.get("api_server", {}).pop("time_offset_seconds", None)
    assert plain == checked
    assert plain["changed"] is False


def test_credentials_go_out_and_stay_in(run_module: t.Any, api_server: t.Any) -> None:
    """The token reaches the server, and is in neither result nor log, whether an option or in a kubeconfig given as a dictionary."""
    ended = run_module("csr_info", host=api_server.url, api_key="s3cr3t-token")
    assert api_server.asked[0].headers["Authorization"] == "Bearer s3cr3t-token"
    assert "s3cr3t-token" not in ended.output + ended.logged
    kubeconfig = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": api_server.url}}],
        "users": [{"name": "u", "user": {"token": "0ther-t0ken"}}],
    }
    api_server.asked.clear()
    ended = run_module("csr_info", kubeconfig=kubeconfig)
    assert api_server.asked[0].headers["Authorization"] == "Bearer 0ther-t0ken"
    assert "0ther-t0ken" not in ended.output + ended.logged
    ended = run_module("csr_info", host=api_server.url, username="me", password="p4ssw0rd-long")
    assert base64.b64decode(api_server.asked[-1].headers["Authorization"].split()[1]) == b"me:p4ssw0rd-long"
    assert "p4ssw0rd-long" not in ended.output + ended.logged


def test_impersonation(run_module: t.Any, api_server: t.Any) -> None:
    run_module(
        "csr_info",
        host=api_server.url,
        api_key="t0ken-of-tests",
        impersonate_user="jane",
        impersonate_groups=["a", "b"],
    )
    headers = api_server.asked[0].headers
    assert headers["Impersonate-User"] == "jane"
    assert ", ".join(headers.get_all("Impersonate-Group")) == "a, b"


def test_the_environment_fills_in(run_module: t.Any, api_server: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_HOST", api_server.url)
    monkeypatch.setenv("K8S_AUTH_API_KEY", "from-environment")
    ended = run_module("csr_info")
    assert ended.result["reachable"] is True
    assert api_server.asked[0].headers["Authorization"] == "Bearer from-environment"
    assert "from-environment" not in ended.output + ended.logged


@pytest.mark.parametrize("option", ["request_timeout", "page_size"])
def test_numbers_that_make_no_sense(run_module: t.Any, api_server: t.Any, option: str) -> None:
    ended = run_module("csr_info", host=api_server.url, api_key="t0ken-of-tests", **{option: 0})
    assert ended.failed
    assert option in ended.result["msg"]

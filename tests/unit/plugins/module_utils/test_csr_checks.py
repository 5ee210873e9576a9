# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of csr_approval, over the hostile set that the lab meets too."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pathlib
import sys
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils import _csr_checks
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csr_checks import Policy, World
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import from_epoch

NOW = 1_800_000_000


def load_set() -> t.Any:
    """tests/lab/hostile_csrs.py, which is no part of the collection."""
    path = pathlib.Path(__file__).resolve().parents[3] / "lab/hostile_csrs.py"
    specification = importlib.util.spec_from_file_location("hostile_csrs", path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules["hostile_csrs"] = module
    specification.loader.exec_module(module)
    return module


SET = load_set()
HOSTILE = SET.hostile() + SET.only_old()
LEGITIMATE = SET.legitimate()


def stored(case: t.Any) -> dict[str, t.Any]:
    """The request as an API server holds it."""
    made = case.object(case.name)
    made["metadata"] |= {
        "uid": f"uid-{case.name}",
        "resourceVersion": "7",
        "creationTimestamp": from_epoch(NOW - 10 - case.age),
    }
    made["spec"] |= {"username": case.user, "groups": list(case.groups)}
    return made


OBJECTS = [stored(case) for case in HOSTILE + LEGITIMATE]
POLICY = Policy(_csr_checks.expected_nodes(SET.EXPECTED))


def alive(node: str) -> tuple[bool | None, str]:
    return node == SET.LIVING, "told by a test"


WORLD = World(from_epoch(NOW), alive, tuple(map(_csr_checks.read, OBJECTS)))


def judged(
    case: t.Any, policy: Policy = POLICY, world: World = WORLD, **spec: t.Any
) -> tuple[str | None, list[dict[str, t.Any]]]:
    made = stored(case)
    made["spec"] |= spec
    checks = _csr_checks.judge(_csr_checks.read(made), policy, world)
    return _csr_checks.reason(checks), checks


def find(name: str) -> t.Any:
    return next(case for case in HOSTILE + LEGITIMATE if case.name == name)


def test_the_set_is_of_different_cases() -> None:
    assert len({case.name for case in HOSTILE}) == len(HOSTILE) >= 40


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile(case: t.Any) -> None:
    why, checks = judged(case)
    assert why == case.refused_by, next(entry for entry in checks if entry["name"] == why) if why else None
    json.dumps(checks).encode()
    for entry in checks:
        assert entry["compared"].isascii()
        assert entry["compared"].isprintable()
        assert len(entry["compared"]) < 3000


@pytest.mark.parametrize("case", LEGITIMATE, ids=lambda case: case.name)
def test_legitimate(case: t.Any) -> None:
    why, checks = judged(case)
    assert why is None, [entry for entry in checks if not entry["passed"]]


def test_each_check_refuses_something() -> None:
    """None is superfluous: each is the reason of a case, here or below."""
    names = {entry["name"] for case in LEGITIMATE for entry in judged(case)[1]}
    below = {"undecided", "signer", "bound", "made_after"}
    assert names - {case.refused_by for case in HOSTILE} - below == set()


@pytest.mark.parametrize(
    ("status", "passes"),
    [
        ({}, True),
        ({"conditions": [{"type": "Approved"}]}, False),
        ({"conditions": [{"type": "Denied", "status": "True"}]}, False),
        ({"conditions": [{"type": "Approved", "status": "False"}]}, True),
        ({"conditions": "junk"}, False),
        ({"certificate": "YQ=="}, False),
    ],
)
def test_undecided(status: t.Any, passes: bool) -> None:
    made = stored(LEGITIMATE[0]) | {"status": status}
    why = _csr_checks.reason(_csr_checks.judge(_csr_checks.read(made), POLICY, WORLD))
    assert why == (None if passes else "undecided")


def test_another_signer() -> None:
    why, checks = judged(LEGITIMATE[0], signerName="kubernetes.io/kube-apiserver-client")
    assert why == "signer"
    assert not _csr_checks.deniable(checks)


def test_bound() -> None:
    case = LEGITIMATE[0]
    right = {"uid": f"uid-{case.name}", "request_sha256": SET.digest(case)}
    for bound_to, wanted in (
        ({case.name: right}, None),
        ({}, "bound"),
        ({case.name: {**right, "uid": "other"}}, "bound"),
        ({case.name: {**right, "request_sha256": "00" * 32}}, "bound"),
    ):
        why, checks = judged(case, dataclasses.replace(POLICY, bound_to=bound_to))
        assert why == wanted
        assert not _csr_checks.deniable(checks)


def test_made_after() -> None:
    for seconds, wanted in ((-11, None), (-10, None), (-9, "made_after")):
        policy = dataclasses.replace(POLICY, created_after=from_epoch(NOW + seconds))
        why, checks = judged(LEGITIMATE[0], policy)
        assert why == wanted
        assert not _csr_checks.deniable(checks)


def test_what_is_unknown_refuses_and_denies_nothing() -> None:
    unknown = dataclasses.replace(WORLD, alive=lambda node: (None, "nodes could not be read"))
    why, checks = judged(find("bootstrap"), world=unknown)
    assert why == "not_alive"
    assert not _csr_checks.deniable(checks)
    assert judged(find("client-renewal"), world=unknown)[0] is None
    made = stored(LEGITIMATE[0])
    del made["metadata"]["creationTimestamp"]
    assert _csr_checks.reason(_csr_checks.judge(_csr_checks.read(made), POLICY, WORLD)) == "fresh"


def test_only_faults_of_the_request_are_a_reason_to_deny() -> None:
    for case in HOSTILE:
        assert _csr_checks.deniable(judged(case)[1]) == (case.refused_by not in ("fresh", "uncontested")), case.name


def test_nobody_is_expected() -> None:
    assert judged(LEGITIMATE[0], Policy({}))[0] == "expected_node"


def test_a_bootstrap_user_of_the_cluster() -> None:
    user = "system:serviceaccount:machines:bootstrapper"
    groups = ["system:serviceaccounts", "system:serviceaccounts:machines", "system:authenticated"]
    case = dataclasses.replace(find("bootstrap"), user=user, groups=tuple(groups))
    assert judged(case)[0] == "requestor"
    policy = dataclasses.replace(POLICY, bootstrap_users=frozenset([user]))
    assert judged(case, policy)[0] is None
    more = dataclasses.replace(case, groups=(*groups, "system:masters"))
    assert judged(more, policy)[0] == "groups"


@pytest.mark.parametrize("junk", [None, 7, "", "!!!", [], {}, "A" * 100_000])
def test_fields_of_no_such_type(junk: t.Any) -> None:
    for part, field in [
        ("spec", name)
        for name in ("request", "username", "groups", "usages", "signerName", "expirationSeconds")
        if not (name == "expirationSeconds" and junk is None)
    ] + [("metadata", name) for name in ("uid", "creationTimestamp")]:
        made = stored(LEGITIMATE[0])
        made[part][field] = junk
        checks = _csr_checks.judge(_csr_checks.read(made), POLICY, WORLD)
        json.dumps(checks)
        if field != "uid":
            assert _csr_checks.reason(checks) is not None, field
    for part in ("metadata", "spec", "status"):
        _csr_checks.judge(_csr_checks.read({**stored(LEGITIMATE[0]), part: junk}), POLICY, WORLD)


def test_moved() -> None:
    before = _csr_checks.read(stored(LEGITIMATE[0]))
    assert _csr_checks.moved(before, before) is None
    other = stored(LEGITIMATE[0])
    other["metadata"]["uid"] = "other"
    assert "another object" in str(_csr_checks.moved(before, _csr_checks.read(other)))
    assert _csr_checks.moved(before, dataclasses.replace(before, requestor="x")) is not None
    decided = {**stored(LEGITIMATE[0]), "status": {"conditions": [{"type": "Denied"}]}}
    assert "Denied" in str(_csr_checks.moved(before, _csr_checks.read(decided)))


@pytest.mark.parametrize(
    "given",
    [
        [],
        {"UPPER": {}},
        {"a_b": {}},
        {"a" * 64: {}},
        {"": {}},
        {7: {}},
        {"n": []},
        {"n": {"adresses": []}},
        {"n": {"addresses": "10.0.0.1"}},
        {"n": {"addresses": ["10.0.0"]}},
        {"n": {"dns_names": ["*.example.com"]}},
        {"n": {"dns_names": [7]}},
    ],
)
def test_mistakes_in_expected_nodes(given: t.Any) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        _csr_checks.expected_nodes(given)


def test_expected_nodes() -> None:
    found = _csr_checks.expected_nodes({"n": None, "m": {"dns_names": ["M.Example.com"]}})
    assert found["n"].dns_names == {"n"}
    assert found["m"].dns_names == {"m", "m.example.com"}

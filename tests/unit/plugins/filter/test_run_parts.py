# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.filter.run_parts import run_parts

TWO: dict[str, t.Any] = {"prod": {"context": "prod"}, "test": {"context": "test"}}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("HOST", "CONTEXT", "API_KEY", "USERNAME", "PASSWORD", "CERT_FILE", "KEY_FILE"):
        monkeypatch.delenv(f"K8S_AUTH_{part}", raising=False)


def test_one_cluster_or_none_named_is_the_run_folder_itself() -> None:
    assert run_parts({}, "/r", ["a"]) == [{"cluster": None, "has_options": False, "folder": "/r", "hosts": ["a"]}]
    assert run_parts({"prod": {}}, "/r", ["a"]) == [
        {"cluster": "prod", "has_options": False, "folder": "/r", "hosts": ["a"]}
    ]


def test_a_folder_is_the_users_own_wherever_modules_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_parts({}, "./runs", [])[0]["folder"] == str(tmp_path / "runs")


def test_several_have_a_folder_each_and_their_own_hosts() -> None:
    assert run_parts(TWO, "/r", ["a", "b", "c"], ["test", "prod", "test"]) == [
        {"cluster": "prod", "has_options": True, "folder": "/r/clusters/prod", "hosts": ["b"]},
        {"cluster": "test", "has_options": True, "folder": "/r/clusters/test", "hosts": ["a", "c"]},
    ]


def test_a_cluster_without_a_host_is_asked_unless_the_play_is_limited() -> None:
    assert [part["cluster"] for part in run_parts(TWO, "/r", ["a"], ["prod"])] == ["prod", "test"]
    assert [part["cluster"] for part in run_parts(TWO, "/r", ["a"], ["prod"], limited=True)] == ["prod"]


@pytest.mark.parametrize(
    ("clusters", "of_hosts", "said"),
    [
        (TWO, ["prod", ""], "of b the variable kubelet_certs_cluster names none of prod, test"),
        ({"../x": {}}, [], "'../x' is no name of a cluster"),
        ({"a.b": {}}, [], "'a.b' is no name of a cluster"),
        ({"prod": None}, [], "nothing says how the API server of cluster prod is reached"),
        (["prod"], [], "is a mapping, not list"),
    ],
)
def test_what_could_mix_clusters_is_refused(clusters: t.Any, of_hosts: list[str], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        run_parts(clusters, "/r", ["a", "b"], of_hosts)


def test_a_token_of_the_environment_is_not_sent_to_every_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_API_KEY", "t0ken")
    with pytest.raises(AnsibleFilterError, match="K8S_AUTH_API_KEY would be taken for each") as caught:
        run_parts(TWO, "/r", ["a", "b"], ["prod", "test"])
    assert "t0ken" not in str(caught.value)
    assert run_parts({"prod": {}}, "/r", ["a"])

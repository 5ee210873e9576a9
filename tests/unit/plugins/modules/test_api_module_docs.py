# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

"""The modules' documentation and what they accept say the same, for all four alike."""

import importlib
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.doc_fragments import api_module, cluster_evidence, k8s_auth
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._cluster_evidence import ARGUMENTS

MODULES = ("control_plane_info", "csr_info", "node_info", "rbac_info")
PACKAGE = "ansible_collections.kubecare.kubelet_certs.plugins.modules"


def documented() -> dict[str, t.Any]:
    options: dict[str, t.Any] = {}
    for fragment in (k8s_auth, api_module, cluster_evidence):
        options |= yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION).get("options", {})
    return options


def test_shared_options_are_documented_as_they_are() -> None:
    options = documented()
    assert set(options) == set(ARGUMENTS)
    for name, specification in ARGUMENTS.items():
        assert options[name]["type"] == specification.get("type", "str"), name
        assert options[name].get("default") == specification.get("default"), name
        assert options[name].get("aliases", []) == specification.get("aliases", []), name


def test_secrets_are_marked() -> None:
    hidden = {name for name, specification in ARGUMENTS.items() if specification.get("no_log")}
    assert hidden == {"api_key", "password"}
    proxy = ARGUMENTS["proxy_headers"]["options"]
    assert {name for name, specification in proxy.items() if specification.get("no_log")} == {
        "proxy_basic_auth",
        "basic_auth",
    }


def test_every_option_that_may_be_in_the_environment_says_so() -> None:
    options = documented()
    for name, specification in ARGUMENTS.items():
        for variable in specification["fallback"][1] if "fallback" in specification else ():
            assert f"E({variable})" in " ".join(options[name]["description"])


@pytest.mark.parametrize("name", MODULES)
def test_each_module_is_in_the_action_group_and_has_the_fragments(name: str) -> None:
    module = importlib.import_module(f"{PACKAGE}.{name}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    assert documentation["module"] == name
    assert documentation["extends_documentation_fragment"] == [
        "kubecare.kubelet_certs.k8s_auth",
        "kubecare.kubelet_certs.api_module",
        "kubecare.kubelet_certs.cluster_evidence",
    ]
    runtime = pathlib.Path(str(module.__file__)).parents[2] / "meta" / "runtime.yml"
    assert name in yaml.safe_load(runtime.read_text(encoding="utf-8"))["action_groups"]["kubelet_certs"]

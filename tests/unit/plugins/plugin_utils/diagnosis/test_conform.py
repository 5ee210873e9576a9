# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of evidence: well formed, kept by the builder, and enforced."""

from __future__ import annotations

import jsonschema
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.conform import conform, schema

from .evidence_builder import changed, healthy

CASE = {"client_used": 95, "csrs": [{"age": 60}, {"state": "denied"}], "log": {"store_failed": 5}}


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_builders_evidence_is_valid() -> None:
    jsonschema.Draft202012Validator(schema()).validate(changed(CASE))


def test_what_fits_passes_unchanged() -> None:
    assert conform(changed(CASE)) == changed(CASE)


def test_what_does_not_fit_is_not_seen() -> None:
    evidence = healthy()
    evidence["cluster"]["csr_info"]["csrs"] = ["x", {"name": 7, "state": "odd", "created": "yesterday"}]
    evidence["nodes"]["worker-1"]["clock"]["offset_seconds"] = "0"
    evidence["nodes"]["worker-1"]["pki"]["writable"] = "yes"
    fitted = conform(evidence)
    assert fitted["cluster"]["csr_info"]["csrs"] == [{"name": None, "state": None, "created": None}]
    assert fitted["nodes"]["worker-1"]["clock"]["offset_seconds"] is None
    assert fitted["nodes"]["worker-1"]["pki"]["writable"] is None
    assert conform("x") == {}

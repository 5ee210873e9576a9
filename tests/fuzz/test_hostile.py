# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hostile bytes and texts in all that is read: no exception, bounded output and time, nothing that a reader's program obeys."""

from __future__ import annotations

import base64
import copy
import functools
import json
import pathlib
import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._control_plane import pod_record
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import node_file
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.matching import identity
from ansible_collections.kubecare.kubelet_certs.tests.fuzz import crashers, hostile
from ansible_collections.kubecare.kubelet_certs.tests.fuzz.cases import fuzz
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.conftest import make_pair
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.probe.conftest import NONCE
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from hypothesis import strategies as st

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = sorted((ROOT / "tests/fixtures").glob("*.json"), key=lambda path: path.stat().st_size)[:24]
SCRIPT = ROOT / "plugins/plugin_utils/probe/script"
TAGS = sorted(
    set(re.findall(r"\bsay ([a-z_.]+)", "".join(path.read_text() for path in SCRIPT.glob("*.sh"))))
    | {
        "cert",
        "flag",
        "set",
        "gate",
        "line",
        "shape",
        "proxy",
        "env",
        "ip",
        "fs.device",
        "p.Id",
        "p.ActiveEnterTimestamp",
        "p.ExecMainCode",
        "token_id",
        "server",
        "user",
    }
)
KINDS = sorted(
    set(
        re.findall(
            r"\b(?:open|file_section|kubeconfig_section) ([a-z_]+)",
            "".join(path.read_text() for path in SCRIPT.glob("*.sh")),
        )
    )
    | {"kubeconfig", "file"}
)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@functools.cache
def _run(path: pathlib.Path) -> t.Any:
    run = json.loads(path.read_text(encoding="utf-8"))
    return {part: run[part] for part in ("cluster", "nodes")}


@functools.cache
def _paths(path: pathlib.Path) -> list[tuple[t.Any, ...]]:
    def walk(value: t.Any, at: tuple[t.Any, ...]) -> t.Iterator[tuple[t.Any, ...]]:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield (*at, key)
            yield from walk(item, (*at, key))

    return list(walk(_run(path), ()))


@st.composite
def mutated(draw: st.DrawFn) -> t.Any:
    """Recorded evidence with some of its values, and some names, exchanged."""
    path = draw(st.sampled_from(FIXTURES))
    value = copy.deepcopy(_run(path))
    for at in draw(st.lists(st.sampled_from(_paths(path)), min_size=1, max_size=12)):
        here = value
        try:
            for key in at[:-1]:
                here = here[key]
            old = here[at[-1]]
            new = draw(hostile.texts if isinstance(old, str) and draw(st.booleans()) else hostile.values)
            if isinstance(here, dict) and draw(st.integers(0, 9)) == 0:
                here[draw(hostile.texts)] = here.pop(at[-1])
            else:
                here[at[-1]] = new
        except (LookupError, TypeError):
            continue
    return value


@fuzz(mutated(), quick=20, share=0.5)
def test_evidence_with_other_values(value: t.Any) -> None:
    crashers.evidence(value)


@fuzz(st.sampled_from(FIXTURES), hostile.texts, quick=4, share=0.05)
def test_evidence_with_one_text_everywhere(path: pathlib.Path, text: str) -> None:
    def change(value: t.Any, key: str = "") -> t.Any:
        if isinstance(value, dict):
            return {name: change(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [change(item, key) for item in value]
        return text if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\dT", value) else value

    crashers.evidence(change(_run(path)))


@fuzz(hostile.values, quick=40)
def test_evidence_of_any_kind(value: t.Any) -> None:
    crashers.evidence({"cluster": value, "nodes": {"a": value}})
    crashers.evidence({"cluster": {"node_info": value, "csr_info": {"csrs": [value]}}, "nodes": value})


ANSWER_LINES = st.one_of(
    st.builds(lambda kind, name: f"[ {kind} {name}", st.sampled_from(KINDS), hostile.texts),
    st.builds(
        lambda tag, value: f"{tag} {value}",
        st.sampled_from(TAGS),
        st.one_of(
            hostile.texts,
            st.sampled_from(["yes", "no", "1700000000", "-1", "9" * 18, "9" * 30, "1 2 3 4 5", "0 0 0 0 0"]),
        ),
    ),
    st.builds(lambda subject, text: f"! {subject} error {text}", st.sampled_from(KINDS), hostile.texts),
    hostile.texts,
)


@fuzz(st.lists(ANSWER_LINES, max_size=60), st.booleans(), quick=40)
def test_what_a_node_says(lines: list[str], whole: bool) -> None:
    text = "".join(f"{NONCE} {line}\n" for line in ["[ node n", *lines])
    crashers.answer(text + (f"{NONCE} finished 1795723502\n" if whole else text[:17]))


CSR = st.fixed_dictionaries(
    {
        "metadata": st.one_of(
            hostile.values,
            st.fixed_dictionaries(
                {"name": hostile.leaves, "creationTimestamp": hostile.leaves, "managedFields": hostile.values}
            ),
        ),
        "spec": st.one_of(
            hostile.values,
            st.fixed_dictionaries(
                {
                    "request": st.one_of(
                        hostile.leaves, st.binary(max_size=200).map(lambda some: base64.b64encode(some).decode())
                    ),
                    "username": hostile.leaves,
                    "groups": hostile.values,
                    "usages": hostile.values,
                    "extra": hostile.values,
                    "expirationSeconds": hostile.leaves,
                    "signerName": hostile.leaves,
                }
            ),
        ),
        "status": st.one_of(
            hostile.values,
            st.fixed_dictionaries({"conditions": st.lists(hostile.values, max_size=3), "certificate": hostile.leaves}),
        ),
    }
)


@fuzz(CSR, quick=60)
def test_certificate_signing_requests(value: t.Any) -> None:
    crashers.csr(value)


@fuzz(hostile.values, hostile.values, quick=60)
def test_pods_and_identities(first: t.Any, second: t.Any) -> None:
    pod_record({"metadata": first, "spec": second, "status": {"containerStatuses": [first, second]}})
    if isinstance(first, str):
        name = pathlib.PurePath(node_file("/run", first))
        assert name.is_relative_to("/run/nodes") and ".." not in name.parts
    identity({"hostname": None, "addresses": None, "kubeconfig": None, "pki": None, "reachable": True})


@functools.cache
def _der(kind: str) -> bytes:
    if kind == "certificate":
        return make_pair(
            "kubernetes", names=["a.b", "10.0.0.1"], organizations=["system:nodes"]
        ).certificate.public_bytes(serialization.Encoding.DER)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "system:node:a"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        ]
    )
    names = x509.SubjectAlternativeName([x509.DNSName("a"), x509.UniformResourceIdentifier("x:y")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(names, critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        serialization.Encoding.DER
    )


def pem(der: bytes, label: str) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()


@st.composite
def broken(draw: st.DrawFn, kind: str) -> bytes:
    """DER with some bytes exchanged, cut out, put in, or the end cut off."""
    der = bytearray(_der(kind))
    for _turn in range(draw(st.integers(1, 6))):
        at, action = draw(st.integers(0, max(len(der) - 1, 0))), draw(st.integers(0, 3))
        if action == 0 and der:
            der[at] = draw(st.integers(0, 255))
        elif action == 1:
            del der[at : at + draw(st.integers(1, 40))]
        elif action == 2:
            der[at:at] = draw(st.binary(max_size=20))
        else:
            der[at : at + 2] = bytes(
                [
                    draw(st.sampled_from([2, 3, 4, 6, 12, 19, 22, 23, 24, 30])),
                    draw(st.sampled_from([0, 1, 127, 128, 132, 255])),
                ]
            )
    return bytes(der)


@fuzz(st.one_of(broken("certificate"), st.binary(max_size=300)), quick=200, share=4)
def test_broken_certificates(der: bytes) -> None:
    crashers.certificate(pem(der, "CERTIFICATE") + der)


@fuzz(st.one_of(broken("request"), st.binary(max_size=300)), quick=200, share=4)
def test_broken_requests(der: bytes) -> None:
    crashers.request(pem(der, "CERTIFICATE REQUEST"))
    crashers.request(der)


@fuzz(st.lists(NAMES, min_size=1, max_size=3), st.lists(NAMES, max_size=4), quick=25, share=0.5)
def test_requests_with_strange_names(common_names: list[str], others: list[str]) -> None:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False) for name in common_names]
    attributes += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name, _validate=False) for name in others]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    signed = builder.sign(ed25519.Ed25519PrivateKey.generate(), None)
    crashers.request(signed.public_bytes(serialization.Encoding.PEM))


@fuzz(
    st.lists(
        st.one_of(
            hostile.texts,
            st.sampled_from(
                [
                    "clusters:",
                    "- cluster:",
                    "    server: https://x",
                    "users:",
                    "- name: a",
                    "  user:",
                    "current-context: a",
                    "contexts:",
                    "{",
                    "- {a: [",
                    "\t",
                    "    client-key-data: |",
                    "&a *a",
                ]
            ),
        ),
        max_size=30,
    ),
    quick=12,
    share=0.3,
)
def test_kubeconfigs_on_the_node(lines: list[str]) -> None:
    import subprocess

    text = (SCRIPT / "40_config.sh").read_text(encoding="utf-8")
    for program in ("UNFOLD_AWK", "KUBECONFIG_AWK", "CONFIG_AWK"):
        given = "\n".join(lines).encode("utf-8", "replace").replace(b"\0", b"")
        done = subprocess.run(
            ["sh", "-c", f'{text}\nawk -v want= "${program}"'],
            input=given,
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert done.stderr == b"" and done.returncode == 0
        assert len(done.stdout) <= len(given) * 25 + 1000

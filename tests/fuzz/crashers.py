# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each kind of hostile input goes through, for the properties and for the corpus: no exception, bounded output, clean output."""

from __future__ import annotations

import base64
import functools
import json
import re
import time
import typing as t
import unicodedata
from html.parser import HTMLParser

from ansible.errors import AnsibleFilterError
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import csr_record
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import certificates_in, request_record
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.evidence import build_evidence
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import read_answer
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import console, html
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples

NONCE = "0123456789abcdef01234567"
SECONDS = 20.0
_NOT_SHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("src", "srcset", "srcdoc", "style", "action", "formaction"):
                self.wrong.append(f"{tag} {name}")
            if name == "href" and not re.match(r"#|https?://", value or ""):
                self.wrong.append(f"{tag} {name}={value}")


@functools.cache
def _own_tags() -> frozenset[str]:
    page = _Page()
    for fleet in (samples.one_failing, samples.fleet_of_41):
        page.feed(html.render(fleet()))
    return frozenset(page.tags)


def report(diagnosis: t.Any) -> None:
    """Both forms of the report: only the template's own elements, and nothing a terminal obeys."""
    text = html.render(diagnosis)
    page = _Page()
    page.feed(text)
    page.close()
    assert page.wrong == []
    assert set(page.tags) - _own_tags() <= {"q", "s", "br", "rect", "circle", "line", "path"}
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert not {character for character in text if unicodedata.category(character) in _NOT_SHOWN} - {"\n"}
    assert len(text) < 30_000_000
    said = console.plain(console.render(diagnosis, "/r/report.html", 80, 24))
    assert {unicodedata.category(character) for character in said.replace("\n", "")}.isdisjoint(_NOT_SHOWN)
    assert len(said) < 20_000


def evidence(value: t.Any) -> None:
    """Judged and shown, or refused with the documented error."""
    began = time.monotonic()
    try:
        diagnosis = diagnose_filter(value)
    except AnsibleFilterError:
        return
    json.dumps(diagnosis)
    report(diagnosis)
    assert time.monotonic() - began < SECONDS


def certificate(pem: bytes) -> None:
    """A file of certificates."""
    began = time.monotonic()
    records = certificates_in(pem)
    assert len(json.dumps(records)) < 64_000 * (len(records) + 1)
    assert time.monotonic() - began < SECONDS


def request(pem: bytes) -> None:
    """A PKCS #10 request, alone and in a CertificateSigningRequest."""
    began = time.monotonic()
    record, error = request_record(pem)
    assert (record is None) != (error is None)
    assert len(json.dumps([record, error])) < 200_000
    csr({"metadata": {"name": "x"}, "spec": {"request": base64.b64encode(pem).decode()}})
    assert time.monotonic() - began < SECONDS


def csr(value: t.Any) -> None:
    """A CertificateSigningRequest as an API server might tell it."""
    assert len(json.dumps(csr_record(value))) < 4_000_000


def answer(text: str) -> None:
    """What a node says to the probe, as sections; judged too."""
    began = time.monotonic()
    for why in ("error", "timeout"):
        found = build_evidence(read_answer(text, NONCE), "worker-7", 1795723500.0, 1795723502.5, 40, why)
        encoded = json.dumps(found)
        encoded.encode("utf-8")
        assert not {
            character
            for value in strings(found)
            for character in value
            if unicodedata.category(character) == "Cc" and character != "\t"
        }
        evidence({"nodes": {"worker-7": found}})
    assert time.monotonic() - began < SECONDS


def strings(value: t.Any) -> t.Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)

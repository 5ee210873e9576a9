# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import html
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples

VOID = {"meta", "input", "br", "link", "img", "path", "circle", "rect", "line", "use"}
FLEETS = [samples.one_failing, samples.fleet_of_41, samples.fleet_of_2000, samples.hostile_fleet]


class Page(HTMLParser):
    """Collects elements with their attributes, texts by element, and unbalanced tags."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data

    def named(self, tag: str, css: str = "") -> list[dict[str, str | None]]:
        return [
            attrs
            for name, attrs in self.elements
            if name == tag and css in [*(attrs.get("class") or "").split(" "), ""]
        ]


@pytest.mark.parametrize("fleet", FLEETS)
def test_the_page_is_well_formed_and_loads_nothing(fleet: object) -> None:
    text = html.render(fleet())  # type: ignore[operator]
    page = Page(text)
    assert page.wrong == []
    assert page.open == []
    assert not {"img", "iframe", "object", "embed", "link", "base"} & {tag for tag, _attrs in page.elements}
    names = {name for _tag, attrs in page.elements for name in attrs}
    assert not [name for name in names if name.startswith("on") or name in ("src", "srcset", "style", "action")]
    assert len(page.named("script")) == len(page.named("style")) == 1
    for attrs in page.named("a"):
        assert re.fullmatch(r"#[\w.-]+|https?://[^\s\"'<>]+", attrs["href"] or ""), attrs
    ids = [attrs["id"] for _tag, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for attrs in page.named("a") if (attrs["href"] or "")[0] == "#"} <= set(ids)  # type: ignore[index]


def test_the_policy_names_the_hashes_of_what_is_in_the_page() -> None:
    text = html.render(samples.one_failing())
    content = next(
        attrs["content"] for attrs in Page(text).named("meta") if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert content is not None
    assert content.startswith("default-src 'none'; ")
    assert "unsafe" not in content
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in content


def test_hostile_texts_are_shown_as_text() -> None:
    text = html.render(samples.hostile_fleet())
    page = Page(text)
    assert "<script>document.documentElement.dataset.pwned=1</script>" in page.text
    assert "\\x1b[2J" in page.text
    assert "{{ lookup('pipe', 'touch pwned') }}" in page.text
    assert not set("\x1b\u202e\u2069\u200b\x9b") & set(text)
    assert not [attrs for attrs in page.named("a") if "javascript" in (attrs["href"] or "")]


def test_a_node_in_full() -> None:
    page = Page(html.render(samples.one_failing()))
    stages = [attrs["class"] for attrs in page.named("li", "stage")][:9]
    assert stages == [
        "stage ok",
        "stage ok",
        "stage unknown",
        "stage ok",
        "stage ok",
        "stage broken first",
        *["stage waiting"] * 3,
    ]
    for part in (
        "No binding lets nodes have their renewals approved",
        "SubjectAccessReview: group system:nodes may not create",
        "rbac_info reviews.node_selfnodeclient, 2026-11-23 20:04 UTC (1 min ago)",
        "The kubelet logs nothing of it.",
        samples.BINDING["fix"]["steps"][0]["command"],
        "low risk",
        "restore_auto_approval",
        "docs/rules/auto-approval-binding-missing.md",
        "Changed shortly before the first failure",
        "A renewal is pending",
        "first failure 19:40",
        "no timedatectl",
        "Rules skipped for lack of evidence (1)",
    ):
        assert part in page.text
    assert len(page.named("article")) == 3


def test_a_big_fleet_stays_usable() -> None:
    text = html.render(samples.fleet_of_2000())
    page = Page(text)
    rows = [attrs["data-verdict"] for attrs in page.named("tr") if "data-verdict" in attrs]
    assert len(rows) == 2000
    assert rows[:10] == ["expired"] * 10
    assert len(page.named("article")) == 30
    assert "470 more nodes needing attention are in the table only" in page.text
    assert len(text) < 2_000_000


def test_findings_stand_under_what_explains_them_once() -> None:
    names = "abcdef"
    ring = [{"rule": name, "role": "symptom", "explained_by": [names[index - 1]]} for index, name in enumerate(names)]
    trees = html._tree(
        [
            {"rule": "p", "role": "primary", "explained_by": ["a"]},
            *ring,
            {"rule": "s", "role": "symptom", "explained_by": ["p"]},
        ]
    )

    def rules(tree: list[samples.Record]) -> list[str]:
        return [rule for item in tree for rule in (item["rule"], *rules(item["children"]))]

    assert trees[0]["rule"] == "p"
    assert [child["rule"] for child in trees[0]["children"]] == ["s"]
    assert sorted(rules(trees)) == sorted("ps" + names)


def test_the_bar_of_a_certificate() -> None:
    now = samples.at()
    good = html._bar(samples.certificate(121, 244), now)
    assert good["state"] == "good"
    assert good["scale"] == {
        "end": 1000.0,
        "window_from": 700.0,
        "window_until": 900.0,
        "now": pytest.approx(331.5, abs=0.1),
    }
    assert html._bar(samples.certificate(300, 65), now)["state"] == "due"
    ended = html._bar(samples.certificate(100, -50), now)
    assert ended["state"] == "ended"
    assert ended["scale"]["now"] == 1000.0
    unknown = html._bar({**samples.certificate(10, 10), "not_before": None}, now)
    assert unknown["scale"] is None


def words(text: str) -> str:
    """What a reader reads, each element's text apart from its neighbours'."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_a_node_shows_who_approves_the_certificate_in_its_places_and_the_distribution() -> None:
    text = words(html.render(samples.one_failing()))
    assert "kubeadm , certificate renewed by kubelet" in text
    assert "It is for kubelet-csr-approver ( kube-system/kubelet-csr-approver ) to decide." in text
    assert "it refuses this request" in text
    assert "dns-resolution fails 10.0.0.7 is none of 10.0.0.8" in text
    assert "expiration not seen" in text
    assert "The certificate was issued, and the kubelet never fetched it." in text
    assert "issued to the newest CSR 5a00 cdcdcdcdcdcdcdcd" in text
    assert "manifest, 6 min before" in text
    assert text.count("its flags decide whether it approves") == 1, "once for changes of one kind"
    assert "Foresight" not in text


def test_foresight_is_shown_where_nothing_is_broken_yet() -> None:
    text = words(html.render(samples.diagnosis([samples.at_risk("worker-1")])))
    assert "opens in 3 h and closes in 5 h; the certificate ends in 6 h." in text
    assert "cannot succeed: The disk with the certificates is nearly full" in text
    clear = {**samples.healthy("worker-2"), "foresight": samples.foresight(-60, 3600, 7200)}
    text = words(html.render(samples.diagnosis([clear])))
    assert "opened 1 min ago" in text and "Nothing that was seen stands in its way." in text


def test_what_a_login_that_is_not_root_could_not_see_is_said_with_what_to_do() -> None:
    page = words(html.render(samples.diagnosis([samples.without_root(samples.failing("a"))])))
    assert "Primary cause, of what could be seen without root" in page
    assert (
        "Not seen without root, and the cause behind this may be among it: the certificates, the kubeconfig, the kubelet"
        in page
    )
    assert (
        "what only root may read not_permitted" in page
        and page.count("Diagnose again with become: docs/permissions.md") == 2
    )
    assert "without root" not in words(html.render(samples.diagnosis([samples.failing("a")])))

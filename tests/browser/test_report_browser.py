# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opens the report in a real, headless Chromium. Fails, and does not skip, where there is none.

``CHROMIUM`` names another program; ``REPORT_SCREENSHOTS`` a folder to leave screenshots in, for a person to look at.
"""

from __future__ import annotations

import base64
import hashlib
import html as escapes
import os
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report import clusters, history, html
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._model import read
from ansible_collections.kubecare.kubelet_certs.tests.fuzz import hostile
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import history_samples, samples

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
MARK = "document.documentElement.dataset.pwned=1"
PAYLOAD = f'<img src=x onerror="{MARK}"><script>{MARK}</script>'
FLEETS = [samples.one_failing, samples.fleet_of_41, samples.fleet_of_2000, samples.hostile_fleet]


def chromium(folder: Path, page: str, *flags: str) -> str:
    """Runs the page and returns Chromium's standard output."""
    program = (
        os.environ.get("CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    assert program, "no chromium on PATH, and CHROMIUM names none: the report cannot be tested in a browser"
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    command = [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, path.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def dom(folder: Path, page: str) -> str:
    return chromium(folder, page, "--dump-dom")


def ran(text: str) -> bool:
    """Whether a payload ran: each of them leaves a mark on the root element."""
    root = re.search(r"<html[^>]*>", text)
    assert root is not None
    return "data-pwned" in root.group(0)


@pytest.mark.parametrize("fleet", FLEETS)
def test_the_page_renders_and_its_own_script_runs(tmp_path: Path, fleet: t.Callable[[], samples.Record]) -> None:
    value = fleet()
    text = dom(tmp_path, html.render(value))
    assert not ran(text)
    assert text.count("data-verdict=") == len(value["nodes"])
    assert '<button type="button">Verdict</button>' in text
    if len(value["nodes"]) > 1:
        assert 'id="filter" hidden' not in text


def test_the_payload_does_run_in_a_page_without_protection(tmp_path: Path) -> None:
    assert ran(dom(tmp_path, f"<!DOCTYPE html><html><body>{PAYLOAD}</body></html>"))


def test_the_policy_stops_what_escaping_would_have_missed(tmp_path: Path) -> None:
    page = html.render(samples.one_failing())
    broken = page.replace("<main>", f"<main>{PAYLOAD}", 1)
    assert broken != page
    text = dom(tmp_path, broken)
    assert "onerror=" in text
    assert not ran(text)


def framed(page: str, size: int, script: str) -> str:
    """The page in a frame ``size`` wide; ``script`` sees it as ``page`` and its answer becomes the title."""
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    # Sections out of sight are laid out too.
    open_page = open_page.replace("content-visibility: auto", "content-visibility: visible")
    look = 'document.querySelector("iframe").contentDocument'

    return (
        f'<!DOCTYPE html><html><head><title></title></head><body><iframe width="{size}" height="900" '
        f'srcdoc="{escapes.escape(open_page)}"></iframe><script>addEventListener("load", () => {{'
        f"const page = {look}; document.title = String((() => {{ {script} }})()); }});"
        "</script></body></html>"
    )


def answer(folder: Path, page: str, size: int, script: str) -> str:
    match = re.search(r"<title>(.*?)</title>", dom(folder, framed(page, size, script)))
    assert match is not None
    return escapes.unescape(match.group(1))


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("size", [400, 1280])
def test_nothing_is_wider_than_the_page(tmp_path: Path, fleet: t.Callable[[], samples.Record], size: int) -> None:
    assert answer(tmp_path, html.render(fleet()), size, "return page.documentElement.scrollWidth;") == str(size)


@pytest.mark.parametrize("size", [400, 1280])
def test_the_page_over_several_clusters(tmp_path: Path, size: int) -> None:
    page = clusters.page([clusters.part(fleet.__name__, read(fleet()), 80, 24) for fleet in FLEETS])
    assert answer(tmp_path, page, size, "return page.documentElement.scrollWidth;") == str(size)
    text = dom(tmp_path, page)
    assert not ran(text)
    assert all(f'id="cluster-{fleet.__name__}"' in text for fleet in FLEETS)


def test_filter_and_sort(tmp_path: Path) -> None:
    script = """
        const rows = () => [...page.querySelectorAll("#table tbody tr")].filter((row) => !row.hidden);
        const names = () => rows().slice(0, 2).map((row) => row.cells[0].textContent).join("+");
        const type = (text) => {
            page.getElementById("search").value = text;
            page.getElementById("search").dispatchEvent(new Event("input", {bubbles: true}));
        };
        const out = [rows().length];
        page.querySelector("input[value=failing]").click();
        out.push(rows().length, page.getElementById("shown").textContent);
        type("WORKER-3"); out.push(names());
        type("nothing like it"); out.push(rows().length);
        type("");
        page.querySelector("th button").click(); out.push(names());
        page.querySelector("th button").click(); out.push(names(), page.querySelector("th").getAttribute("aria-sort"));
        return out.join("|");
    """
    said = answer(tmp_path, html.render(samples.fleet_of_41()), 1280, script)
    assert said == "41|7|7 of 41|worker-35+worker-36|0|worker-35+worker-36|worker-41+worker-40|descending"


def test_of_a_long_table_a_part_is_laid_out(tmp_path: Path) -> None:
    """What is searched for is found wherever it is; the rest comes on demand."""
    script = """
        const seen = () => [...page.querySelectorAll("#table tbody tr")].filter((row) => row.getClientRects().length).length;
        const search = page.getElementById("search"), more = page.getElementById("more");
        const type = (text) => { search.value = text; search.dispatchEvent(new Event("input", {bubbles: true})); };
        const last = [...page.querySelectorAll("#table tbody tr")].at(-1).cells[0].textContent.trim();
        const out = [seen(), more.hidden, page.getElementById("shown").textContent];
        type(last); out.push(seen(), more.hidden);
        type(""); out.push(seen());
        more.click(); out.push(seen(), more.hidden, more.textContent);
        more.click(); out.push(seen(), more.hidden);
        return out.join("|");
    """
    said = answer(tmp_path, html.render(samples.fleet_of_2000()), 1280, script)
    assert said == "300|false||1|true|300|1800|false|Show more, 200 are left|2000|true"


def test_a_command_is_copied_as_it_was_written(tmp_path: Path) -> None:
    script = 'return [...page.querySelectorAll(".cause .command code")].map((code) => code.textContent).join("|");'
    steps = samples.BINDING["fix"]["steps"]
    assert answer(tmp_path, html.render(samples.one_failing()), 1280, script) == "|".join(
        step["command"] for step in steps
    )


def test_contrast_is_enough_to_read(tmp_path: Path) -> None:
    """WCAG AA, 4.5 to 1, of every text on its own background, in light and in dark."""
    script = r"""
        const numbers = (color) => color.match(/[\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
            .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const view = page.defaultView;
        const behind = (element) => {
            for (; element; element = element.parentElement) {
                const color = numbers(view.getComputedStyle(element).backgroundColor);
                if (color.length < 4 || color[3] === 1) return color;
            }
            return [255, 255, 255];
        };
        const bad = new Set();
        let checked = 0;
        for (const element of page.querySelectorAll("body *:not(svg *):not(script)")) {
            if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
            const a = light(numbers(view.getComputedStyle(element).color)), b = light(behind(element));
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            checked += 1;
            if (ratio < 4.5) bad.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
        }
        return checked > 200 ? [...bad].join(", ") : `only ${checked} texts`;
    """
    page = html.render(samples.fleet_of_41())
    assert answer(tmp_path, page, 1280, script) == ""
    dark = page.replace("@media (prefers-color-scheme: dark)", "@media all")
    assert dark != page
    assert answer(tmp_path, dark, 1280, script) == ""


@pytest.mark.parametrize("size", ["1280,2600", "500,3200"])
def test_a_picture_of_it_can_be_taken(tmp_path: Path, size: str) -> None:
    target = Path(os.environ.get("REPORT_SCREENSHOTS", tmp_path)).resolve() / f"report-{size.split(',')[0]}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    chromium(tmp_path, html.render(samples.fleet_of_41()), f"--window-size={size}", f"--screenshot={target}")
    picture = target.read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000


VIOLATIONS = (
    "<script>addEventListener('securitypolicyviolation', e =>"
    " document.documentElement.dataset.violations = e.blockedURI || e.violatedDirective)</script>"
)


def test_hostile_texts_everywhere_break_no_policy_and_ask_for_nothing(tmp_path: Path) -> None:
    """The page with a listener that its policy allows: its own code breaks nothing, and a text that became an element would be told."""
    fleet = samples.hostile_fleet()
    texts = (*hostile.MARKUP, *hostile.TEMPLATES, *hostile.SHELLS)

    def change(value: t.Any, number: int = 0) -> t.Any:
        if isinstance(value, dict):
            return {name: change(item, number + index) for index, (name, item) in enumerate(value.items())}
        if isinstance(value, list):
            return [change(item, number + index) for index, item in enumerate(value)]
        return f"{value} {texts[number % len(texts)]}" if isinstance(value, str) and " " in value else value

    page = html.render(change(fleet))
    assert "}*{background:url(https://x.invalid/b)}" in escapes.unescape(page)
    script = re.findall(r"<script>(.*?)</script>", VIOLATIONS)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    listening = page.replace("script-src &#39;sha256-", f"script-src &#39;sha256-{digest}&#39; &#39;sha256-", 1)
    assert listening != page
    listening = listening.replace("<title>", f"{VIOLATIONS}<title>", 1)
    text = dom(tmp_path, listening)
    assert not ran(text)
    assert "data-violations" not in text.split("<head>")[0]
    heard = dom(tmp_path, listening.replace("<main>", f"<main>{PAYLOAD}", 1))
    assert "data-violations" in heard.split("<head>")[0]


@pytest.mark.parametrize("size", [400, 1280])
@pytest.mark.parametrize("given", [history_samples.value, history_samples.hostile])
def test_changes_and_trend_run_nothing_and_fit_the_page(
    tmp_path: Path, given: t.Callable[[], samples.Record], size: int
) -> None:
    page = html.render(samples.one_failing(), history.read(given()))
    assert '<polyline class="least"' in page
    assert not ran(dom(tmp_path, page))
    assert answer(tmp_path, page, size, "return page.documentElement.scrollWidth;") == str(size)
    drawn = "return [...page.querySelectorAll('.trends svg')].every(svg => svg.getBoundingClientRect().height > 40);"
    assert answer(tmp_path, page, size, drawn) == "true"

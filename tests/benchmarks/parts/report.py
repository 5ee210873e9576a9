# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``report`` of 5,000 nodes, 3 % of them with a fault: time, size, and how the page does in a headless Chromium."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import re
import shutil
import statistics
import tempfile

from bench import RUNS, Bench, CannotRun, figures_of, in_turn

TITLE = "report: 5,000 nodes, on the console, as JSON, as a page in Chromium"
NODES = 5000
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
SCRIPT = """
addEventListener("load", () => {
  const out = {load_ms: performance.now()};
  const search = document.getElementById("search");
  const type = (text) => { search.value = text; search.dispatchEvent(new Event("input", {bubbles: true})); };
  const sort = (column) => document.querySelectorAll("#table th button")[column].click();
  const timed = (name, act) => {
    const start = performance.now();
    act();
    document.documentElement.offsetHeight;  // lays the page out
    out[name] = performance.now() - start;
  };
  timed("search_ms", () => type("worker-04"));
  timed("search_cleared_ms", () => type(""));
  timed("filter_ms", () => document.querySelector("input[value=healthy]").click());
  timed("filter_cleared_ms", () => document.querySelector("input[value=healthy]").click());
  timed("sort_by_name_ms", () => sort(0));
  timed("sort_by_time_left_ms", () => sort(4));
  document.title = JSON.stringify(out);
});
"""


def measure(bench: Bench) -> dict[str, float]:
    folder = bench.fleet(NODES, NODES * 8, NODES * 20)
    bench.act("diagnose", run_dir=folder)
    with tempfile.TemporaryDirectory(prefix="kubelet-certs-") as name:
        dest = pathlib.Path(name)
        (run,) = in_turn(
            lambda: bench.act("report", run_dir=folder, dest=dest, formats=["console", "html", "json"], color="never")
        )
        page = dest / "report.html"
        summary = run.output.rsplit("\n{", 1)[0].strip().splitlines()
        figures = {
            **figures_of("report_5000", run),
            "report_5000_megabytes": round(page.stat().st_size / 1e6, 2),
            "report_5000_json_megabytes": round((dest / "diagnosis.json").stat().st_size / 1e6, 2),
            "report_5000_console_lines": len(summary),
        }
        return {**figures, **in_browser(bench, page)}


def in_browser(bench: Bench, page: pathlib.Path) -> dict[str, float]:
    """Milliseconds until the page is loaded, and until what a reader does is laid out; medians."""
    program = shutil.which("chromium")
    if not program:
        raise CannotRun("there is no chromium: make test installs it")
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    text = page.read_text(encoding="utf-8")
    text = text.replace("script-src &#39;sha256-", f"script-src &#39;sha256-{digest}&#39; &#39;sha256-", 1)
    measured = page.with_name("measured.html")
    measured.write_text(text.replace("<title>", f"<script>{SCRIPT}</script><title>", 1), encoding="utf-8")
    found: dict[str, list[float]] = {}
    for _run in range(RUNS):
        profile = f"--user-data-dir={page.parent / 'profile'}"
        shown = bench.run(program, *FLAGS, profile, "--dump-dom", measured.as_uri()).output
        match = re.search(r"<title>(\{.*?\})</title>", shown)
        if match is None:
            raise RuntimeError("the page did not say how it did")
        for key, value in json.loads(match[1]).items():
            found.setdefault(key, []).append(value)
    return {f"report_5000_{key}": round(statistics.median(values)) for key, values in found.items()}

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real runs of the playbook ``audit`` over evidence recorded from the lab, one after the other, side by side, and killed."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEALTHY = "healthy-authority-bundle+healthy-bootstrap-left+healthy-certificate-directory"
HEALTHY_LATER = "healthy-json-log+healthy-just-rotated+healthy-k3s"
BROKEN = "manual-approval-stopped+microk8s-certificate-never-rotated+node-blocked-by-policy"
QUIET = "kubecare.kubelet_certs.quiet"


class Fleet:
    """A fleet whose evidence is in ``tests/fixtures``, and its history."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.history = folder / "history"
        self.runs = 0

    def evidence(self, fixture: str, name: str | None = None) -> pathlib.Path:
        """A run folder with the evidence in it."""
        self.runs += 1
        run_dir = self.history / "runs" / (name or f"20261125T0{self.runs:05}Z-{self.runs:06x}")
        recorded = json.loads((ROOT / f"tests/fixtures/{fixture}.json").read_text(encoding="utf-8"))
        for part in ("cluster", "nodes"):
            (run_dir / part).mkdir(parents=True)
            for key, value in recorded[part].items():
                (run_dir / part / f"{key}.json").write_text(json.dumps(value), encoding="utf-8")
        return run_dir

    def start(
        self, run_dir: pathlib.Path | None, callback: str = "default", **variables: t.Any
    ) -> subprocess.Popen[str]:
        given = {
            "kubelet_certs_collect_cluster": False,
            "kubelet_certs_collect_nodes": False,
            "kubelet_certs_history_dir": str(self.history),
            **({"kubelet_certs_run_dir": str(run_dir)} if run_dir else {}),
            **variables,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_"))}
        environment.update(
            HOME=str(self.folder),
            K8S_AUTH_HOST="http://127.0.0.1:1",
            ANSIBLE_STDOUT_CALLBACK=callback,
            ANSIBLE_PYTHON_INTERPRETER=sys.executable,
            ANSIBLE_LOCALHOST_WARNING="false",
            ANSIBLE_COLLECTIONS_PATH=next(
                path for path in sys.path if (pathlib.Path(path) / "ansible_collections/kubecare").is_dir()
            ),
        )
        program = pathlib.Path(sys.executable).parent / "ansible-playbook"
        command = [program, "kubecare.kubelet_certs.audit", "-i", "localhost,", "-c", "local", "-e", json.dumps(given)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def audit(self, fixture: str, **variables: t.Any) -> tuple[int, str, str]:
        """Exit status, what was printed and what was complained of."""
        process = self.start(self.evidence(fixture), **variables)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def changes(self) -> dict[str, t.Any]:
        """Those of the newest run."""
        path = sorted(self.history.glob("runs/*/history.json"))[-1]
        return t.cast("dict[str, t.Any]", json.loads(path.read_text(encoding="utf-8")))

    def kept(self) -> list[str]:
        """The names of whole audits; each file of them is read."""
        names = sorted(path.name for path in self.history.glob("audits/[!.]*"))
        for name in names:
            for file in ("audit.json", "nodes.json"):
                json.loads((self.history / "audits" / name / file).read_text(encoding="utf-8"))
        return names


@pytest.fixture
def fleet(tmp_path: pathlib.Path) -> Fleet:
    return Fleet(tmp_path)


class Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent; answers with ``status``."""

    got: t.ClassVar[list[tuple[dict[str, str], t.Any]]] = []
    status = 204

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((dict(self.headers), json.loads(body)))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002 - as the base class names it
        pass


@pytest.fixture
def hook() -> t.Iterator[str]:
    Hook.got.clear()
    Hook.status = 204
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    server.server_close()


def test_a_healthy_fleet_is_one_line_twice_and_a_broken_one_is_told(fleet: Fleet) -> None:
    status, output, errors = fleet.audit(HEALTHY, callback=QUIET)
    assert (status, errors) == (0, "")
    assert output.strip().splitlines() == [
        "✔ 4 nodes: 4 healthy; the first audit; least time left 23 h 45 min (node1, worker)"
    ]
    metrics = fleet.folder / "kubelet_certs.prom"
    status, output, errors = fleet.audit(HEALTHY_LATER, callback=QUIET, kubelet_certs_metrics_file=str(metrics))
    assert (status, errors) == (0, "")
    assert len(output.strip().splitlines()) == 1 and "nothing new since 2026-11-25 03:40" in output
    assert 'kubelet_certs_audit_nodes{cluster="10.77.0.10:6443",verdict="healthy"} 4' in metrics.read_text()
    status, output, errors = fleet.audit(BROKEN, callback=QUIET, kubelet_certs_fail_on=["failing"])
    assert status == 2
    assert "6 new findings, 3 nodes worse since 2026-11-25 03:41" in output
    assert "healthy → failing   node1, node3" in output
    assert errors.count("\n") == 1 and "with a verdict of kubelet_certs_fail_on (failing)" in errors
    page = sorted(fleet.history.glob("runs/*/report.html"))[-1].read_text(encoding="utf-8")
    assert "Since the last audit" in page and '<polyline class="least"' in page
    assert len(fleet.kept()) == 3


def test_the_hooks_are_told_of_changes_and_of_nothing_else(fleet: Fleet, hook: str) -> None:
    tasks = fleet.folder / "mine.yml"
    tasks.write_text(
        f"- ansible.builtin.copy:\n    dest: {fleet.folder}/told\n    mode: '0600'\n"
        "    content: '{{ kubelet_certs_audit.text }} {{ kubelet_certs_kept.path }}'\n"
    )
    told = {
        "kubelet_certs_webhook_url": hook,
        "kubelet_certs_webhook_headers": {"Authorization": "Bearer Zq9secret7777"},
        "kubelet_certs_notify_tasks": str(tasks),
    }
    assert fleet.audit(HEALTHY, **told)[0] == 0
    assert Hook.got == [] and not (fleet.folder / "told").exists()
    status, output, errors = fleet.audit(BROKEN, **told)
    assert status == 0, output + errors
    ((headers, body),) = Hook.got
    assert headers["Authorization"] == "Bearer Zq9secret7777"
    assert body["text"].startswith("4 nodes: 2 failing, 1 at risk, 1 healthy; 6 new findings, 3 nodes worse since")
    assert body["verdicts"]["failing"] == 2 and body["changes"]["new"] == 6
    assert (fleet.folder / "told").read_text() == f"{body['text']} {fleet.history}/audits/{fleet.kept()[-1]}"
    assert "Zq9secret7777" not in output + errors


def test_a_webhook_that_fails_fails_the_play_and_loses_nothing(fleet: Fleet, hook: str) -> None:
    Hook.status = 500
    status, output, errors = fleet.audit(BROKEN, callback=QUIET, kubelet_certs_webhook_url=hook)
    assert status == 2
    assert len(Hook.got) == 3
    assert "The webhook was called three times, the last time with the answer 500." in errors
    assert hook not in output + errors
    assert len(fleet.kept()) == 1


def test_two_audits_at_once(fleet: Fleet) -> None:
    both = [fleet.start(fleet.evidence(BROKEN)) for _number in range(2)]
    assert [process.communicate(timeout=120) and process.returncode for process in both] == [0, 0]
    assert len(fleet.kept()) == 2


def test_an_api_server_that_is_down_resolves_nothing(fleet: Fleet) -> None:
    """A run folder of its own choice; no node can be listed, and none is asked."""
    metrics = fleet.folder / "kubelet_certs.prom"
    given = {"kubelet_certs_cluster": "c", "kubelet_certs_metrics_file": str(metrics)}
    assert fleet.audit(BROKEN, **given)[0] == 0
    process = fleet.start(None, callback=QUIET, kubelet_certs_collect_cluster=True, **given)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, output + errors
    assert "API SERVER UNREACHABLE" in output
    (run_dir,) = (path for path in fleet.history.glob("runs/*") if path.name > "20261125T010000Z")
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", run_dir.name)
    changes = json.loads((run_dir / "history.json").read_text(encoding="utf-8"))["changes"]
    assert [item["why"] for item in changes.pop("unseen")] == ["not_listed"] * 4 and not any(changes.values())
    published = metrics.read_text(encoding="utf-8")
    assert published.count('judged="earlier"') == 6 and 'judged="now"' not in published
    assert published.count('pool="worker"} 0') == 3 and "not_after_timestamp_seconds{" not in published


@pytest.mark.parametrize("moment", ["history.json", "part", "kept"])
def test_a_kill_leaves_the_history_readable(fleet: Fleet, moment: str) -> None:
    """SIGKILL to all of the play's processes as soon as something is there."""
    fleet.audit(HEALTHY)
    before = fleet.kept()
    run_dir = fleet.evidence(BROKEN, "20261126T000000Z-aaaaaa")
    patterns = {"part": f"audits/.{run_dir.name}.*", "kept": f"audits/{run_dir.name}"}
    process = fleet.start(run_dir)
    end = time.monotonic() + 60
    while not any(fleet.history.glob(patterns.get(moment, f"runs/{run_dir.name}/{moment}"))):
        if process.poll() is not None or time.monotonic() > end:
            break  # a half folder is there for some milliseconds only, and may be missed
    with contextlib.suppress(ProcessLookupError):  # it was missed, and the play has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert fleet.kept() in (before, [*before, run_dir.name])
    status, output, _errors = fleet.audit(HEALTHY_LATER)
    assert status == 0, output
    assert fleet.kept()[0] == before[0] and len(fleet.kept()) >= 2
    assert fleet.changes()["passed_over"] == []

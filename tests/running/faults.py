# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults while running: each is met by a real run of the playbook ``diagnose``, which must end in time, tell the truth and lose nothing.

``python faults.py [WORD …]`` runs those whose group's name is a WORD (nodes, odd, api, disk, interrupt), else all. Needs root and Linux,
and no lab: the nodes are namespaces of this machine (``stand_in_ssh.py``), the API server is the unit tests'.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import typing as t

import harness
from harness import Data, Ran

PROBE_SECONDS = 5
GRACE_SECONDS = 20
"""What the control side allows a node beyond the probe's own time (``plugins/action/node_probe.py``)."""
NODE_LIMIT = PROBE_SECONDS + GRACE_SECONDS + 5
START_UP = 75
"""Seconds that a run may take for itself on a busy machine of two cores."""


@dataclasses.dataclass
class Outcome:
    """What became of one fault; ``wrong`` is empty when it was survived."""

    name: str
    limit: float
    seconds: float
    wrong: list[str]


@dataclasses.dataclass(frozen=True)
class NodeFault:
    """A node that misbehaves and what its evidence must say.

    ``behaviour`` of the stand-in for ssh; "" for the real ssh, with ``variables``. ``reachable`` and the node's ``reason`` and words of its message;
    with ``reachable``, ``gaps`` are keys that must be null with one of these reasons, and ``seen`` keys that must not be.
    """

    name: str
    behaviour: str = ""
    variables: Data = dataclasses.field(default_factory=dict)
    reachable: bool = False
    reason: str = ""
    words: str = ""
    gaps: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    seen: tuple[str, ...] = ("hostname", "clock")


PROMPT = 'while [ $# -gt 0 ]; do [ "$1" = -p ] && text=$2; shift; done; printf %s "${text:-[sudo] password: }" >&2'
ALL = ("root", "hostname", "addresses", "clock", "kubelet", "config", "pki", "log")


def slow_nodes(garbage: int, silent: int, sockets: pathlib.Path, folder: pathlib.Path) -> list[NodeFault]:
    """Nodes that cost the time limit or nothing."""
    sudo = {}
    for name, script in {
        "asks": "echo 'sudo: a password is required' >&2; exit 1",
        "wrong": f"{PROMPT}; read -r _; echo 'Sorry, try again.' >&2; echo 'sudo: 1 incorrect password attempt' >&2; exit 1",
        "waits": f"{PROMPT}; exec cat >/dev/null",
    }.items():
        path = harness.executable(folder / f"sudo-{name}", f"#!/bin/sh\n{script}\n")
        sudo[name] = {"kubelet_certs_become": True, "ansible_become_user": "daemon", "ansible_become_exe": str(path)}
    real = {"ansible_host": "127.0.0.1", "ansible_ssh_common_args": "-F /dev/null", "ansible_ssh_timeout": 5}
    dead = real | {"ansible_port": garbage, "ansible_control_path": str(sockets / "silent")}
    return [
        NodeFault("healthy node beside the others", "healthy", reachable=True, seen=ALL),
        NodeFault("accepts SSH, then hangs", "hang", reason="timeout", words="no answer within 25 seconds"),
        NodeFault("hangs in the middle of the answer", "hang-midway", reachable=True, gaps={"network": "timeout"}),
        NodeFault("accepts TCP, says nothing", "", real | {"ansible_port": silent}, reason="timeout"),
        NodeFault("one byte a second", "trickle", reason="timeout", words="no answer within 25 seconds"),
        NodeFault("sudo asks for a password", "healthy", sudo["asks"], reason="not_permitted", words="sudo password"),
        NodeFault(
            "sudo refuses the password",
            "healthy",
            sudo["wrong"] | {"ansible_become_password": "s3cr3t-of-sudo"},
            reason="not_permitted",
        ),
        NodeFault("sudo waits for a password for ever", "healthy", sudo["waits"], reason="timeout"),
        NodeFault(
            "name does not resolve",
            "",
            real | {"ansible_host": "no-such-name.invalid"},
            reason="unreachable",
            words="resolve",
        ),
        NodeFault("garbage for a banner", "", real | {"ansible_port": garbage}, reason="unreachable"),
        NodeFault("connection cut in the middle of the answer", "cut", reachable=True, gaps={"network": "unreachable"}),
        NodeFault("connection cut after the answer", "cut-at-end", reachable=True, seen=ALL),
        NodeFault("ControlPersist socket that never answers", "", dead, reason="timeout"),
        NodeFault("200 MB of something else", "flood", reason="too_large|timeout", words="none of them the probe's"),
    ]


def odd_nodes() -> list[NodeFault]:
    """Nodes on which the probe runs, but not as it is used to."""
    found = [
        NodeFault("full /tmp", "full-tmp", reachable=True, seen=ALL),
        NodeFault("no openssl", "no-openssl", reachable=True, seen=ALL),
        NodeFault("journal corrupt", "journal-corrupt", reachable=True, seen=ALL),
        NodeFault("journal never ends", "journal-hangs", reachable=True, gaps={"log.lines": "timeout"}, seen=ALL),
        NodeFault("kubelet restarting during the probe", "kubelet-restarting", reachable=True, seen=ALL),
    ]
    if os.environ.get("KUBECARE_BUSYBOX"):
        found.append(NodeFault("busybox for a shell and for every tool", "busybox", reachable=True, seen=ALL))
    return found


def host_of(fault: NodeFault) -> str:
    """The inventory host of a fault."""
    return "".join(letter if letter.isalnum() else "-" for letter in fault.name.lower())


def judge_node(fault: NodeFault, ran: Ran) -> list[str]:
    """What is not as it must be in the evidence and the diagnosis of one node."""
    host = host_of(fault)
    evidence = ran.read(f"nodes/{host}.json")
    gaps = {gap["subject"]: gap for gap in evidence["not_seen"]}
    wrong = []
    if evidence["reachable"] is not fault.reachable:
        wrong.append(f"reachable is {evidence['reachable']}: {evidence['not_seen'][:1]}")
    elif not fault.reachable:
        gap = gaps.get("node", {"reason": None, "message": ""})
        if gap["reason"] not in fault.reason.split("|") or fault.words not in gap["message"]:
            wrong.append(f"not seen because {gap['reason']}: {gap['message']}")
    else:
        wrong += [f"{key} was lost: {gaps.get(key)}" for key in fault.seen if evidence[key] is None]
        cut = [gap["subject"] for gap in evidence["not_seen"] if "answer ended before" in gap["message"]]
        if cut and fault.seen is ALL:
            wrong.append(f"the answer ended before {cut}")
        wrong += [
            f"gap {key}: {gaps.get(key)}"
            for key, reason in fault.gaps.items()
            if gaps.get(key, {}).get("reason") != reason
        ]
    judged = [node for node in ran.read("diagnosis.json")["nodes"] if node["name"] == host]
    if len(judged) != 1 or judged[0]["verdict"] == "healthy":
        wrong.append(f"judged {[node['verdict'] for node in judged]}")
    if "s3cr3t-of-sudo" in str(evidence) + ran.output:
        wrong.append("the password is told")
    return wrong


def nodes_run(folder: pathlib.Path, faults: list[NodeFault], probe_seconds: int, limit: float) -> list[Outcome]:
    """All these nodes in one run."""
    hosts = {}
    for fault in faults:
        host = host_of(fault)
        base = (
            harness.stand_in(folder, host, fault.behaviour)
            if fault.behaviour
            else {"ansible_connection": "ssh", "kubelet_certs_become": False}
        )
        hosts[host] = base | fault.variables
    with contextlib.closing(harness.api_server(hosts)) as server:
        began = time.time()
        variables = {"kubelet_certs_probe_timeout": probe_seconds, "kubelet_certs_request_timeout": 10}
        ran = harness.playbook(folder, hosts, server.url, limit + START_UP + 60, variables)
    whole = harness.incomplete(ran)
    outcomes = [Outcome("the run with all of these nodes", limit + START_UP, ran.seconds, whole)]
    if not (ran.run_dir / "diagnosis.json").exists():
        return outcomes
    for fault in faults:
        host = host_of(fault)
        asked = folder / "stand-ins" / host / "asked"
        first = asked.stat().st_mtime if asked.exists() else (ran.run_dir / "cluster/rbac_info.json").stat().st_mtime
        seconds = (ran.run_dir / "nodes" / f"{host}.json").stat().st_mtime - max(first, began)
        outcomes.append(Outcome(fault.name, limit, seconds, judge_node(fault, ran)))
    for attempt in range(8):  # a node's own guard ends the probe there
        left = harness.left_processes(str(folder))
        if not left or attempt == 7:
            break
        time.sleep(1)
    left = [f"left: {line}" for line in left] + harness.left_files(folder)
    outcomes.append(Outcome("no process and no file is left of any of them", 8, attempt, left))
    return outcomes


@contextlib.contextmanager
def listeners(folder: pathlib.Path) -> t.Iterator[tuple[int, int]]:
    """``(garbage, silent)``: ports of two servers that are no SSH servers, and the socket ``silent`` of a dead ControlPersist."""
    garbage, silent = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder / "silent"))
    dead.listen()
    held: list[socket.socket] = []

    def serve(server: socket.socket, words: bytes) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _peer = server.accept()
                held.append(connection)
                if words:
                    connection.sendall(words)
                    connection.close()

    for server, words in ((garbage, b"\x00\xff\x1b[31mHTTP/1.1 400 {{ 7*7 }}\r\n" * 50), (silent, b""), (dead, b"")):
        threading.Thread(target=serve, args=(server, words), daemon=True).start()
    yield garbage.getsockname()[1], silent.getsockname()[1]
    for one in (garbage, silent, dead, *held):
        one.close()


def nodes(folder: pathlib.Path) -> list[Outcome]:
    """Slow and hostile nodes."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kc-") as short, listeners(pathlib.Path(short)) as (garbage, silent):
        return nodes_run(folder, slow_nodes(garbage, silent, pathlib.Path(short), folder), PROBE_SECONDS, NODE_LIMIT)


def odd(folder: pathlib.Path) -> list[Outcome]:
    """Nodes that lack what nodes usually have."""
    return nodes_run(folder, odd_nodes(), 40, 60)


@dataclasses.dataclass(frozen=True)
class ApiFault:
    """``breaks`` makes the server misbehave; ``expected`` is what must be not seen: subject → reason; ``kept`` must not be among it.

    With ``more`` other subjects may be missing as well.
    """

    name: str
    breaks: t.Callable[[t.Any], None]
    expected: t.Mapping[str, str]
    kept: tuple[str, ...] = ()
    more: bool = False
    limit: float = START_UP
    words: str = ""


REQUESTS = 1100
TIMEOUT = 3


def _once(
    server: t.Any, path: str, when: t.Callable[[t.Any], bool], reply: t.Callable[[], t.Any], times: int = 1
) -> None:
    """The first ``times`` requests for ``path`` that ``when`` holds for are answered by ``reply``."""
    usual = server.routes[path]
    left = [times]

    def answer(asked: t.Any) -> t.Any:
        if left[0] and when(asked):
            left[0] -= 1
            return reply()
        return usual(asked) if callable(usual) else usual

    server.routes[path] = answer


def _second_page(asked: t.Any) -> bool:
    return "continue" in asked.query


def _gone() -> t.Any:
    return harness.stand_ins.status_error(410, "The provided continue parameter is too old")


def _reset() -> t.Any:
    raise ConnectionResetError


def _dies(server: t.Any) -> None:
    def die() -> t.Any:
        server.everything = lambda _asked: _reset()
        server._server.socket.close()
        raise ConnectionResetError

    _once(server, harness.CSRS, _second_page, die)


def _busy(server: t.Any, seconds: str) -> t.Any:
    return server.reply(429, {"kind": "Status", "message": "too many requests"}, headers={"Retry-After": seconds})


def _half(server: t.Any) -> t.Any:
    return server.reply(
        200, b'{"kind": "List", "items": [{"meta', headers={"Content-Length": "5000", "Connection": "close"}
    )


def _everything(reply: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], None]:
    def breaks(server: t.Any) -> None:
        server.everything = reply(server)

    return breaks


def _reviews(server: t.Any) -> None:
    text = 'Internal error occurred: failed calling webhook "policy.example": context deadline exceeded'
    server.routes[harness.REVIEWS] = server.reply(500, {"kind": "Status", "message": text, "code": 500}, delay=0.5)


CSRS_KEY = "csr_info.csrs"
API_FAULTS = (
    ApiFault(
        "continue token expires between two pages (410)",
        lambda server: _once(server, harness.CSRS, _second_page, _gone),
        {},
        kept=(CSRS_KEY, "node_info.nodes"),
    ),
    ApiFault(
        "continue token expires again and again",
        lambda server: _once(server, harness.CSRS, _second_page, _gone, 99),
        {CSRS_KEY: "error"},
        kept=("node_info.nodes", "rbac_info.reviews", "rbac_info.roles"),
        words="HTTP 410",
    ),
    ApiFault(
        "connection reset between two pages",
        lambda server: _once(server, harness.CSRS, _second_page, _reset),
        {CSRS_KEY: "unreachable"},
        kept=("node_info.nodes", "rbac_info.reviews"),
    ),
    ApiFault(
        "API server dies between two pages",
        _dies,
        {CSRS_KEY: "unreachable", "rbac_info.reviews": "unreachable"},
        kept=("node_info.nodes", "control_plane_info.approvers"),
        more=True,
    ),
    ApiFault(
        "busy for a moment (429, Retry-After 1)",
        lambda server: _once(server, harness.CSRS, lambda _asked: True, lambda: _busy(server, "1"), 2),
        {},
        kept=(CSRS_KEY, "node_info.nodes"),
    ),
    ApiFault(
        "busy for ever (429, Retry-After 3600)",
        _everything(lambda server: _busy(server, "3600")),
        {CSRS_KEY: "error", "node_info.nodes": "error", "rbac_info.reviews": "error"},
        more=True,
        limit=START_UP + 4 * 3 * TIMEOUT,
        words="HTTP 429",
    ),
    ApiFault(
        "webhook time-outs on every review (500)",
        _reviews,
        {"rbac_info.reviews.node_create_csr": "error"},
        kept=(CSRS_KEY, "node_info.nodes", "rbac_info.roles", "rbac_info.bindings"),
        more=True,
        words="failed calling webhook",
    ),
    ApiFault(
        "answers with HTML",
        _everything(lambda server: server.reply(200, b"<html><script>alert(1)</script>Welcome</html>")),
        {CSRS_KEY: "malformed", "node_info.nodes": "malformed", "rbac_info.roles": "malformed"},
        more=True,
    ),
    ApiFault(
        "answers with half JSON",
        _everything(lambda server: server.reply(200, b'{"kind": "List", "items": [{"meta')),
        {CSRS_KEY: "malformed", "node_info.nodes": "malformed", "rbac_info.roles": "malformed"},
        more=True,
    ),
    ApiFault(
        "cuts every answer short",
        _everything(_half),
        {CSRS_KEY: "unreachable", "node_info.nodes": "unreachable", "rbac_info.roles": "unreachable"},
        more=True,
    ),
    ApiFault(
        "accepts and never answers",
        _everything(lambda server: server.reply(200, {}, delay=60)),
        {CSRS_KEY: "timeout", "node_info.nodes": "timeout", "rbac_info.reviews": "timeout"},
        more=True,
        limit=START_UP + 4 * 2 * TIMEOUT,
    ),
    ApiFault(
        "one byte of an answer a second",
        _everything(lambda server: server.reply(200, {"kind": "List", "items": []}, trickle=1)),
        {CSRS_KEY: "timeout", "node_info.nodes": "timeout", "rbac_info.roles": "timeout"},
        more=True,
        limit=START_UP + 4 * 4 * TIMEOUT,
    ),
)


def api_run(folder: pathlib.Path, fault: ApiFault) -> list[Outcome]:
    """One run, of the cluster alone."""
    with contextlib.closing(harness.api_server(["worker-1", "worker-2"], REQUESTS)) as server:
        fault.breaks(server)
        variables = {"kubelet_certs_collect_nodes": False, "kubelet_certs_request_timeout": TIMEOUT}
        hosts = {"worker-1": {"ansible_connection": "local"}}
        ran = harness.playbook(folder, hosts, server.url, fault.limit + 60, variables)
    wrong = harness.incomplete(ran)
    if not wrong:
        gaps = ran.not_seen()
        wrong += [f"{key}: {gaps.get(key)}" for key, why in fault.expected.items() if gaps.get(key, ("",))[0] != why]
        wrong += [f"{key} was lost: {gaps[key]}" for key in fault.kept if key in gaps]
        if fault.words and not any(fault.words in message for _reason, message in gaps.values()):
            wrong.append(f"nothing says {fault.words!r}: {gaps}")
        if CSRS_KEY in fault.kept:
            names = [csr["name"] for csr in ran.read("cluster/csr_info.json")["csrs"]]
            if len(names) != REQUESTS or len(set(names)) != REQUESTS:
                wrong.append(f"{len(names)} requests seen, {len(set(names))} different ones, of {REQUESTS}")
        if fault.expected and any(node["verdict"] == "healthy" for node in ran.read("diagnosis.json")["nodes"]):
            wrong.append("a node is called healthy")
    return [Outcome(f"API server: {fault.name}", fault.limit, ran.seconds, wrong)]


def an_earlier_run(folder: pathlib.Path, hosts: Data, runs: pathlib.Path) -> None:
    """A run that went well, as ``earlier`` in ``runs``."""
    with contextlib.closing(harness.api_server(hosts)) as server:
        variables = {"kubelet_certs_run_dir": str(runs / "earlier"), "kubelet_certs_request_timeout": 10}
        ran = harness.playbook(folder, hosts, server.url, 120, variables)
    if wrong := harness.incomplete(ran):
        raise AssertionError(f"the run before the fault failed: {wrong}")


def disk(folder: pathlib.Path, earlier: pathlib.Path, kibibytes: int) -> list[Outcome]:
    """The file system of the run folders fills up while evidence is written: so many KiB are left beside the earlier run."""
    hosts = {"node": harness.stand_in(folder, "node", "healthy")}
    mounted, after = folder / "runs", folder / "after"
    mounted.mkdir(parents=True)
    used = sum(4096 * (path.stat().st_size // 4096 + 1) if path.is_file() else 4096 for path in earlier.rglob("*"))
    size = (used // 1024 + 8 + kibibytes) // 4 * 4
    script = (
        f"mount -t tmpfs -o size={size}k tmpfs {mounted} && cp -r {earlier} {mounted}/earlier || exit 99; "
        f'"$@"; status=$?; df -k {mounted} | tail -n 1; cp -r {mounted} {after}; exit $status'
    )
    with contextlib.closing(harness.api_server(hosts)) as server:
        variables = {"kubelet_certs_run_dir": str(mounted / "run"), "kubelet_certs_request_timeout": 10}
        prefix = ("unshare", "--mount", "/bin/sh", "-c", script, "sh")
        ran = harness.playbook(folder, hosts, server.url, 150, variables, prefix)
    wrong = [f"the earlier run: {line}" for line in harness.damaged(after / "earlier")]
    if harness.digest(after / "earlier") != harness.digest(earlier):
        wrong.append("the earlier run was changed")
    wrong += harness.damaged(after / "run")
    if ran.status in (0, 99):
        wrong.append(f"exit status {ran.status}: {ran.output[-600:]}")
    if "No space left on device" not in ran.output or f"{mounted}/run" not in ran.output.replace("\n", ""):
        wrong.append(f"the error does not name the file: {ran.output[-1500:]}")
    if "Traceback (most recent call last)" in ran.output:
        wrong.append(f"a traceback on the console {ran.output[-1500:]}")
    kept = len(list((after / "run").rglob("*.json")))
    return [
        Outcome(
            f"disk of the control node full, {kibibytes} KiB left ({kept} files written)",
            2 * START_UP,
            ran.seconds,
            wrong,
        )
    ]


def interrupt(folder: pathlib.Path, earlier: pathlib.Path, moment: float) -> list[Outcome]:
    """Ctrl-C so many seconds after the play began to collect."""
    hosts = {name: harness.stand_in(folder, name, name) for name in ("healthy", "hang", "journal-hangs")}
    runs = folder / "runs"
    runs.mkdir(parents=True)
    subprocess.run(["cp", "-r", str(earlier), str(runs / "earlier")], check=True)
    with contextlib.closing(harness.api_server(hosts, certificate=harness.tls_files(folder))) as server:
        variables = {
            "kubelet_certs_run_dir": str(runs / "run"),
            "kubelet_certs_request_timeout": 10,
            "kubelet_certs_probe_timeout": PROBE_SECONDS,
        }
        words, environment = harness.command(folder, hosts, server.url, variables)
        environment["K8S_AUTH_KUBECONFIG"], key = harness.kubeconfig(folder, server.url)
        del environment["K8S_AUTH_HOST"]
        with (folder / "output").open("w+b") as output:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            while not server.asked and process.poll() is None:
                time.sleep(0.02)
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGINT)  # what the terminal does
            started = time.monotonic()
            wrong = []
            try:
                status = process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                status, wrong = 0, ["it did not end"]
        seconds = time.monotonic() - started
    text = (folder / "output").read_text(errors="replace")
    if not status:
        wrong.append(f"exit status {status} although it was interrupted")
    if "Traceback (most recent call last)" in text:
        wrong.append(f"a traceback on the console: {text[-1500:]}")
    if harness.digest(runs / "earlier") != harness.digest(earlier):
        wrong.append("the earlier run was changed")
    if (runs / "run").exists():
        wrong += harness.damaged(runs / "run")
    for _second in range(2 * PROBE_SECONDS + 5):  # on the node the guard ends what its time has run out for
        left = harness.left_processes(str(folder))
        if not left:
            break
        time.sleep(1)
    wrong += [f"left: {line}" for line in left]
    wrong += harness.left_files(folder)
    wrong += [f"a private key is left in {name}" for name, content in harness.digest(folder).items() if key in content]
    wrong += [f"left of a module of the control node: {path}" for path in (folder / "home/remote").glob("ansible-*/*")]
    written = len(list((runs / "run").rglob("*.json"))) if (runs / "run").exists() else 0
    return [Outcome(f"Ctrl-C after {moment:g} s ({written} files written)", 20, seconds, wrong)]


DISK_SIZES = (0, 16, 40, 60)
MOMENTS = (0.0, 0.7, 1.5, 2.4, 3.5, 5.0, 7.5)


def jobs(base: pathlib.Path, wanted: t.Sequence[str]) -> t.Iterator[tuple[str, t.Callable[[], list[Outcome]]]]:
    """What is to be run, as (name, function)."""
    if not wanted or "nodes" in wanted:
        yield "slow and hostile nodes", lambda: nodes(base / "nodes")
    if not wanted or "odd" in wanted:
        yield "odd nodes", lambda: odd(base / "odd")
    if not wanted or "api" in wanted:
        for number, fault in enumerate(API_FAULTS):
            yield fault.name, lambda number=number, fault=fault: api_run(base / f"api{number}", fault)  # type: ignore[misc]
    if not wanted or {"disk", "interrupt"} & set(wanted):
        earlier = base / "before" / "runs"
        folder = base / "before"
        an_earlier_run(folder, {"node": harness.stand_in(folder, "node", "healthy")}, earlier)
        if not wanted or "disk" in wanted:
            for size in DISK_SIZES:
                yield f"disk {size}", lambda size=size: disk(base / f"disk{size}", earlier / "earlier", size)  # type: ignore[misc]
        if not wanted or "interrupt" in wanted:
            for number, moment in enumerate(MOMENTS):
                yield (
                    f"Ctrl-C {moment}",
                    lambda number=number, moment=moment: interrupt(base / f"int{number}", earlier / "earlier", moment),  # type: ignore[misc]
                )


def attempt(name: str, function: t.Callable[[], list[Outcome]]) -> list[Outcome]:
    """The outcomes; a test that breaks is a failure of its own."""
    try:
        return function()
    except Exception:
        return [Outcome(name, 0, 0, [traceback.format_exc()])]


def main() -> int:
    """Prints a line for each fault; gives the exit status."""
    if found := harness.busybox():
        os.environ["KUBECARE_BUSYBOX"] = found
    else:
        print("Not run: busybox: this machine has none")
    began = time.monotonic()
    failed = passed = 0
    with (
        tempfile.TemporaryDirectory(prefix="kubelet-certs-running-", dir="/run") as name,
        concurrent.futures.ThreadPoolExecutor(3) as pool,
    ):
        print(f"{'fault':72} {'limit s':>7} {'took s':>7}", flush=True)
        waiting = [pool.submit(attempt, *job) for job in jobs(pathlib.Path(name), sys.argv[1:])]
        for future in concurrent.futures.as_completed(waiting):
            for outcome in future.result():
                if outcome.seconds > outcome.limit:
                    outcome.wrong.append("it took too long")
                passed, failed = passed + (not outcome.wrong), failed + bool(outcome.wrong)
                word = "FAIL" if outcome.wrong else "ok  "
                print(f"{word} {outcome.name:67} {outcome.limit:7.0f} {outcome.seconds:7.1f}", flush=True)
                for line in outcome.wrong:
                    print(f"     {line}", flush=True)
    print(f"Took {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

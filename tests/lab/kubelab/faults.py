# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults: one YAML file each in ``tests/lab/faults``, injected and healed by snippets of bash.

A file has ``description``, ``rule`` (the primary cause to be found; null: none), ``expect`` (see :class:`Expectation`), and the
snippets ``inject``, ``effect`` (succeeds once the effect is there; it is tried again until then) and ``heal``. It may have ``node`` (the one
machine it belongs on), ``kubernetes`` (the versions it can be made with, ``>=1.36``) and ``alone`` (no other fault may be in the lab
beside it, though it is one node's; by default: whether ``inject`` names what the nodes share). The snippets run in the lab's control
network with the functions of ``helpers.sh``.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import json
import pathlib
import re
import subprocess
import sys
import time
import typing as t

import yaml

from . import certificates, init, lifecycle, running, settings
from .settings import CONTROL_PLANE, Json, LabError

HELPERS = pathlib.Path(__file__).with_name("helpers.sh")
INJECT_SECONDS = 120 * settings.PATIENCE
EFFECT_SECONDS = 60 * settings.PATIENCE
#: Words of a snippet that changes more than its own node.
SHARED = re.compile(
    r"\bcp1\b|_manifest\b|\bchange_(api_server|role)\b|\bapprover \S|\blab (ca|sign|rotate-ca|api-certificate|manager-credentials)\b"
)
#: Where a fault is injected that names no machine, and the matrix does not choose either.
ANY_NODE = "node2"
HEAL_SECONDS = 180  # of patience too, see lifecycle.wait


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What the diagnosis must say of the node. An empty tuple: anything will do.

    ``others``: ``healthy`` (the fault is this node's alone) or ``affected`` (it hits the whole cluster: no other node may have
    another primary cause than this one). ``not_seen``: a reason for which the report must say that something was not seen.
    ``change``: the kind of the change before the first failure that must be ranked first. ``distribution``: what the node must be
    recognised as. ``contributing``: rules that must be found as causes beside the primary one. ``symptoms``: rules that must be found as symptoms, each
    with a rule that must be said to explain it. ``allow``: findings that a healthy case may have nevertheless.
    """

    verdicts: tuple[str, ...] = ()
    stage: str | None = None
    others: str = "healthy"
    not_seen: str | None = None
    change: str | None = None
    distribution: str | None = None
    contributing: tuple[str, ...] = ()
    symptoms: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    allow: tuple[str, ...] = ()

    @classmethod
    def load(cls, raw: t.Mapping[str, t.Any]) -> Expectation:
        """From a file's ``expect``; a single verdict may stand for the list of those that are right."""
        values = dict(raw)
        verdict = values.pop("verdict", ())
        for key in ("contributing", "allow"):
            values[key] = tuple(values.get(key) or ())
        return cls(verdicts=(verdict,) if isinstance(verdict, str) else tuple(verdict), **values)


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault, as its file says it."""

    name: str
    description: str
    rule: str | None
    node: str
    expect: Expectation
    inject: str
    effect: str
    heal: str
    alone: bool = False
    kubernetes: str = ""

    @classmethod
    def load(cls, path: pathlib.Path) -> Fault:
        raw = yaml.safe_load(path.read_text())
        unknown = set(raw) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise LabError(f"{path.name}: unknown keys {sorted(unknown)}.")
        return cls(
            name=path.stem,
            description=raw["description"],
            rule=raw["rule"],
            node=raw.get("node", ANY_NODE),
            expect=Expectation.load(raw.get("expect") or {}),
            inject=raw.get("inject") or "",
            effect=raw.get("effect") or "",
            heal=raw.get("heal") or "",
            alone=raw.get("alone", bool(SHARED.search(raw.get("inject") or ""))),
            kubernetes=raw.get("kubernetes", ""),
        )


def load_all() -> dict[str, Fault]:
    return {path.stem: Fault.load(path) for path in sorted(settings.FAULTS.glob("*.yml"))}


def get(name: str) -> Fault:
    path = settings.FAULTS / f"{name}.yml"
    if not path.is_file():
        raise LabError(f"There is no fault {name}: `lab.py faults` lists them.")
    return Fault.load(path)


def injected(state: pathlib.Path) -> dict[str, Json]:
    """What is injected, by fault: ``node`` and ``time``."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((state / "injected").glob("*.json"))}


def inject(state: pathlib.Path, fault: Fault, node: str | None = None, effect: str | None = None) -> None:
    """Inject a fault and wait until its effect is there, or another one that is given instead."""
    node = node or fault.node
    effect = fault.effect if effect is None else effect
    mark = state / "injected" / f"{fault.name}.json"
    mark.parent.mkdir(exist_ok=True)
    moment = datetime.datetime.now(datetime.timezone.utc).strftime("%FT%TZ")
    mark.write_text(json.dumps({"node": node, "time": moment}))
    _snippet(state, fault.inject, fault, node, INJECT_SECONDS, "inject")
    deadline = time.monotonic() + EFFECT_SECONDS
    while (problem := _try(state, effect, fault, node)) is not None:
        if time.monotonic() > deadline:
            raise LabError(f"{fault.name}: its effect was not seen on {node} within {EFFECT_SECONDS:.0f} s. {problem}")
        time.sleep(0.3)


def heal(state: pathlib.Path, *which: Fault) -> None:
    """Undo faults, make their nodes as they were when they joined, and wait until the whole cluster is well."""
    marks = [state / "injected" / f"{fault.name}.json" for fault in which]
    nodes: dict[str, list[Fault]] = {}
    for fault, mark in zip(which, marks, strict=True):
        nodes.setdefault(json.loads(mark.read_text())["node"] if mark.exists() else fault.node, []).append(fault)

    def undo(node: str) -> None:
        for fault in reversed(nodes[node]):
            _snippet(state, fault.heal, fault, node, HEAL_SECONDS * settings.PATIENCE, "heal")

    _on_each(undo, nodes)
    recover(state, list(nodes))
    for mark in marks:
        mark.unlink(missing_ok=True)


def _on_each(act: t.Callable[[str], t.Any], names: t.Iterable[str]) -> None:
    """Do something for several machines at once; what one of them raises is raised once all are done."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(act, names))


def recover(state: pathlib.Path, nodes: list[str]) -> None:
    """What healing has in common: requests, certificates, kubelets, then the journals and events of the time before."""
    plan = init.Plan.load(state)
    names = [machine.name for machine in plan.machines]

    def cluster_is_restored() -> bool:
        return running.kubectl(state, "apply", "-f", str(state / "cluster.yml"), check=False).returncode == 0

    lifecycle.wait("the API server", cluster_is_restored, 60, state)

    def renew(node: str) -> None:
        running.on(state, node, "systemctl", "stop", "kubelet")
        certificates.renew(state, node)

    _on_each(renew, nodes)
    unfinished = [
        request["metadata"]["name"]
        for request in lifecycle.objects(state, "csr")
        if not request["status"].get("certificate")
    ]
    if unfinished:
        running.kubectl(state, "delete", "csr", "--ignore-not-found", "--wait=false", *unfinished)
    _on_each(lambda node: certificates.restart_kubelet(state, node), nodes)
    started = time.time()

    def healthy() -> bool:
        return (
            not lifecycle.nodes_not_ready(state, names)
            and all(_heartbeat(state, node) >= int(started) for node in nodes)
            and controller_manager_leads(state)
            and not lifecycle.without_serving_certificate(state, names)
            and not [r for r in lifecycle.objects(state, "csr") if not r["status"].get("certificate")]
        )

    lifecycle.wait("the cluster to be healthy again", healthy, HEAL_SECONDS, state)
    forget = "journalctl -q --rotate && journalctl -q --vacuum-size=1"
    _on_each(lambda name: running.on(state, name, "sh", "-c", forget, check=False), names)
    running.kubectl(state, "delete", "events", "--all", "--namespace=default")


def _heartbeat(state: pathlib.Path, node: str) -> float:
    """When the kubelet of a node last said it was there, in seconds since the epoch; 0 when that is not known."""
    path = ["lease", node, "--namespace=kube-node-lease", "-o", "jsonpath={.spec.renewTime}"]
    return _epoch(running.kubectl(state, "get", *path, check=False).stdout)


def controller_manager_leads(state: pathlib.Path) -> bool:
    """Whether the controller manager that runs holds the lease: renewed since it started, and just now."""
    script = "pid=$(pidof kube-controller-manager) && stat --format=%Y /proc/$pid || echo"
    started = running.on(state, CONTROL_PLANE, "sh", "-c", script, check=False).strip()
    path = ["lease", "kube-controller-manager", "--namespace=kube-system", "-o", "jsonpath={.spec.renewTime}"]
    renewed = _epoch(running.kubectl(state, "get", *path, check=False).stdout)
    return started.isdigit() and renewed > int(started) + 1 and time.time() - renewed < 5


def _epoch(text: str) -> float:
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0


def _command(state: pathlib.Path, script: str) -> list[str]:
    text = f"set -euo pipefail\n. {HELPERS}\n{script}"
    return running.enter_network(running.require_init(state), ["bash", "-c", text])


def _environment(state: pathlib.Path, fault: Fault, node: str) -> dict[str, str]:
    plan = init.Plan.load(state)
    addresses = {machine.name: machine.address for machine in plan.machines}
    if node not in addresses:
        raise LabError(f"There is no machine {node} in this lab.")
    return {
        **running.environment(state),
        "FAULT": fault.name,
        "NODE": node,
        "NODE_ADDRESS": addresses[node],
        "CP_ADDRESS": addresses[CONTROL_PLANE],
        "LAB_STATE": str(state),
        "LAB_INIT": str(running.require_init(state)),
        "LAB_PYTHON": sys.executable,
        "LAB_ENTRY_POINT": str(settings.ENTRY_POINT),
        **{f"LAB_LEADER_{name}": str(pid) for name, pid in running.leaders(running.require_init(state)).items()},
    }


def _snippet(state: pathlib.Path, script: str, fault: Fault, node: str, limit: float, what: str) -> None:
    if not script.strip():
        return
    try:
        done = subprocess.run(
            _command(state, script),
            env=_environment(state, fault, node),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{fault.name}: {what} did not end within {limit:.0f} s.") from error
    if done.returncode:
        raise LabError(f"{fault.name}: {what} failed on {node}: {(done.stderr or done.stdout).strip()[-500:]}")


def _try(state: pathlib.Path, script: str, fault: Fault, node: str) -> str | None:
    """Try an effect once. Returns None when it is there, else why not."""
    try:
        _snippet(state, script, fault, node, 20, "effect")
    except LabError as error:
        return str(error)
    return None


def summary(faults: t.Iterable[Fault]) -> str:
    return "\n".join(f"{fault.name:40} {fault.description}" for fault in faults)

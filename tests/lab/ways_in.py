# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same faults diagnosed by every way into a node: what SSH as root finds, the others find too, or say what they could not see.

As the shipped identity ``audit``, as the lab always does, with the shipped manifests of the two ways through the API; the lab has no
scheduler, so the DaemonSet's pods are bound to their nodes here, and their image is the lab's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
import shlex
import sys
import tempfile
import typing as t

import node_permissions
import yaml
from kubelab import certificates, diagnose, faults, identities, init, lifecycle, running, settings
from kubelab.settings import Json

FAULTS = {"rotation-disabled": "node1", "updated-link-stuck": "node2"}
"""On node3 and cp1 there is nothing wrong."""
MOUNTED = {"pki-file-system-read-only": "node1", "unit-forbids-writing": "node2", "pki-immutable": "node3"}
"""What a pod, to which all of the node is read-only, might take for what it is not; made after the pods have started."""
LOGGED = ("node1", "node2")
"""Their kubelets answer the log query (enableSystemLogQuery); that of node3, as is usual, does not."""
LOG_QUERY = ("enableSystemLogQuery: true", "featureGates:", "  NodeLogQuery: true")
"""The gate is on by default since Kubernetes 1.36."""
NAMESPACE = "kubelet-certs-probe"
JUMP, BEHIND = "node1", "node2"

VOLATILE = (
    "collected_at",
    "clock.",
    "log.",
    "way",
    "tried",
    "network.server_certificates",
    "kubelet.unit.restarts",
    "pki.filesystem.free_bytes",
    "pki.filesystem.inodes_free",
)
"""Parts of the evidence that a second look finds different, whatever the way; the log's are compared by their categories."""
DATED = re.compile(r"^pki\.(files\[.*/kubelet-(client|server)-\d{4}-|files_dropped|history\.)|\.target$")
"""Files that a kubelet leaves behind whenever it tries again."""
ONLY_API = {
    "root",
    "kubelet",
    "kubeconfig",
    "bootstrap_kubeconfig",
    "pki",
    "client_ca_file",
    "denials",
    "control_plane",
    "network",
}
"""What the API alone does not show; docs/ways-in.md lists it."""
OF_INVENTORY = "inventory_node"
"""Null as the lab's inventory names no Node, whatever the way."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What one run saw and said: node → evidence, node → diagnosis."""

    evidence: dict[str, Json]
    nodes: dict[str, Json]

    def verdicts(self, names: t.Iterable[str]) -> dict[str, tuple[str, str | None, str | None]]:
        """Node → (verdict, primary cause, first broken stage)."""
        return {
            name: (node["verdict"], (node["primary"] or {}).get("rule"), node["first_broken_stage"])
            for name in names
            if (node := self.nodes[name])
        }

    def findings(self, name: str) -> set[tuple[str, str]]:
        """(rule, role) of all findings on a node."""
        return {(finding["rule"], finding["role"]) for finding in self.nodes[name]["findings"]}


def look(state: pathlib.Path, inventory: Json | None = None, **variables: t.Any) -> Seen:
    """Diagnoses the lab; ``inventory`` is laid over the lab's own."""
    with tempfile.TemporaryDirectory(prefix="kubecare-lab-") as folder:
        run_dir, more = pathlib.Path(folder) / "run", []
        if inventory:
            path = pathlib.Path(folder) / "more.yml"
            path.write_text(yaml.safe_dump({"all": {"hosts": inventory}}))
            more = ["--inventory", str(path)]
        done = diagnose.run(state, run_dir, *more, "--extra-vars", json.dumps(variables))
        if done.returncode or not (run_dir / "report.html").is_file():
            raise AssertionError(f"the run did not finish with a report:\n{done.stdout[-3000:]}")
        diagnosis = json.loads((run_dir / "diagnosis.json").read_text())
        evidence = {path.stem: json.loads(path.read_text()) for path in (run_dir / "nodes").glob("*.json")}
        return Seen(evidence, {node["name"]: node for node in diagnosis["nodes"]})


def flat(value: t.Any, path: str = "") -> t.Iterator[tuple[str, t.Any]]:
    """(dotted path, leaf) of evidence; lists by their index, files by their path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            name = item.get("path", index) if isinstance(item, dict) else index
            yield from flat(item, f"{path}[{name}]")
    else:
        yield path, value


def differences(one: Json, other: Json) -> dict[str, tuple[t.Any, t.Any]]:
    """Path → both values, of what differs and is not volatile."""
    first, second = dict(flat(one)), dict(flat(other))
    found = {}
    for path in sorted({*first, *second}):
        if not path.startswith(VOLATILE) and not DATED.search(path) and first.get(path) != second.get(path):
            found[path] = (first.get(path), second.get(path))
    for name, evidence in (("log categories", (one, other)),):
        known = [set((seen["log"] or {}).get("counts") or ()) for seen in evidence]
        if known[0] != known[1]:
            found[name] = (sorted(known[0] - known[1]), sorted(known[1] - known[0]))
    return found


@contextlib.contextmanager
def applied(state: pathlib.Path, *names: str) -> t.Iterator[None]:
    """With these shipped manifests, and every probe pod ready; all of it is gone afterwards."""
    text = yaml.safe_dump_all(identities.documents(*names)).replace("busybox:1.37", settings.IMAGE)
    machines = [machine.name for machine in init.Plan.load(state).machines]
    try:
        running.kubectl(state, "apply", "--filename=-", stdin=text)
        lifecycle.wait("the probe pods", lambda: bind(state, machines), 90, state)
        yield
    finally:
        limit = f"--timeout={90 * settings.PATIENCE:.0f}s"
        running.kubectl(state, "delete", "--ignore-not-found", limit, "--filename=-", stdin=text)


def pods(state: pathlib.Path) -> dict[str, Json]:
    """Node → its probe pod, also where it is not bound yet."""
    found = {}
    for pod in lifecycle.objects(state, "pods", f"--namespace={NAMESPACE}"):
        terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        if not pod["metadata"].get("deletionTimestamp"):
            found[terms[0]["matchFields"][0]["values"][0]] = pod
    return found


def bind(state: pathlib.Path, names: t.Iterable[str]) -> bool:
    """Plays the scheduler. Whether every pod is ready."""
    present = pods(state)
    for node, pod in present.items():
        if not pod["spec"].get("nodeName"):
            name = pod["metadata"]["name"]
            target = {"apiVersion": "v1", "kind": "Node", "name": node}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/binding"
            running.kubectl(state, "create", "--raw", path, "--filename=-", stdin=json.dumps(binding), check=False)
    ready = {
        node
        for node, pod in present.items()
        for condition in pod["status"].get("conditions", ())
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    return set(names) <= ready


class Check:
    """Prints a line for each comparison and counts them."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def say(self, good: bool, what: str) -> None:
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)

    def same(self, way: str, seen: Seen, before: Seen, after: Seen, names: t.Iterable[str]) -> None:
        """Same verdict, cause and stage; of findings and evidence, all that SSH as root sees alike before and after: faults go on."""
        for name in names:
            found, wanted = seen.verdicts([name])[name], before.verdicts([name])[name]
            self.say(found == wanted, f"{way}: {name} is {found}, by ssh as root {wanted}")
            lasting = before.findings(name) & after.findings(name)
            known = before.findings(name) | after.findings(name)
            apart = (lasting - seen.findings(name)) | (seen.findings(name) - known)
            self.say(not apart, f"{way}: {name} has the same {len(seen.findings(name))} findings {apart or ''}")
            moving = differences(before.evidence[name], after.evidence[name])
            other = {
                path: values
                for path, values in differences(before.evidence[name], seen.evidence[name]).items()
                if path not in moving
            }
            count = len(dict(flat(seen.evidence[name])))
            self.say(
                not other,
                f"{way}: {name}'s evidence of {count} values is the same, but for {len(moving)} that move {other or ''}",
            )


def check(state: pathlib.Path, tell: Check) -> None:
    """Compares every way with SSH as root."""
    names = [machine.name for machine in init.Plan.load(state).machines]
    addresses = {machine.name: machine.address for machine in init.Plan.load(state).machines}
    reference = look(state)
    for fault, node in FAULTS.items():
        tell.say(
            reference.verdicts([node])[node][1] == fault, f"ssh as root: {node} is {reference.verdicts([node])[node]}"
        )
    tell.say(all(e["way"] == "ssh" for e in reference.evidence.values()), "ssh as root: the evidence names its way")

    with node_permissions.Machines(state):
        plain = look(state, kubelet_certs_hosts=BEHIND, ansible_user="lab-plain", kubelet_certs_become=False)
        found, wanted = plain.verdicts([BEHIND])[BEHIND], reference.verdicts([BEHIND])[BEHIND]
        hidden = plain.evidence[BEHIND]["not_seen"]
        tell.say(
            found[1] in (None, wanted[1])
            and found[0] in ("unknown", "at_risk")
            and {entry["reason"] for entry in hidden} == {"not_permitted"},
            f"ssh without become: {BEHIND} is {found}; {len(hidden)} things are not permitted",
        )
        become = look(state, kubelet_certs_hosts=BEHIND, ansible_user="kubelet-certs")
        tell.same("ssh with become", become, reference, look(state), [BEHIND])

    key = state / "id_ed25519"
    hop = f"ssh {lifecycle.SSH_ARGUMENTS} -i {key} -W %h:%p root@{addresses[JUMP]}"
    arguments = {"ansible_ssh_common_args": f"{lifecycle.SSH_ARGUMENTS} -o ProxyCommand='{hop}'"}
    reference = look(state)
    jumped = look(state, {BEHIND: arguments}, kubelet_certs_hosts=BEHIND)
    accepted = running.on(state, BEHIND, "journalctl", "--quiet", "--no-pager", "--identifier=sshd", "--lines=50")
    tell.say(f"from {addresses[JUMP]} " in accepted, f"jump host: {BEHIND}'s sshd saw {JUMP} come")
    tell.same("jump host", jumped, reference, look(state), [BEHIND])

    for way in ("api", "pod"):
        why = look(state, kubelet_certs_way=way, kubelet_certs_hosts=BEHIND).evidence[BEHIND]["not_seen"]
        tell.say(why[0]["reason"] == "forbidden", f"{way}, audit.yml alone: {why}")

    with applied(state, "api-only", "probe-daemonset"):
        reference = look(state)
        by_pod = look(state, kubelet_certs_way="pod")
        tell.say(all(e["way"] == "pod" for e in by_pod.evidence.values()), "pod: the evidence names its way")
        reference, before = look(state), reference
        tell.same("pod", by_pod, before, reference, names)
        by_api = look(state, kubelet_certs_way="api")
        for name in names:
            seen, wanted = by_api.verdicts([name])[name], reference.verdicts([name])[name]
            told = {entry["subject"].partition(".")[0]: entry["reason"] for entry in by_api.evidence[name]["not_seen"]}
            null = {key for key, value in by_api.evidence[name].items() if value is None} - {OF_INVENTORY}
            skipped = {entry["rule"] for entry in by_api.nodes[name]["skipped"]}
            tell.say(
                seen[1] == wanted[1] or wanted[1] in skipped,
                f"api: {name} is {seen}, by ssh {wanted}, which was {'not ' if wanted[1] in skipped else ''}judged",
            )
            tell.say(
                seen[0] != "healthy" or wanted[0] == "healthy",
                f"api: {name} is not called healthy for want of evidence",
            )
            good = ONLY_API <= null <= set(told)
            unsaid = "" if good else f", but not {sorted(null - set(told))}; seen: {sorted(ONLY_API - null)}"
            tell.say(good, f"api: {name}: what is null is said: {told}{unsaid}")
            logged = by_api.evidence[name]["log"]
            tell.say(
                (logged is not None) == (name in LOGGED),
                f"api: {name}'s log: {told.get('log') or sorted(logged['counts'])}",
            )

        worker = pods(state)["node3"]["metadata"]["name"]
        running.kubectl(state, "delete", "pod", worker, f"--namespace={NAMESPACE}", "--now")
        closed = {name: {"ansible_port": 1} for name in ("node1", "node3")}
        chosen = look(state, closed, kubelet_certs_way="auto")
        ways = {name: evidence["way"] for name, evidence in chosen.evidence.items()}
        expected = {"cp1": "ssh", "node1": "pod", "node2": "ssh", "node3": "api"}
        tell.say(ways == expected, f"auto: {ways}, after {chosen.nodes['node3']['tried']}")
        tell.same("auto", chosen, reference, look(state), ["cp1", "node1", "node2"])


def check_mounts(state: pathlib.Path, tell: Check) -> None:
    """Compares the pod's view with SSH as root's where the node, the kubelet's view of it or the folder cannot be written to."""
    with applied(state, "probe-daemonset"), injected(state, MOUNTED):
        before, by_pod, after = look(state), look(state, kubelet_certs_way="pod"), look(state)
        for fault, node in MOUNTED.items():
            found = before.verdicts([node])[node]
            tell.say(found[1] == fault, f"ssh as root: {node} is {found}")
        tell.same("pod", by_pod, before, after, MOUNTED.values())


@contextlib.contextmanager
def injected(state: pathlib.Path, placed: dict[str, str]) -> t.Iterator[None]:
    """With these faults on their nodes; healed afterwards, also what was injected before one that failed."""
    try:
        for fault, node in placed.items():
            faults.inject(state, faults.get(fault), node)
        yield
    finally:
        faults.heal(state, *map(faults.get, placed))


def main() -> int:
    """Gives the exit status."""
    tell = Check()
    with lifecycle.lab() as state:
        for name in LOGGED:
            lines = " ".join(map(shlex.quote, LOG_QUERY))
            running.on(state, name, "sh", "-c", f"printf '%s\\n' {lines} >> /var/lib/kubelet/config.yaml")
            certificates.restart_kubelet(state, name)
        with injected(state, FAULTS):
            check(state, tell)
        check_mounts(state, tell)
    print(f"{tell.passed} passed, {tell.failed} failed")
    return 1 if tell.failed else 0


if __name__ == "__main__":
    sys.exit(main())

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of the lab over SSH by logins that are not root, with a fault on each worker.

One run asks every machine as root and by each login, all at the same moment; what each saw is then judged apart. With the sudoers entry of
``docs/permissions.md`` a login sees and concludes what root does. Without root what is not seen is ``not_permitted``, no cause is named that
root does not find, and the report says so in words. Where ``sudo`` refuses, the node is not seen and the run goes on.
Then ``node_repair`` by some of the logins: it mends a node through that sudoers entry, and does nothing without.
"""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import re
import shlex
import sys
import tempfile
import typing as t

import yaml
from kubelab import diagnose, faults, init, leaks, lifecycle, running, settings
from kubelab.settings import Json

DOCUMENT = settings.REPOSITORY / "docs/permissions.md"
SUDOERS = "/etc/sudoers.d/kubelet-certs"

PLACED = {
    "node1": "rotation-disabled",
    "node2": "updated-link-stuck",
    "node3": "client-certificate-expired-no-bootstrap",
}
"""Worker → the fault injected on it. On cp1 nothing is wrong."""

HIDDEN = {
    "denials",
    "kubeconfig.user",
    "log",
    "network",
    "pki.files.*.certificates",
    "pki.writable",
}
"""What only root sees on a machine laid out as kubeadm lays it out; docs/permissions.md lists it."""

HIDDEN_OF_CONTROL_PLANE = {
    "control_plane.manager_log",
    "control_plane.manifests.kube-apiserver.flags",
    "control_plane.manifests.kube-controller-manager.flags",
}


class Login(t.NamedTuple):
    """A login: its groups, its line of sudoers (None: none), whether it is to become root, and the one machine that it is tried on."""

    groups: str = ""
    sudoers: str | None = None
    become: bool = True
    machine: str | None = None


def documented() -> str:
    """The sudoers entry of the documentation, for the login ``kubelet-certs``."""
    found = re.search(r"(?m)^# /etc/sudoers\.d/kubelet-certs\n((?:.+\n)+?)```", DOCUMENT.read_text())
    assert found, "docs/permissions.md has no sudoers entry"
    return found[1].strip()


LOGINS = {
    "kubelet-certs": Login(sudoers=documented()),
    "lab-plain": Login(become=False),
    "lab-journal": Login(groups="systemd-journal", become=False),
    "lab-refused": Login(machine="node1"),
    "lab-password": Login(sudoers="lab-password ALL=(root) /bin/sh", machine="node2"),
    "lab-adm": Login(groups="adm", become=False, machine="node3"),
}

VIEWS = {
    **{name: (name,) for name in ("root", "kubelet-certs", "lab-plain", "lab-journal")},
    "the others": ("lab-refused", "lab-password", "lab-adm"),
}
"""Whose evidence is judged together: no machine is in one of them twice."""

REPAIR = """
- hosts: node1_lab-plain:node1_lab-refused
  gather_facts: false
  tasks:
    - &repair
      name: Switch rotation on
      kubecare.kubelet_certs.node_repair:
        act: enable_rotation
        parameters: {kubelet_config: /var/lib/kubelet/config.yaml}
      become: "{{ kubelet_certs_become }}"
      register: done
      ignore_errors: true
    - ansible.builtin.assert:
        that:
          - done is failed
          - done.msg is search('only root can repair this|sudo')
- hosts: node1_kubelet-certs
  gather_facts: false
  tasks:
    - *repair
    - ansible.builtin.assert: {that: [done.status == 'done', done is changed]}
    - *repair
    - ansible.builtin.assert: {that: [done.status == 'nothing_to_do', done is not changed]}
"""


class Machines:
    """The machines of a lab with the logins on them. A context manager: they are gone afterwards."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.addresses = {machine.name: machine.address for machine in init.Plan.load(state).machines}

    def __enter__(self) -> Machines:
        self._clear()
        lines = ["set -e"]
        for name, login in LOGINS.items():
            home = f"/home/{name}/.ssh"
            lines += [
                f"useradd --create-home --shell /bin/sh {name}",
                f"mkdir {home}",
                f"cp ~root/.ssh/authorized_keys {home}",
            ]
            lines += [
                f"chown -R {name}: {home}",
                *([f"usermod --append --groups {login.groups} {name}"] if login.groups else []),
            ]
        entries = "\n".join(login.sudoers for login in LOGINS.values() if login.sudoers)
        lines += [f"printf '%s\\n' {shlex.quote(entries)} > {SUDOERS}", f"chmod 440 {SUDOERS}", "visudo -c > /dev/null"]
        self._on_each("\n".join(lines))
        return self

    def __exit__(self, *_error: object) -> None:
        self._clear()

    def _clear(self) -> None:
        gone = "; ".join(f"userdel --force --remove {name}" for name in LOGINS)
        self._on_each(f"{gone}; rm -f {SUDOERS}", check=False)

    def _on_each(self, script: str, check: bool = True) -> None:
        for machine in self.addresses:
            running.on(self.state, machine, "sh", "-c", script, check=check)

    def inventory(self, folder: pathlib.Path) -> str:
        """The path of an inventory whose group ``asked`` has every machine as root and by each login: ``node2_lab-plain``."""
        hosts: dict[str, Json] = {f"{name}_root": {"ansible_host": address} for name, address in self.addresses.items()}
        for login, options in LOGINS.items():
            for name in [options.machine] if options.machine else self.addresses:
                own = {"ansible_user": login, "kubelet_certs_become": options.become}
                hosts[f"{name}_{login}"] = {"ansible_host": self.addresses[name], **own}
        path = folder / "logins.yml"
        connection = yaml.safe_load((self.state / "inventory.yml").read_text())["all"]["vars"]
        path.write_text(yaml.safe_dump({"asked": {"hosts": hosts, "vars": connection}}))
        return str(path)


class Seen(t.NamedTuple):
    """What was seen in one of VIEWS: machine → evidence, node → diagnosis, and what the report printed."""

    evidence: dict[str, Json]
    nodes: dict[str, Json]
    printed: str
    page: str

    def hidden(self, machine: str) -> dict[str, set[str]]:
        """Reason → what was not seen for it; the files of the certificates are one."""
        found: dict[str, set[str]] = {}
        for entry in self.evidence[machine]["not_seen"]:
            subject = re.sub(r"^pki\.files\..*\.certificates$", "pki.files.*.certificates", entry["subject"])
            found.setdefault(entry["reason"], set()).add(subject)
        return found

    def conclusions(self, machine: str) -> Json:
        """All that is concluded of a node, without when."""
        node = self.nodes[machine]
        kept = {key: node[key] for key in ("verdict", "summary", "first_broken_stage", "missing", "skipped")}
        findings = [
            {key: f[key] for key in ("rule", "severity", "role", "explained_by", "fix")} for f in node["findings"]
        ]
        return {**kept, "findings": findings, "stages": [(stage["stage"], stage["state"]) for stage in node["stages"]]}

    def causes(self, machine: str) -> set[str]:
        return {finding["rule"] for finding in self.nodes[machine]["findings"] if finding["role"] != "symptom"}


def look(machines: Machines, folder: pathlib.Path) -> tuple[dict[str, Seen], list[str]]:
    """``(view → what was seen, problems)``: one run over all, then the evidence of each of VIEWS judged apart."""
    state, problems = machines.state, []
    together = folder / "together"
    secrets = leaks.collect(state)
    options = [
        "--inventory",
        machines.inventory(folder),
        "--forks",
        "32",
        "-v",
        "--extra-vars",
        "kubelet_certs_hosts=asked",
    ]
    done = diagnose.run(state, together, *options)
    if done.returncode or not (together / "report.html").is_file():
        raise AssertionError(f"the run did not finish with a report:\n{done.stdout[-3000:]}")
    problems += leaks.find(secrets | leaks.collect(state), done.stdout, together)

    def judge(view: str) -> Seen:
        apart = folder / view.replace(" ", "-")
        (apart / "nodes").mkdir(parents=True)
        (apart / "cluster").symlink_to(together / "cluster")
        (apart / "manifest.json").write_text((together / "manifest.json").read_text())
        evidence = {}
        for path in (together / "nodes").glob("*_*.json"):
            machine, _separator, login = path.stem.partition("_")
            if login not in VIEWS[view]:
                continue
            evidence[machine] = {**json.loads(path.read_text()), "inventory_hostname": machine}
            (apart / "nodes" / f"{machine}.json").write_text(json.dumps(evidence[machine]))
        said = diagnose.run(state, apart, playbook="kubecare.kubelet_certs.rediagnose").stdout
        nodes = json.loads((apart / "diagnosis.json").read_text())["nodes"]
        page = (apart / "report.html").read_text()
        return Seen(evidence, {node["name"]: node for node in nodes}, said, page)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(VIEWS, pool.map(judge, VIEWS), strict=True)), problems


def told(found: dict[str, set[str]]) -> str:
    """The gaps on one line."""
    return "; ".join(f"{reason}: {', '.join(sorted(what))}" for reason, what in found.items()) or "everything is seen"


def check(state: pathlib.Path) -> int:
    """Runs the cases and prints a line for each; gives the exit status."""
    passed = failed = 0

    def say(good: bool, what: str) -> None:
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)

    with Machines(state) as machines, tempfile.TemporaryDirectory(prefix="kubecare-lab-") as name:
        folder = pathlib.Path(name)
        seen, problems = look(machines, folder)
        say(not problems, f"no key and no token was told: {problems or 'none'}")
        for machine in machines.addresses:
            _with_sudo(seen, machine, say)
            for login, wanted in (("lab-plain", HIDDEN), ("lab-journal", HIDDEN - {"log"})):
                _without_root(seen, login, machine, wanted, say)
        others = seen["the others"]
        found = others.hidden("node3")
        say(found == seen["lab-journal"].hidden("node3"), f"group adm sees what systemd-journal does: {told(found)}")
        for login, machine in (("lab-refused", "node1"), ("lab-password", "node2")):
            found, verdict = others.hidden(machine), others.nodes[machine]["verdict"]
            good = found == {"not_permitted": {"node"}} and verdict == "unknown"
            say(good, f"{login}: {told(found)}, {others.evidence[machine]['not_seen'][0]['message']}")
        for view in ("lab-plain", "the others"):
            good = all("Diagnose again with become" in text for text in (seen[view].printed, seen[view].page))
            say(good, f"{view}: console and page say what to do")
        _repair(machines, folder, say)
        commands = running.on(state, "node1", "journalctl", "--quiet", "--identifier=sudo", "--output=cat")
        run = set(re.findall(r"COMMAND=(.*)", commands))
        good = bool(run) and all(
            re.fullmatch(r"/bin/sh -c '?echo BECOME-SUCCESS-\w+ ; /bin/sh'?", line) for line in run
        )
        say(good, f"sudo ran nothing but /bin/sh, {len(run)} times: {min(run, default='')}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


Say = t.Callable[[bool, str], None]


def _with_sudo(seen: dict[str, Seen], machine: str, say: Say) -> None:
    root, sudo = seen["root"], seen["kubelet-certs"]
    good = sudo.evidence[machine]["root"] is True and not sudo.hidden(machine)
    same = sudo.conclusions(machine) == root.conclusions(machine)
    cause = (sudo.nodes[machine]["primary"] or {}).get("rule")
    say(
        good and same and cause == PLACED.get(machine),
        f"sudo on {machine}: {told(sudo.hidden(machine))}, as root: {cause or 'healthy'}",
    )


def _without_root(seen: dict[str, Seen], login: str, machine: str, wanted: set[str], say: Say) -> None:
    found, node = seen[login].hidden(machine), seen[login].nodes[machine]
    wanted = wanted | (HIDDEN_OF_CONTROL_PLANE if machine == settings.CONTROL_PLANE else set())
    missing = found.get("not_permitted", set())
    good = set(found) == {"not_permitted"} and missing == wanted and seen[login].evidence[machine]["root"] is False
    say(good, f"{login} on {machine}: {told(found)}{'' if good else f', differs in {sorted(missing ^ wanted)}'}")
    known = {finding["rule"] for finding in seen["root"].nodes[machine]["findings"]}
    good = seen[login].causes(machine) <= known and node["verdict"] != "healthy"
    named = ", ".join(sorted(seen[login].causes(machine))) or "no cause"
    say(good, f"{login} on {machine}: {node['verdict']}, {named}; root finds {', '.join(sorted(known)) or 'nothing'}")


def _repair(machines: Machines, folder: pathlib.Path, say: Say) -> None:
    playbook = folder / "repair.yml"
    playbook.write_text(REPAIR)
    done = diagnose.run(
        machines.state, folder / "repair", "--inventory", machines.inventory(folder), playbook=str(playbook)
    )
    say(done.returncode == 0, "node_repair switches rotation on through sudo, once, and refuses without root")
    if done.returncode:
        print(done.stdout[-3000:])
    text = running.on(machines.state, "node1", "cat", "/var/lib/kubelet/config.yaml")
    say("rotateCertificates: true" in text, "the configuration of node1 is mended")


def main() -> int:
    """Gives the exit status. A lab that ran before is healed afterwards."""
    was_there = running.find_init(settings.state_root()) is not None
    with lifecycle.lab() as state:
        chosen = [(faults.get(fault), machine) for machine, fault in PLACED.items()]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda each: faults.inject(state, *each), chosen))
        status = check(state)
        if was_there:
            faults.heal(state, *(fault for fault, _machine in chosen))
        return status


if __name__ == "__main__":
    sys.exit(main())

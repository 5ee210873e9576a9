# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting, describing and ending a lab."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import secrets
import string
import subprocess
import sys
import time
import typing as t

import yaml

from . import build, identities, init, layout, pki, running, settings
from .settings import CONTROL_PLANE, Json, LabError, Machine, say

UNSHARE = "unshare --fork --kill-child --pid --mount-proc --mount --propagation=private --net --ipc".split()
SSH_ARGUMENTS = "-F /dev/null -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"


@contextlib.contextmanager
def exclusive(state: pathlib.Path) -> t.Iterator[None]:
    """Hold the lab's start and end for this process; the lock is on the folder above, so that nothing is left behind."""
    state.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def up(workers: int, signing_duration: str, state: pathlib.Path, version: str) -> None:
    """Start a lab; when one runs already and is whole, say so; remove what a crashed one left first."""
    build.check_host()
    if not build.is_built(version):
        build.build(version)
    start = time.monotonic()
    with exclusive(state):
        if running.find_init(state) is not None and (state / "ready").exists():
            say("the lab is up already (`lab.py down` ends it)")
            return
        if running.remove(state):
            say("removed what was left of an earlier lab")
        try:
            _start(state, version, settings.machines(workers), signing_duration, start)
        except BaseException:
            if not os.environ.get("KUBECARE_LAB_KEEP"):
                running.remove(state)
            raise


def down(state: pathlib.Path) -> None:
    """End the lab and remove everything of it."""
    build.check_host()
    with exclusive(state):
        say("the lab is gone" if running.remove(state) else "there is no lab")


def _start(state: pathlib.Path, version: str, machines: list[Machine], signing_duration: str, start: float) -> None:
    def report(what: str) -> None:
        say(f"{time.monotonic() - start:5.1f} s  {what}")

    token = _write_state(state, version, machines, signing_duration)
    report("keys, certificates and files are made")
    with (state / "init.log").open("ab") as log:
        subprocess.Popen(
            [*UNSHARE, sys.executable, str(settings.ENTRY_POINT), "_init", str(state)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    wait("the lab's first process", (state / "started").exists, 20, state)
    (state / "network").write_text(running.namespace(running.require_init(state), "net") or "")
    names = {machine.name for machine in machines}
    wait("the machines", lambda: set(running.leaders(running.require_init(state))) == names, 20, state)
    report("the machines boot")

    def api_answers() -> bool:
        return running.kubectl(state, "get", "--raw", "/readyz", check=False, config="super-admin.conf").returncode == 0

    wait("the API server", api_answers, 90, state)
    report("the API server answers")
    expiration = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).strftime("%FT%TZ")
    initial = layout.cluster_objects(pki.Authority.load(state / "pki"), token, expiration)
    initial += "---\n" + yaml.safe_dump_all(identities.documents(identities.AUDIT))
    pki.write(state / "cluster.yml", initial, 0o600)
    running.kubectl(state, "apply", "-f", "-", stdin=initial, config="super-admin.conf")
    identities.write_kubeconfig(state, identities.AUDIT)
    for machine in machines:
        running.on(state, machine.name, "systemctl", "enable", "--now", "--no-block", "kubelet")
    report("the nodes join")
    wait("the nodes", lambda: not nodes_not_ready(state, names), 60, state)
    running.kubectl(state, "label", "node", CONTROL_PLANE, "node-role.kubernetes.io/control-plane=", "--overwrite")
    taint = "node-role.kubernetes.io/control-plane:NoSchedule"
    running.kubectl(state, "taint", "node", CONTROL_PLANE, taint, "--overwrite")
    for machine in machines:
        running.on(state, machine.name, "rm", "-f", "/etc/kubernetes/bootstrap-kubelet.conf")
    wait("the serving certificates", lambda: not without_serving_certificate(state, names), 60, state)
    (state / "ready").touch()
    report("every node is ready, with its client and serving certificates")


def _write_state(state: pathlib.Path, version: str, machines: list[Machine], signing_duration: str) -> str:
    """Write everything the machines start from. Returns the bootstrap token."""
    old = os.umask(0o077)
    state.mkdir(parents=True)
    os.umask(0o022)
    try:
        address = next(machine.address for machine in machines if machine.is_control_plane)
        layout.cluster_pki(state / "pki", address)
        authority = pki.Authority.load(state / "pki")
        letters = string.ascii_lowercase + string.digits
        token = ".".join("".join(secrets.choice(letters) for _turn in range(length)) for length in (6, 16))
        pki.write(state / "bootstrap-token", token, 0o600)
        _ssh_key(state / "id_ed25519")
        public = (state / "id_ed25519.pub").read_text()
        for machine in machines:
            seed = state / "machines" / machine.name
            host_keys = state / "host-keys" / machine.name
            host_keys.mkdir(parents=True)
            _ssh_key(host_keys / "ssh_host_ed25519_key")
            subprocess.run(["cp", "-a", f"{settings.LAB_DIRECTORY / 'machine'}/.", _made(seed)], check=True)
            subprocess.run(["chown", "-R", "0:0", seed], check=True)
            layout.seed_machine(seed, machine, public, host_keys)
            layout.join_hosts(seed, address)
            units = ["lab-machine", "containerd", "lab-image"]
            if machine.is_control_plane:
                layout.seed_control_plane(seed, machine, state / "pki", signing_duration)
                units += ["etcd", "kubelet"]
            else:
                layout.seed_worker(seed, authority, token)
            _enable(seed, units)
        server = f"https://{address}:{settings.API_PORT}"
        for name, user, groups in (
            ("admin.conf", "kubernetes-admin", ["kubeadm:cluster-admins"]),
            ("super-admin.conf", "kubernetes-super-admin", ["system:masters"]),
            ("approver.conf", "kubecare-lab:kubelet-serving-approver", []),
        ):
            content = layout.kubeconfig(authority, server, user, layout.embedded(*authority.issue(user, groups)))
            pki.write(state / name, content, 0o600)
        init.Plan(
            cgroup=running.cgroup_name(state),
            kubernetes=version,
            root=str(settings.root_directory()),
            binaries=str(settings.binaries_directory(version)),
            image=str(build.image_path()),
            machines=machines,
        ).save(state)
        pki.write(state / "inventory.yml", yaml.safe_dump(inventory(state, machines), sort_keys=False))
    finally:
        os.umask(old)
    return token


def _made(directory: pathlib.Path) -> pathlib.Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextlib.contextmanager
def lab(
    workers: int = 3, signing_duration: str = "1h", state: pathlib.Path | None = None, version: str | None = None
) -> t.Iterator[pathlib.Path]:
    """The state folder of the lab that runs; where none does, one is started as given, and ended again."""
    build.check_host()
    state = state or settings.state_root()
    started_here = running.find_init(state) is None
    if started_here:
        up(workers, signing_duration, state, version or settings.kubernetes_version())
    try:
        yield state
    finally:
        if started_here:
            down(state)


def restart(state: pathlib.Path) -> None:
    """A new lab in place of one that cannot be healed."""
    version = init.Plan.load(state).kubernetes
    down(state)
    up(3, "1h", state, version)


def _ssh_key(path: pathlib.Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kubecare-lab", "-f", path], check=True)


def _enable(seed: pathlib.Path, units: t.Sequence[str]) -> None:
    wants = _made(seed / "etc/systemd/system/multi-user.target.wants")
    for unit in units:
        (wants / f"{unit}.service").symlink_to(f"/lib/systemd/system/{unit}.service")
        ours = seed / "etc/systemd/system" / f"{unit}.service"
        if ours.exists():
            (wants / f"{unit}.service").unlink()
            (wants / f"{unit}.service").symlink_to(f"/etc/systemd/system/{unit}.service")


def inventory(state: pathlib.Path, machines: t.Sequence[Machine]) -> Json:
    """The Ansible inventory of a lab. Nothing is said of Python: the machines have none."""
    groups: dict[str, Json] = {"control_plane": {"hosts": {}}, "workers": {"hosts": {}}}
    for machine in machines:
        group = "control_plane" if machine.is_control_plane else "workers"
        groups[group]["hosts"][machine.name] = {"ansible_host": machine.address}
    return {
        "all": {
            "children": groups,
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(state / "id_ed25519"),
                "ansible_ssh_common_args": SSH_ARGUMENTS,
            },
        }
    }


def wait(what: str, condition: t.Callable[[], bool], seconds: float, state: pathlib.Path) -> None:
    """Wait for a condition; :class:`LabError` says what did not happen."""
    seconds *= settings.PATIENCE
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"Waited {seconds:.0f} s in vain for {what} (see {state / 'init.log'}).")
        time.sleep(0.2)


def objects(state: pathlib.Path, *arguments: str) -> list[Json]:
    """Objects that kubectl lists; none when the API server does not answer."""
    done = running.kubectl(state, "get", *arguments, "-o", "json", check=False)
    return list(json.loads(done.stdout)["items"]) if done.returncode == 0 else []


def nodes_not_ready(state: pathlib.Path, names: t.Iterable[str]) -> set[str]:
    """Which of the nodes the API server does not call ready."""
    ready = {
        node["metadata"]["name"]
        for node in objects(state, "nodes")
        for condition in node["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    return set(names) - ready


def without_serving_certificate(state: pathlib.Path, names: t.Iterable[str]) -> set[str]:
    """Which of the machines have no serving certificate in place."""
    current = "/var/lib/kubelet/pki/kubelet-server-current.pem"
    return {name for name in names if not running.on(state, name, "sh", "-c", f"readlink -e {current} || :")}


def status() -> int:
    """Print what runs. Returns the exit status: 0 when every node is ready."""
    state = settings.state_root()
    pid = running.find_init(state)
    if pid is None:
        print("no lab is running" + (f" ({state} is left of one: `lab.py down`)" if state.exists() else ""))
        return 1
    plan = init.Plan.load(state)
    found = running.leaders(pid)
    unready = nodes_not_ready(state, [machine.name for machine in plan.machines])
    print(f"Kubernetes {plan.kubernetes}, state {state}, process {pid}, kubeconfig {state / 'admin.conf'}")
    for machine in plan.machines:
        leader = found.get(machine.name)
        if leader is None:
            print(f"{machine.name:6} {machine.address:12} not running")
            continue
        kubelet = running.on(state, machine.name, "systemctl", "is-active", "kubelet", check=False).strip()
        ready = "not ready" if machine.name in unready else "ready"
        print(f"{machine.name:6} {machine.address:12} process {leader}, kubelet {kubelet}, node {ready}")
    for path in sorted((state / "injected").glob("*.json")):
        print(f"injected: {path.stem} on {json.loads(path.read_text())['node']}")
    return 1 if unready else 0

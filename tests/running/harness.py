# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of ``diagnose`` against stand-in nodes and a stand-in API server, and what must be true of each, whatever befell it."""

from __future__ import annotations

import base64
import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
STAND_IN = pathlib.Path(__file__).with_name("stand_in_ssh.py")
COLLECTION = "kubecare.kubelet_certs"
Data = dict[str, t.Any]


def _unit_test_server() -> t.Any:
    """The API server that the unit tests use."""
    path = ROOT / "tests/unit/plugins/conftest.py"
    spec = importlib.util.spec_from_file_location("kubecare_stand_ins", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


stand_ins = _unit_test_server()

NODES = "/api/v1/nodes"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
EMPTY_LISTS = (
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
    "/api/v1/events",
    "/api/v1/namespaces/kube-system/pods",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/daemonsets",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
)


def api_server(names: t.Iterable[str], requests: int = 0, certificate: tuple[str, str] | None = None) -> t.Any:
    """A healthy stand-in: these nodes, so many requests for certificates, every review allowed. HTTPS with a ``certificate``."""
    server = stand_ins.ApiServer(certificate)
    server.routes["/version"] = server.reply(200, {"major": "1", "minor": "36", "gitVersion": "v1.36.3"})
    for path in ("/readyz", "/livez"):
        server.routes[path] = server.reply(200, b"[+]ping ok\nok\n")
    server.serve_list(NODES, [{"metadata": {"name": name, "uid": f"uid-{name}"}} for name in names])
    server.serve_list(
        CSRS,
        [
            {"metadata": {"name": f"csr-{number}"}, "spec": {"signerName": "kubernetes.io/kubelet-serving"}}
            for number in range(requests)
        ],
    )
    for path in (ROLES, BINDINGS, *EMPTY_LISTS):
        server.serve_list(path, [])
    server.routes[REVIEWS] = server.reply(201, {"kind": "SubjectAccessReview", "status": {"allowed": True}})
    return server


@dataclasses.dataclass
class Ran:
    """A run that ended: its exit status, all it printed, how long it took, and where it wrote."""

    status: int
    output: str
    seconds: float
    run_dir: pathlib.Path

    def read(self, name: str) -> t.Any:
        """A file of the run folder."""
        return json.loads((self.run_dir / name).read_text(encoding="utf-8"))

    def not_seen(self) -> Data:
        """What was not seen of the cluster: subject → (reason, message)."""
        gaps = self.read("diagnosis.json")["cluster"]["not_seen"]
        return {gap["subject"]: (gap["reason"], gap["message"]) for gap in gaps}


def executable(path: pathlib.Path, text: str) -> pathlib.Path:
    """A program of this text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def stand_in(folder: pathlib.Path, host: str, behaviour: str) -> Data:
    """The variables of an inventory host that is a stand-in."""
    own = folder / "stand-ins" / host
    (own / "tmp").mkdir(parents=True, exist_ok=True)
    (own / "tmp").chmod(0o1777)
    program = executable(own / "ssh", f'#!/bin/sh\nexec {sys.executable} {STAND_IN} {behaviour} {own} "$@"\n')
    return {
        "ansible_connection": "ssh",
        "ansible_host": host,
        "ansible_ssh_executable": str(program),
        "kubelet_certs_become": False,
    }


def command(
    folder: pathlib.Path, hosts: Data, api: str | None, variables: Data, prefix: t.Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """The command of a run and its environment; ``api`` None: the API server is not asked."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    inventory = folder / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    given = {"kubelet_certs_collect_cluster": api is not None, **variables}
    environment = {
        **os.environ,
        "HOME": str(folder / "home"),
        "ANSIBLE_REMOTE_TMP": str(folder / "home/remote"),
        "TMPDIR": str(folder / "tmp"),
        "ANSIBLE_HOME": str(folder / "home/.ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "30",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "home/cp"),
        "ANSIBLE_HOST_KEY_CHECKING": "false",
        "K8S_AUTH_HOST": api or "",
    }
    for name in [name for name in environment if name.lower().endswith("_proxy") or name == "KUBECONFIG"]:
        del environment[name]
    words = [sys.executable, "-m", "ansible.cli.playbook", "-i", str(inventory), f"{COLLECTION}.diagnose"]
    return [*prefix, *words, "-e", json.dumps(given)], environment


def tls_files(folder: pathlib.Path) -> tuple[str, str]:
    """``(certificate, key)``: files of a server at 127.0.0.1, the CA behind the certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    ca = stand_ins.make_pair("kubernetes")
    server = stand_ins.make_pair("kube-apiserver", ca, names=("127.0.0.1",))
    certificate, key = folder / "server.crt", folder / "server.key"
    certificate.write_bytes(server.pem + ca.pem)
    key.write_bytes(server.key_pem)
    return str(certificate), str(key)


def kubeconfig(folder: pathlib.Path, url: str) -> tuple[str, bytes]:
    """A kubeconfig with a client certificate in it, whose key is put into a file by the client, and that key in PEM."""
    pair = stand_ins.make_pair("audit")
    user = {
        "client-certificate-data": base64.b64encode(pair.pem).decode(),
        "client-key-data": base64.b64encode(pair.key_pem).decode(),
    }
    path = folder / "kubeconfig"
    trusted = base64.b64encode((folder / "server.crt").read_bytes()).decode()
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "clusters": [{"name": "here", "cluster": {"server": url, "certificate-authority-data": trusted}}],
        "users": [{"name": "here", "user": user}],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path), pair.key_pem


def playbook(
    folder: pathlib.Path, hosts: Data, api: str | None, limit: float, variables: Data, prefix: t.Sequence[str] = ()
) -> Ran:
    """One run to its end. Raises subprocess.TimeoutExpired after ``limit`` seconds."""
    run_dir = pathlib.Path(variables.setdefault("kubelet_certs_run_dir", str(folder / "run")))
    words, environment = command(folder, hosts, api, variables, prefix)
    started = time.monotonic()
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=limit,
        check=False,
    )
    return Ran(done.returncode, done.stdout, time.monotonic() - started, run_dir)


def damaged(folder: pathlib.Path) -> list[str]:
    """The files of a run folder that are not whole, or that are left over."""
    wrong = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        if path.suffix == ".json":
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                wrong.append(f"{path.name} is half a file")
        elif path.name != "report.html":
            wrong.append(f"{path.name} is left over")
        elif not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
            wrong.append(f"{path.name} is half a file")
    return wrong


def incomplete(ran: Ran) -> list[str]:
    """What a run that ended well lacks: its files, a clean console."""
    wrong = [] if ran.status == 0 else [f"exit status {ran.status}: {ran.output[-1500:]}"]
    wrong += [
        f"no {name}"
        for name in ("diagnosis.json", "report.html", "manifest.json")
        if not (ran.run_dir / name).is_file()
    ]
    if "Traceback (most recent call last)" in ran.output:
        wrong.append("a traceback on the console")
    return wrong + damaged(ran.run_dir)


def left_processes(mark: str) -> list[str]:
    """Processes of this machine whose environment or command names ``mark``, but this one's."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if int(path.name) != os.getpid() and any(
                mark.encode() in (path / name).read_bytes() for name in ("cmdline", "environ")
            ):
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120])
        except OSError:
            continue
    return found


def left_files(folder: pathlib.Path) -> list[str]:
    """What was left in the folders for temporary files of the stand-in nodes."""
    return [f"left on the node: {path}" for path in folder.glob("stand-ins/*/tmp/*")]


def digest(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file of a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def busybox() -> str | None:
    """A busybox: this machine's, or the one of the lab's machines."""
    cache = pathlib.Path(os.environ.get("KUBECARE_LAB_CACHE") or pathlib.Path.home() / ".cache/kubecare-lab")
    found = [str(path) for path in sorted(cache.glob("root-*/bin/busybox"))]
    return shutil.which("busybox") or next(iter(found), None)

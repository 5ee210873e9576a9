# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tries ``cluster_repair`` in the lab as the shipped ``remediate`` identity, whole and without each verb of its own rules.

With all of them every act is done. Without one, an act that needs it ends as forbidden, says what is missing, and is done once the verb is
back. So no permission is missing, and none is superfluous.
"""

from __future__ import annotations

import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import typing as t

import yaml
from kubelab import diagnose, lifecycle, running, settings
from kubelab.settings import Json

MANIFESTS = [settings.REPOSITORY / f"docs/manifests/{name}.yml" for name in ("audit", "approve", "remediate")]
IDENTITY = "system:serviceaccount:kube-system:kubelet-certs-remediate"
OURS = (
    "kubecare:kubelet-certs-restore-rbac",
    "kubecare:kubelet-certs-delete-csrs",
    "kubecare:kubelet-certs-rebootstrap",
)
BINDING = "kubeadm:node-autoapprove-bootstrap"
ROLE = "system:node-bootstrapper"
KEPT = ("name", "labels", "annotations")


class Lab:
    """A lab that runs, and the module run in its network as ``IDENTITY``."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.token_id = ""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return running.kubectl(self.state, *arguments, stdin=stdin).stdout

    def repair(self, act: str, parameters: Json, bound_to: Json | None = None) -> Json:
        """The module's result."""
        options = {"act": act, "parameters": parameters, "bound_to": bound_to or {}}
        with tempfile.TemporaryDirectory(prefix="kubecare-lab-") as folder:
            temporary = pathlib.Path(folder)
            command = [str(pathlib.Path(diagnose.playbook_command()).with_name("ansible")), "localhost", "-c", "local"]
            # Not as ANSIBLE_INVENTORY: the part after its comma is this folder, whose programs Ansible runs as inventories.
            command += ["--inventory", "localhost,"]
            command += ["-m", "kubecare.kubelet_certs.cluster_repair", "-a", json.dumps(options)]
            done = subprocess.run(
                running.enter_network(running.require_init(self.state), command),
                env={
                    **running.environment(self.state),
                    "ANSIBLE_COLLECTIONS_PATH": diagnose.collections_path(temporary),
                    "ANSIBLE_LOCAL_TEMP": str(temporary / "ansible"),
                    "ANSIBLE_NOCOLOR": "1",
                    "K8S_AUTH_IMPERSONATE_USER": IDENTITY,
                },
                capture_output=True,
                text=True,
                check=False,
            )
        result, _end = json.JSONDecoder().raw_decode(done.stdout.partition(" => ")[2])
        return dict(result)

    def apply(self, documents: list[Json]) -> None:
        self.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(documents))

    def get(self, kind: str, name: str) -> Json:
        return dict(json.loads(self.kubectl("get", kind, name, "--output=json")))

    def replace(self, kind: str, name: str, **parts: t.Any) -> None:
        """An object with other parts, made anew."""
        made = {**self.get(kind, name), **parts}
        made["metadata"] = {"name": name, "labels": made["metadata"].get("labels") or {}}
        self.kubectl("delete", kind, name)
        self.kubectl("create", "--filename=-", stdin=json.dumps(made))

    # One method for each act and way: breaks what it mends, and gives the module's result.

    def create_binding(self) -> Json:
        self.kubectl("delete", "clusterrolebinding", BINDING, "--ignore-not-found")
        return self.repair("restore_rbac", {"objects": [BINDING]}, {"resource_versions": {BINDING: None}})

    def complete_binding(self) -> Json:
        self.replace("clusterrolebinding", BINDING, subjects=[])
        return self.repair("restore_rbac", {"objects": [BINDING]})

    def replace_binding(self) -> Json:
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
        self.replace("clusterrolebinding", BINDING, roleRef=role)
        return self.repair("restore_rbac", {"objects": [BINDING]})

    def replace_binding_uncreated(self) -> Json:
        """Without ``create``: the binding that cannot be replaced must still be there."""
        result = self.replace_binding()
        kept = self.get("clusterrolebinding", BINDING)["roleRef"]["name"]
        return {**result, "status": result.get("status") if kept == "view" else f"the binding is to {kept} now"}

    def complete_role(self) -> Json:
        self.replace("clusterrole", ROLE, rules=[])
        return self.repair("restore_rbac", {"objects": [ROLE]})

    def delete_request(self) -> Json:
        script = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=stale | base64 -w0"
        request = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
        spec = {"request": request, "signerName": "kubernetes.io/kubelet-serving", "usages": ["server auth"]}
        made = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "spec": spec}
        self.kubectl("delete", "csr", "stale", "--ignore-not-found")
        self.kubectl("create", "--filename=-", stdin=json.dumps({**made, "metadata": {"name": "stale"}}))
        uid = self.get("csr", "stale")["metadata"]["uid"]
        return self.repair("delete_csrs", {"names": ["stale"]}, {"uids": {"stale": uid}})

    def make_token(self) -> Json:
        result = self.repair("create_bootstrap_token", {"node": "node2", "ttl_seconds": 300})
        self.token_id = result.get("token_id", self.token_id)
        return result

    def delete_token(self) -> Json:
        return self.repair("delete_bootstrap_token", {"token_id": self.token_id})


NEEDED_BY: dict[tuple[str, str], t.Callable[[Lab], Json]] = {
    ("clusterrolebindings", "get"): Lab.complete_binding,
    ("clusterrolebindings", "create"): Lab.create_binding,
    ("clusterrolebindings", "update"): Lab.complete_binding,
    ("clusterrolebindings", "delete"): Lab.replace_binding,
    ("clusterroles", "get"): Lab.complete_role,
    ("clusterroles", "update"): Lab.complete_role,
    ("clusterroles", "escalate"): Lab.complete_role,
    ("clusterroles", "bind"): Lab.create_binding,
    ("certificatesigningrequests", "delete"): Lab.delete_request,
    ("certificatesigningrequests", "get"): Lab.delete_request,
    ("secrets", "create"): Lab.make_token,
    ("secrets", "get"): Lab.delete_token,
    ("secrets", "delete"): Lab.delete_token,
}
"""(resource, verb) → an act that cannot be done without it."""


def check(state: pathlib.Path) -> int:
    """Runs the cases and prints a line for each; gives the exit status."""
    lab = Lab(state)
    documents = [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]
    passed = failed = 0

    def say(good: bool, what: str) -> None:
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)

    healthy = [lab.get("clusterrolebinding", BINDING), lab.get("clusterrole", ROLE)]
    try:
        lab.apply(documents)
        for act in dict.fromkeys((*NEEDED_BY.values(), Lab.delete_token)):
            result = act(lab)
            say(
                result.get("status") == "done" and result["changed"],
                f"with all: {act.__name__}: {result.get('message')}",
            )
        lab.make_token()
        for fewer, resource, verb in without_each(documents):
            acts = [NEEDED_BY[resource, verb]]
            acts += [Lab.replace_binding_uncreated] if (resource, verb) == ("clusterrolebindings", "create") else []
            for act in acts:
                lab.apply(fewer)
                result = act(lab)
                told = str(result.get("message"))
                forbidden = "forbidden" in told or "cannot" in told or "attempting to grant" in told
                good = result.get("status") == "failed" and not result["changed"] and "403" in told and forbidden
                say(good, f"without {verb} {resource}: {act.__name__}: {told[:150]}")
                lab.apply(documents)
    finally:  # by the administrator, so that it is done whatever failed
        for made in healthy:
            metadata = {key: value for key, value in made["metadata"].items() if key in KEPT}
            kind, name = made["kind"], metadata["name"]
            running.kubectl(state, "delete", "--ignore-not-found", kind, name, check=False)
            bare = json.dumps({**made, "metadata": metadata})
            running.kubectl(state, "create", "--filename=-", stdin=bare, check=False)
        token = f"bootstrap-token-{lab.token_id}"
        running.kubectl(state, "-n", "kube-system", "delete", "--ignore-not-found", "secret", token, check=False)
        running.kubectl(state, "delete", "--ignore-not-found", "csr", "stale", check=False)
        running.kubectl(state, "delete", "--ignore-not-found", "--filename=-", stdin=yaml.safe_dump_all(documents))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def without_each(documents: list[Json]) -> t.Iterator[tuple[list[Json], str, str]]:
    """The objects without one verb of one rule of ours, and which. ``get`` on requests comes by the approver's role as well: without it there."""
    for index, document in enumerate(documents):
        if document["metadata"]["name"] not in OURS:
            continue
        for number, rule in enumerate(document["rules"]):
            for verb in rule["verbs"]:
                fewer = copy.deepcopy(documents)
                fewer[index]["rules"][number]["verbs"].remove(verb)
                if not fewer[index]["rules"][number]["verbs"]:
                    del fewer[index]["rules"][number]
                if (rule["resources"], verb) == (["certificatesigningrequests"], "get"):
                    for other in fewer:
                        if (
                            other["metadata"]["name"] == "kubecare:kubelet-certs-approve"
                            and other["kind"] == "ClusterRole"
                        ):
                            other["rules"] = [
                                r for r in other["rules"] if "certificatesigningrequests" not in r["resources"]
                            ]
                yield fewer, rule["resources"][0], verb


def main() -> int:
    """Gives the exit status."""
    with lifecycle.lab() as state:
        return check(state)


if __name__ == "__main__":
    sys.exit(main())

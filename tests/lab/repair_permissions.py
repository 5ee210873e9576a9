# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tries ``cluster_repair`` in the lab as the shipped ``remediate`` identity: whole, and without each verb and name of its own rules.

With all of them every act is done. Without one, an act that needs it ends as forbidden, says what is missing, and has changed nothing. So
no permission is missing, and none is superfluous. (That of ``approve_csr`` is tried by ``csr_approval.py``.)
"""

from __future__ import annotations

import copy
import functools
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import typing as t

from kubelab import diagnose, identities, lifecycle, running
from kubelab.settings import Json

RESTORE, DELETE, REBOOTSTRAP = (
    f"kubecare:kubelet-certs-{act}" for act in ("restore-rbac", "delete-csrs", "rebootstrap")
)
OURS = (RESTORE, DELETE, REBOOTSTRAP)
APPROVE = "kubecare:kubelet-certs-approve"
BINDING = "kubeadm:node-autoapprove-bootstrap"
ROLE = "system:node-bootstrapper"
KEPT = ("name", "labels", "annotations")
REQUEST = "stale"


class Lab:
    """A lab that runs, the module run in its network as the identity, and the objects that it restores as they were."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.token_id = ""
        self.healthy: dict[str, Json] = {}
        for document in identities.documents(identities.REMEDIATE):
            for rule in document.get("rules", ()):
                for name in rule.get("resourceNames", ()) if document["metadata"]["name"] == RESTORE else ():
                    found = self.get(rule["resources"][0], name)
                    found["metadata"] = {key: value for key, value in found["metadata"].items() if key in KEPT}
                    self.healthy[name] = found

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return running.kubectl(self.state, *arguments, stdin=stdin).stdout

    def repair(self, act: str, parameters: Json, bound_to: Json | None = None) -> Json:
        """The module's result, and ``touched``: the objects that are others than before."""
        options = {"act": act, "parameters": parameters, "bound_to": bound_to or {}}
        before = self.objects()
        with tempfile.TemporaryDirectory(prefix="kubecare-lab-") as folder:
            temporary = pathlib.Path(folder)
            command = [str(pathlib.Path(diagnose.playbook_command()).with_name("ansible")), "localhost", "-c", "local"]
            # Not as ANSIBLE_INVENTORY: the part after its comma is this folder, whose programs Ansible runs as inventories.
            command += ["--inventory=localhost,", "--extra-vars", f"ansible_python_interpreter={sys.executable}"]
            command += ["-m", "kubecare.kubelet_certs.cluster_repair", "-a", json.dumps(options)]
            done = subprocess.run(
                running.enter_network(running.require_init(self.state), command),
                env={
                    **running.environment(self.state, identities.config(identities.REMEDIATE)),
                    "ANSIBLE_COLLECTIONS_PATH": diagnose.collections_path(temporary),
                    "ANSIBLE_LOCAL_TEMP": str(temporary / "ansible"),
                    "ANSIBLE_NOCOLOR": "1",
                },
                capture_output=True,
                text=True,
                check=False,
            )
        result, _end = json.JSONDecoder().raw_decode(done.stdout.partition(" => ")[2])
        return {**result, "touched": sorted(before ^ self.objects())}

    def objects(self) -> set[str]:
        """All that the identity may write, each with its version."""
        kinds = "clusterroles,clusterrolebindings,certificatesigningrequests,secrets"
        columns = "custom-columns=:.kind,:.metadata.name,:.metadata.resourceVersion"
        listed = self.kubectl("--namespace=kube-system", "get", kinds, "--no-headers", "--output", columns)
        lines = (" ".join(line.split()) for line in listed.splitlines())
        kubelets = "CertificateSigningRequest csr-"  # these come and go
        return {line for line in lines if line and not line.startswith(kubelets)}

    def get(self, kind: str, name: str) -> Json:
        return dict(json.loads(self.kubectl("get", kind, name, "--output=json")))

    def put(self, name: str, **parts: t.Any) -> None:
        """One of ``healthy``, made anew with other parts."""
        self.kubectl("delete", "--ignore-not-found", self.healthy[name]["kind"], name)
        self.kubectl("create", "--filename=-", stdin=json.dumps({**self.healthy[name], **parts}))

    # One method for each act and way: breaks what it mends, and gives the module's result.

    def create_binding(self, name: str = BINDING) -> Json:
        self.kubectl("delete", "clusterrolebinding", name, "--ignore-not-found")
        return self.repair("restore_rbac", {"objects": [name]}, {"resource_versions": {name: None}})

    def complete_binding(self) -> Json:
        self.put(BINDING, subjects=[])
        return self.repair("restore_rbac", {"objects": [BINDING]})

    def replace_binding(self) -> Json:
        self.put(BINDING, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"})
        return self.repair("restore_rbac", {"objects": [BINDING]})

    def complete_role(self, name: str = ROLE) -> Json:
        self.put(name, rules=[])
        return self.repair("restore_rbac", {"objects": [name]})

    def restore_all(self) -> Json:
        """Every object that the rules name."""
        for name, made in self.healthy.items():
            self.put(name, **({"rules": []} if made["kind"] == "ClusterRole" else {"subjects": []}))
        return self.repair("restore_rbac", {"objects": list(self.healthy)})

    def delete_request(self) -> Json:
        script = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=stale | base64 -w0"
        request = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
        spec = {"request": request, "signerName": "kubernetes.io/kubelet-serving", "usages": ["server auth"]}
        made = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "spec": spec}
        self.kubectl("delete", "csr", REQUEST, "--ignore-not-found")
        self.kubectl("create", "--filename=-", stdin=json.dumps({**made, "metadata": {"name": REQUEST}}))
        uid = self.get("csr", REQUEST)["metadata"]["uid"]
        return self.repair("delete_csrs", {"names": [REQUEST]}, {"uids": {REQUEST: uid}})

    def make_token(self) -> Json:
        result = self.repair("create_bootstrap_token", {"node": "node2", "ttl_seconds": 900})
        self.token_id = result.get("token_id", self.token_id)
        return result

    def delete_token(self) -> Json:
        return self.repair("delete_bootstrap_token", {"token_id": self.token_id})

    def restore(self) -> None:
        """All of the cluster as it was; by the administrator, so that it is done whatever failed."""
        for made in self.healthy.values():
            name = made["metadata"]["name"]
            running.kubectl(self.state, "delete", "--ignore-not-found", made["kind"], name, check=False)
            running.kubectl(self.state, "create", "--filename=-", stdin=json.dumps(made), check=False)
        token = f"bootstrap-token-{self.token_id}"
        running.kubectl(
            self.state, "--namespace=kube-system", "delete", "--ignore-not-found", "secret", token, check=False
        )
        running.kubectl(self.state, "delete", "--ignore-not-found", "csr", REQUEST, check=False)
        identities.withdraw_remediate(self.state)


Act = t.Callable[[Lab], Json]

NEEDED_BY: dict[tuple[str, str], tuple[Act, ...]] = {
    ("clusterrolebindings", "get"): (Lab.complete_binding,),
    ("clusterrolebindings", "create"): (Lab.create_binding, Lab.replace_binding),
    ("clusterrolebindings", "update"): (Lab.complete_binding,),
    ("clusterrolebindings", "delete"): (Lab.replace_binding,),
    ("clusterroles", "get"): (Lab.complete_role,),
    ("clusterroles", "update"): (Lab.complete_role,),
    ("clusterroles", "escalate"): (Lab.complete_role,),
    ("clusterroles", "bind"): (Lab.create_binding,),
    ("certificatesigningrequests", "delete"): (Lab.delete_request,),
    ("certificatesigningrequests", "get"): (Lab.delete_request,),
    ("secrets", "create"): (Lab.make_token,),
    ("secrets", "get"): (Lab.delete_token,),
    ("secrets", "delete"): (Lab.delete_token,),
}
"""(resource, verb) → the acts that cannot be done without it."""


def check(state: pathlib.Path) -> int:
    """Runs the cases and prints a line for each; gives the exit status."""
    passed = failed = 0

    def say(good: bool, what: str) -> None:
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)

    lab = Lab(state)
    try:
        identities.prepare(state, identities.REMEDIATE)
        for act in dict.fromkeys((*itertools.chain(*NEEDED_BY.values()), Lab.restore_all)):
            result = act(lab)
            good = result.get("status") == "done" and result["changed"] and bool(result["touched"])
            say(good, f"with all: {act.__name__}: {result.get('message')}")
        lab.make_token()
        for fewer, whole, what, acts in without_each():
            for act in acts:
                identities.apply(state, fewer)
                result = act(lab)
                identities.apply(state, whole)
                say(refused(result), f"without {what}: {told(result)}")
    finally:
        lab.restore()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def refused(result: Json) -> bool:
    """Whether it ended as forbidden, truthfully: nothing was changed."""
    message = str(result.get("message"))
    forbidden = "403" in message and ("forbidden" in message or "attempting to grant" in message)
    return result.get("status") == "failed" and forbidden and not result["changed"] and not result["touched"]


def told(result: Json) -> str:
    """The result on one line."""
    return f"{result['status']}: {result.get('message')}"[:200] + "".join(
        f"; touched {one}" for one in result["touched"]
    )


def without_each() -> t.Iterator[tuple[list[Json], list[Json], str, tuple[Act, ...]]]:
    """For each verb and each name of a rule of ours: the objects without it, the same whole, what it is, and the acts that need it.

    ``get`` on requests comes by the approver's role as well, so it is taken from both.
    """
    documents = identities.documents(*identities.NEEDED[identities.REMEDIATE])
    [approver] = [one for one in documents if one["metadata"]["name"] == APPROVE and one["kind"] == "ClusterRole"]
    for document in documents:
        if document["metadata"]["name"] not in OURS or "rules" not in document:
            continue
        for number, rule in enumerate(document["rules"]):
            [resource] = rule["resources"]
            for verb in rule["verbs"]:
                fewer, whole = [_without(document, number, "verbs", verb)], [document]
                if (resource, verb) == ("certificatesigningrequests", "get"):
                    fewer.append(
                        _without(approver, approver["rules"].index(_rule_of(approver, resource)), "verbs", verb)
                    )
                    whole.append(approver)
                yield fewer, whole, f"{verb} {resource}", NEEDED_BY[resource, verb]
            for name in rule.get("resourceNames", ()):
                act = Lab.create_binding if resource == "clusterrolebindings" else Lab.complete_role
                fewer = [_without(document, number, "resourceNames", name)]
                yield fewer, [document], f"{resource} {name}", (functools.partial(act, name=name),)


def _rule_of(document: Json, resource: str) -> Json:
    return next(rule for rule in document["rules"] if resource in rule["resources"])


def _without(document: Json, number: int, key: str, value: str) -> Json:
    """The object with a rule that lacks a value; without the rule where it was the only one."""
    fewer = copy.deepcopy(document)
    rule = fewer["rules"][number]
    rule[key].remove(value)
    if not rule[key]:
        del fewer["rules"][number]
    return fewer


def main() -> int:
    """Gives the exit status."""
    with lifecycle.lab() as state:
        return check(state)


if __name__ == "__main__":
    sys.exit(main())

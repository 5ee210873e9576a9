# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs csr_approval in the lab over hostile and legitimate requests, made in the real API server by the users they are of.

The module runs as an identity with no more than it is documented to need. An admission policy keeps every other approver of the lab
off these requests; their names begin with ``PREFIX``, and all of them are deleted at the end.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing as t

import hostile_csrs
import yaml
from kubelab import diagnose, lifecycle, running, settings

PREFIX = "kubecare-trial-"
APPROVER = "kubecare:trial-approver"
MANIFEST = settings.REPOSITORY / "docs/manifests/approve.yml"

Json = dict[str, t.Any]


class Trial:
    """The lab, and what was found. A context manager: it ends with nothing left in the cluster."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.passed = 0
        self.failed = 0
        self.cases = {case.name: case for case in [*hostile_csrs.legitimate(), *hostile_csrs.hostile()]}
        self._paused = state / "approver-paused"
        self._objects = setup([case.user for case in self.cases.values()])

    def __enter__(self) -> Trial:
        self._before = self._paused.read_text() if self._paused.exists() else None
        self._clear()
        running.kubectl(self.state, "apply", "--filename=-", stdin=yaml.safe_dump_all(self._objects))
        if self._before != "":
            self._paused.write_text(f"{self._before or ''}\n{hostile_csrs.LIVING}\n")
        self._wait_for_policy()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._before is None:
            self._paused.unlink(missing_ok=True)
        else:
            self._paused.write_text(self._before)
        self._clear()
        running.kubectl(self.state, "delete", "node", "--ignore-not-found", hostile_csrs.JOINING, check=False)
        stdin = yaml.safe_dump_all(self._objects)
        running.kubectl(self.state, "delete", "--ignore-not-found", "--filename=-", stdin=stdin, check=False)

    def _clear(self) -> None:
        if names := sorted(self.stored()):
            running.kubectl(self.state, "delete", "csr", "--ignore-not-found", *names)

    def _wait_for_policy(self) -> None:
        """Until the controller manager leaves a request alone that it would approve."""
        for index in range(20):
            name = f"probe-{index}"
            self.create(hostile_csrs.flood(1)[0], name)
            time.sleep(1)
            if not conditions(self.stored()[PREFIX + name]):
                self._clear()
                return
        raise AssertionError("the admission policy does not take effect")

    def say(self, good: bool, what: str) -> None:
        """Counts and prints one result."""
        self.passed += good
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)

    def stored(self) -> dict[str, Json]:
        """The trial's requests that there are, by name."""
        listed = lifecycle.objects(self.state, "csr")
        return {csr["metadata"]["name"]: csr for csr in listed if csr["metadata"]["name"].startswith(PREFIX)}

    def create(self, case: hostile_csrs.Case, name: str | None = None) -> str | None:
        """Makes the request as its user. Gives what the API server said when it refused, else None."""
        who = [f"--as={case.user}", *(f"--as-group={group}" for group in case.groups)]
        body = json.dumps(case.object(PREFIX + (name or case.name)))
        done = running.kubectl(self.state, "create", "--filename=-", *who, stdin=body, check=False)
        return None if done.returncode == 0 else " ".join(done.stderr.split())[:200]

    def create_all(self, cases: t.Iterable[hostile_csrs.Case]) -> dict[str, str]:
        """Makes the requests; gives those that the API server refused, with what it said."""
        listed = list(cases)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            said = list(pool.map(self.create, listed))
        return {case.name: why for case, why in zip(listed, said, strict=True) if why is not None}

    def approve(self, **options: t.Any) -> Json:
        """The result of the module, run by a playbook."""
        given = {
            "names": [PREFIX + name for name in self.cases],
            "expected_nodes": hostile_csrs.EXPECTED,
            "flood_margin": 1000,
            "max_approvals": 1000,
            "impersonate_user": APPROVER,
            **options,
        }
        with tempfile.TemporaryDirectory(prefix="kubecare-lab-") as folder:
            temporary = pathlib.Path(folder)
            result = temporary / "result.json"
            tasks = [
                {"kubecare.kubelet_certs.csr_approval": given, "register": "found", "ignore_errors": True},
                {"ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": str(result), "mode": "0600"}},
            ]
            play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
            playbook = temporary / "approve.yml"
            playbook.write_text(yaml.safe_dump(play))
            command = [diagnose.playbook_command(), "--inventory", "localhost,", str(playbook)]
            command += ["--extra-vars", f"ansible_python_interpreter={sys.executable}"]
            done = subprocess.run(
                running.enter_network(running.require_init(self.state), command),
                env={
                    **running.environment(self.state),
                    "ANSIBLE_COLLECTIONS_PATH": diagnose.collections_path(temporary),
                    "ANSIBLE_LOCAL_TEMP": str(temporary / "ansible"),
                    "ANSIBLE_NOCOLOR": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=120 * settings.PATIENCE,
                check=False,
            )
            if not result.is_file():
                raise AssertionError(f"the playbook gave no result:\n{done.stdout[-3000:]}")
            return t.cast("Json", json.loads(result.read_text()))


def setup(users: t.Iterable[str]) -> list[Json]:
    """What the trial needs in the cluster: its users may make requests, others than the approver may not decide on these."""
    group, certificates = "rbac.authorization.k8s.io", "certificates.k8s.io"
    name = "kubecare:trial-requestors"
    create = {"apiGroups": [certificates], "resources": ["certificatesigningrequests"], "verbs": ["create"]}
    subjects = [{"kind": "User", "name": one, "apiGroup": group} for one in sorted(set(users))]
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    rbac: Json = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
    about: Json = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "kubecare-trial"}}
    matched = {
        "apiGroups": [certificates],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["certificatesigningrequests/approval"],
    }
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [matched]},
        "matchConditions": [{"name": "trial", "expression": f"request.name.startsWith('{PREFIX}')"}],
        "validations": [{"expression": f"request.userInfo.username == '{APPROVER}'"}],
    }
    binding = {"policyName": "kubecare-trial", "validationActions": ["Deny"]}
    return [
        {**rbac, "kind": "ClusterRole", "rules": [create]},
        {**rbac, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": subjects},
        *permissions(),
        {**about, "kind": "ValidatingAdmissionPolicy", "spec": policy},
        {**about, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]


def permissions(resource: str | None = None, without: str | None = None) -> list[Json]:
    """The objects of the shipped manifest for ``APPROVER``, without one verb or one name of the rule for a resource."""
    text = MANIFEST.read_text().replace("kubecare:kubelet-certs-approve", APPROVER)
    documents = [one for one in yaml.safe_load_all(text) if one["kind"] != "ServiceAccount"]
    for document in documents:
        if "subjects" in document:
            document["subjects"] = [{"kind": "User", "name": APPROVER, "apiGroup": "rbac.authorization.k8s.io"}]
        for rule in document.get("rules", ()):
            for key in ("verbs", "resourceNames"):
                if rule["resources"] == [resource] and without in rule.get(key, ()):
                    rule[key].remove(without)
        if "rules" in document:  # a rule without a verb is none, and one without a name would be for all
            complete = [rule for rule in document["rules"] if rule["verbs"] and rule.get("resourceNames") != []]
            document["rules"] = complete
    return documents


def permissions_to_lose() -> list[tuple[str, str]]:
    """Each ``(resource, verb or name)`` of the shipped manifest."""
    rules = [rule for one in permissions() for rule in one.get("rules", ())]
    return [(rule["resources"][0], part) for rule in rules for part in (*rule["verbs"], *rule.get("resourceNames", ()))]


def conditions(csr: Json) -> list[str]:
    """The types of its conditions."""
    return [one["type"] for one in csr.get("status", {}).get("conditions", ())]


def decided(result: Json) -> dict[str, tuple[str, str | None]]:
    """``(verdict, reason)`` by the case's name."""
    return {one["name"].removeprefix(PREFIX): (one["verdict"], one["reason"]) for one in result.get("decisions", ())}


def main() -> int:
    """Gives the exit status."""
    with lifecycle.lab() as state:
        return check(state)


def check(state: pathlib.Path) -> int:
    """Runs the trial and prints a line for each case; gives the exit status."""
    os.environ.pop("K8S_AUTH_IMPERSONATE_USER", None)
    with Trial(state) as trial:
        refused = trial.create_all(trial.cases.values())
        _flood(trial)
        _judge(trial, refused)
        _again(trial)
        _others(trial)
        _without_a_rule(trial)
    print(f"{trial.passed} passed, {trial.failed} failed")
    return 1 if trial.failed else 0


def _flood(trial: Trial) -> None:
    """Too many requests: nothing is touched."""
    result = trial.approve(dry_run=False, flood_margin=0)
    touched = [name for name, csr in trial.stored().items() if conditions(csr)]
    good = result["status"] == "flood" and result["flood"]["stopped"] and not result["changed"] and not touched
    trial.say(good, f"flood: {result.get('message')}; touched {touched or 'none'}")


def _judge(trial: Trial, refused: dict[str, str]) -> None:
    """Each hostile request is refused with its own reason, each legitimate one approved and signed."""
    dry = trial.approve()
    touched = [name for name, csr in trial.stored().items() if conditions(csr)]
    trial.say(not dry["changed"] and not touched, f"dry run: {dry.get('message')}; touched {touched or 'none'}")
    result = trial.approve(dry_run=False)
    found = decided(result)
    deadline = time.monotonic() + 30 * settings.PATIENCE
    wanted = [PREFIX + case.name for case in trial.cases.values() if case.refused_by is None]
    stored = trial.stored()
    while time.monotonic() < deadline and not all(
        name in stored and stored[name].get("status", {}).get("certificate") for name in wanted
    ):
        time.sleep(0.5)
        stored = trial.stored()
    for case in trial.cases.values():
        verdict = found.get(case.name)
        if case.name in refused:
            trial.say(case.refused_by is not None, f"{case.name}: refused by the API server: {refused[case.name]}")
        elif case.refused_by is None:
            csr = stored[PREFIX + case.name]
            signed = bool(csr.get("status", {}).get("certificate"))
            trial.say(verdict == ("approved", None) and signed, f"{case.name}: {verdict}, certificate issued: {signed}")
        else:
            left = conditions(stored[PREFIX + case.name])
            good = verdict == ("refused", case.refused_by) and not left
            trial.say(good, f"{case.name}: {verdict}, wanted {case.refused_by}; conditions {left or 'none'}")


def _again(trial: Trial) -> None:
    """A second run changes nothing."""
    before = {name: csr["metadata"]["resourceVersion"] for name, csr in trial.stored().items()}
    result = trial.approve(dry_run=False)
    after = {name: csr["metadata"]["resourceVersion"] for name, csr in trial.stored().items()}
    counts = result["counts"]
    good = not result["changed"] and before == after and not counts.get("approved")
    trial.say(good, f"second run: {counts}, changed {result['changed']}")


def _others(trial: Trial) -> None:
    """Old requests, those that moved, more than a run may approve, and denying."""
    more = hostile_csrs.flood(3)
    names = [PREFIX + case.name for case in more]
    trial.create_all(more)
    time.sleep(3)
    found = decided(trial.approve(names=names, dry_run=False, max_age=1))
    trial.say(set(found.values()) == {("refused", "fresh")}, f"stale: {found}")
    found = decided(trial.approve(names=names, dry_run=False, created_after="2999-01-01T00:00:00Z"))
    trial.say(set(found.values()) == {("refused", "made_after")}, f"made before the plan: {found}")
    uid = trial.stored()[names[0]]["metadata"]["uid"]
    for what, bound in (
        ("another uid", {"uid": "0", "request_sha256": hostile_csrs.digest(more[0])}),
        ("another request", {"uid": uid, "request_sha256": "00" * 32}),
    ):
        result = trial.approve(names=names[:1], dry_run=False, bound_to={names[0]: bound})
        good = bool(result.get("failed")) and result.get("status") == "moved" and not result["changed"]
        trial.say(good, f"moved, {what}: {result.get('msg')}")
    bound = {"uid": uid, "request_sha256": hostile_csrs.digest(more[0])}
    result = trial.approve(names=names[:1], dry_run=False, bound_to={names[0]: bound})
    trial.say(decided(result) == {"flood-0": ("approved", None)}, f"the request of the plan: {decided(result)}")
    result = trial.approve(names=names, dry_run=False, max_approvals=1)
    wanted = {"flood-0": "already_approved", "flood-1": None, "flood-2": "max_approvals"}
    reasons = {name: why for name, (_verdict, why) in decided(result).items()}
    good = set(reasons.values()) == set(wanted.values()) and result["counts"].get("approved") == 1
    trial.say(good, f"one a run: {decided(result)}")
    hostile = [PREFIX + "o-masters-too", PREFIX + "bootstrap-contested-1"]
    result = trial.approve(names=hostile, dry_run=False, deny_refused=True)
    wanted_decisions = {
        "o-masters-too": ("denied", "organization"),
        "bootstrap-contested-1": ("refused", "uncontested"),
    }
    trial.say(decided(result) == wanted_decisions, f"denying what is refused: {decided(result)}")
    left = conditions(trial.stored()[hostile[0]])
    trial.say(left == ["Denied"], f"denied in the cluster: {left}")


def _without_a_rule(trial: Trial) -> None:
    """Without any one verb or name of the manifest's rules a request is not approved, and the module says why."""
    again = [dataclasses.replace(trial.cases[name], name=f"{name}-again") for name in ("bootstrap", "serving-name")]
    trial.create_all(again)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": hostile_csrs.JOINING}}  # known, and not alive
    running.kubectl(trial.state, "create", "--filename=-", stdin=json.dumps(node))
    forbidden = ("failed", "forbidden")
    wanted: dict[tuple[str, str], t.Any] = {
        ("certificatesigningrequests", "list"): "could not be listed",
        ("certificatesigningrequests", "get"): forbidden,
        ("certificatesigningrequests/approval", "update"): forbidden,
        ("signers", "approve"): forbidden,
        ("signers", hostile_csrs.CLIENT): forbidden,
        ("signers", hostile_csrs.SERVING): forbidden,
        ("nodes", "list"): ("refused", "not_alive"),
        ("leases", "list"): ("refused", "not_alive"),
    }
    for lost in permissions_to_lose():
        case = again[lost[1] == hostile_csrs.SERVING]
        running.kubectl(trial.state, "apply", "--filename=-", stdin=yaml.safe_dump_all(permissions(*lost)))
        result = trial.approve(names=[PREFIX + case.name], dry_run=False)
        found = decided(result)
        told = found.get(case.name) or str(result.get("msg"))
        good = wanted[lost] in told if isinstance(wanted[lost], str) else wanted[lost] == told
        trial.say(good and not result["changed"], f"without {' '.join(lost)}: {told}")
    running.kubectl(trial.state, "apply", "--filename=-", stdin=yaml.safe_dump_all(permissions()))
    result = trial.approve(names=[PREFIX + case.name for case in again], dry_run=False)
    found = decided(result)
    trial.say(found == {case.name: ("approved", None) for case in again}, f"with all rules: {found}")


if __name__ == "__main__":
    sys.exit(main())

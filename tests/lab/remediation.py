# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mends what the lab breaks, by the playbook ``remediate`` as the shipped identity of that name: from each injected fault to ``healthy``.

A fault is tried when its rule names an act (``fix.task``). Faults of one node share a run, each on a worker of its own. For each run:

1. ``--check --diff``: the plan has the act for that node, and nothing in the cluster or on a node is different afterwards;
2. with ``kubelet_certs_remediate=true``: the run ends well, and says what it changed;
3. the same once more: every node is healthy, and nothing is changed.

Nothing of it may show a private key or a token of the lab. Exit status: 0 when every fault was mended; the results go to
``build/lab-remediation.json``.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import tempfile
import time

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kubelab import cases, diagnose, faults, identities, init, judge, leaks, lifecycle, running, runs, settings  # noqa: E402
from kubelab.cases import Batch, Case  # noqa: E402
from kubelab.settings import Json, LabError  # noqa: E402

PLAYBOOK = "kubecare.kubelet_certs.remediate"
RESULTS = settings.REPOSITORY / "build/lab-remediation.json"
RULES = settings.REPOSITORY / "plugins/plugin_utils/diagnosis/rules"

NOT_MENDED = settings.REPOSITORY / "tests/repository/not_mended_in_lab.yml"
"""Faults whose rule has an act that cannot mend *this* fault, each with the reason."""

BOOTSTRAP_USER = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"
"""OpenShift's, as whom ``bootstrap-csr-needs-hand`` lets a node join."""

STATE_OF_A_NODE = (
    "for f in $(find /etc/kubernetes /var/lib/kubelet/pki /var/lib/kubelet/config.yaml ! -name 'kubelet-*-20*.pem' ! -name 'kubelet-server-current.pem'); do "
    "stat --format='%n %F %a %U' $f; [ ! -L $f ] || readlink $f; [ ! -f $f ] || sha256sum <$f; done"
)
OBJECTS_OF_THE_CLUSTER = "clusterroles,clusterrolebindings"


def main() -> int:
    parser = argparse.ArgumentParser(description="Mend faults of the lab by the playbook remediate.")
    parser.add_argument("--fault", action="append", metavar="NAME", help="only this fault (repeatable)")
    parser.add_argument("--single", action="store_true", help="one run for each fault")
    parser.add_argument(
        "--node", metavar="NAME", help="one run for each fault, on this machine; cp1 is a control plane"
    )
    parser.add_argument("--list", action="store_true", help="list the faults and the acts that mend them, and end")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="keep each run's folder and output here")
    options = parser.parse_args()
    acts = acts_of_faults()
    if options.list:
        print("\n".join(f"{name:45} {', '.join(acts[name])}" for name in acts))
        return 0
    unknown = set(options.fault or ()) - set(acts)
    if unknown:
        print(
            f"remediation: no act mends {' or '.join(sorted(unknown))}: `--list` lists those that are", file=sys.stderr
        )
        return 2
    known = cases.load_all()
    chosen = [known[name] for name in options.fault or acts]
    batches = (
        [Batch(((case, options.node),)) for case in chosen] if options.node else cases.plan(chosen, options.single)
    )
    results: list[Json] = []
    with lifecycle.lab() as state:
        version = init.Plan.load(state).kubernetes
        faults.heal(state, *map(faults.get, faults.injected(state)))
        try:
            for batch in batches:
                if batch.runs_on(version):
                    results += run(state, batch, acts, options.keep.absolute() if options.keep else None)
        finally:
            identities.withdraw_remediate(state)
    failed = sum(bool(result["problems"]) for result in results)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"cases": results, "passed": len(results) - failed, "failed": failed}, indent=1) + "\n"
    )
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


def acts_of_faults() -> dict[str, list[str]]:
    """The faults that an act mends, with the acts that their rule names."""
    exempt = yaml.safe_load(NOT_MENDED.read_text()) or {}
    found: dict[str, list[str]] = {}
    for name, fault in faults.load_all().items():
        if fault.rule and name not in exempt:
            task = yaml.safe_load((RULES / f"{fault.rule}.yml").read_text())["fix"].get("task")
            if task:
                found[name] = [task] if isinstance(task, str) else list(task)
    return found


def run(state: pathlib.Path, batch: Batch, acts: dict[str, list[str]], keep: pathlib.Path | None) -> list[Json]:
    """Break, mend, look again, and heal what is left. Gives a result for each case."""
    start = time.monotonic()
    problems: dict[str, list[str]] = {case.name: [] for case, _node in batch.placed}
    common: list[str] = []
    try:
        identities.prepare(state, identities.REMEDIATE)
        for case, node in batch.placed:
            runs.inject_case(state, case, node)
        mend(state, batch, acts, problems, common, keep)
    except LabError as error:
        common.append(str(error))
    try:
        faults.heal(state, *(fault for case, _node in batch.placed for fault in case.faults))
    except LabError as error:
        common.append(f"heal: {error}")
        lifecycle.restart(state)
    seconds = round(time.monotonic() - start, 1)
    results = []
    for case, node in batch.placed:
        found = [*problems[case.name], *common]
        results.append(
            {"case": case.name, "node": node, "acts": acts[case.name], "seconds": seconds, "problems": found}
        )
        print(f"{'FAILED' if found else 'ok':6} {case.name:45} {node:6} {seconds:6.1f} s  {', '.join(acts[case.name])}")
        print("".join(f"         {problem}\n" for problem in found), end="", flush=True)
    return results


def mend(
    state: pathlib.Path,
    batch: Batch,
    acts: dict[str, list[str]],
    problems: dict[str, list[str]],
    common: list[str],
    keep: pathlib.Path | None,
) -> None:
    """The three runs of one batch. What is wrong goes to ``problems`` and ``common``."""
    before = world(state)
    folder, recap = play(state, batch, "1-check", common, keep, "--check", "--diff")
    common += [f"check mode changed {what}" for what in differences(before, world(state))]
    steps = json.loads((folder / "plan.json").read_text())["steps"]
    for case, node in batch.placed:
        planned = {step["act"] for step in steps if of(step, case, node)}
        if not planned & set(acts[case.name]):
            problems[case.name].append(f"planned for {node}: {', '.join(sorted(planned)) or 'nothing'}")
    _folder, recap = play(state, batch, "2-act", common, keep)
    if not recap:
        common.append("the run that acts says that it changed nothing")
    folder, recap = play(state, batch, "3-again", common, keep)
    if recap:
        common.append(f"the second run changed {recap} things")
    nodes = judge.by_name(json.loads((folder / "diagnosis.json").read_text()))
    for case, node in batch.placed:
        verdict = nodes.get(node, {}).get("verdict")
        rules = [finding["rule"] for finding in nodes.get(node, {}).get("findings", ())]
        if verdict != "healthy" or case.rule in rules:
            problems[case.name].append(f"{node} is {verdict} afterwards, with {', '.join(rules) or 'no finding'}")


def of(step: Json, case: Case, node: str) -> bool:
    """Whether a step of the plan answers what the case broke."""
    return any(answer["rule"] == case.rule and answer["node"] in (node, None) for answer in step["answers"])


def play(
    state: pathlib.Path, batch: Batch, name: str, problems: list[str], keep: pathlib.Path | None, *options: str
) -> tuple[pathlib.Path, int]:
    """Run the playbook; gives its run folder and how many tasks said *changed*."""
    parent = keep or pathlib.Path(tempfile.mkdtemp(prefix="kubecare-remediation-"))
    folder = parent / batch.name / name
    folder.mkdir(parents=True, exist_ok=True)
    secrets = leaks.collect(state)
    variables = {"kubelet_certs_remediate": True, "kubelet_certs_bootstrap_users": [BOOTSTRAP_USER]}
    done = diagnose.run(
        state,
        folder,
        *("-v", "--extra-vars", json.dumps(variables), *options),
        playbook=PLAYBOOK,
        identity=identities.REMEDIATE,
    )
    (parent / batch.name / f"{name}.output").write_text(done.stdout)
    problems += leaks.find(secrets | leaks.collect(state), done.stdout, folder)
    if done.returncode:
        why = [line[:500] for line in done.stdout.splitlines() if line.startswith("fatal: ")] or [done.stdout[-600:]]
        problems.append(f"{name}: the playbook ended with {done.returncode}: {why[0]}")
    return folder, sum(map(int, re.findall(r"\bchanged=(\d+)", done.stdout)))


def world(state: pathlib.Path) -> dict[str, str]:
    """What check mode must leave as it is: files of the nodes, and objects of the cluster with their versions."""
    found = {}
    for machine in init.Plan.load(state).machines:
        found[machine.name] = running.on(state, machine.name, "sh", "-c", STATE_OF_A_NODE, check=False)
    columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion"
    found["cluster"] = running.kubectl(state, "get", OBJECTS_OF_THE_CLUSTER, "--output", columns).stdout
    decided = "jsonpath={range .items[*]}{.metadata.name} {.status.conditions[*].reason}{'\\n'}{end}"
    found["requests"] = "\n".join(
        line
        for line in running.kubectl(state, "get", "csr", "--output", decided).stdout.splitlines()
        if "Kubecare" in line  # the controller manager goes on approving others
    )
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The lines that are in one of the two only."""
    return sorted(
        f"{where}: {line}" for where in before for line in {*before[where].split("\n")} ^ {*after[where].split("\n")}
    )


if __name__ == "__main__":
    sys.exit(main())

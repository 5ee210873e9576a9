# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Evidence and diagnosis in, plan out. Pure: no I/O and no clock. The plan's shape is said in ``docs/remediation.md``."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import CLIENT_SIGNER
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, dig
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.acts import NEED_RESTART, REGISTRY
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.case import CannotAct, Case, Draft
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.check import (
    CONTROL,
    SCHEMA,
    PlanError,
    check_plan,
    check_step,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.names import (
    ACTS,
    CLUSTER_ACTS,
    ORDER,
    RISKS,
)

NO_ACT = "it is not for a task to do: what is right here needs a person's judgement"
OF_ANOTHER = "here another than the kubelet renews the certificate, so the distribution's own way is to be taken"
NOT_PROBED = "the node did not answer, or no inventory host was matched to it, so nothing can be bound to what is on it"


def make_plan(
    evidence: Data,
    diagnosis: Data,
    made_at: str | None = None,
    acts: t.Collection[str] = ACTS,
    max_risk: str = "medium",
) -> Data:
    """The plan that answers a diagnosis.

    Args:
        evidence: what the diagnosis was made of.
        diagnosis: as the filter ``diagnose`` gives it.
        made_at: now, RFC 3339; by default the time that was judged at.
        acts: those that may be planned. A finding that needs another one becomes a procedure.
        max_risk: acts of a higher risk become procedures.

    Raises:
        ValueError: an act or a risk is unknown, or the evidence or diagnosis is none.
    """
    unknown = sorted(set(acts) - set(ACTS))
    if unknown or max_risk not in RISKS:
        raise ValueError(f"unknown act {', '.join(unknown)}" if unknown else f"risk {max_risk!r} is none of {RISKS}")
    if not isinstance(dig(diagnosis, "nodes"), list) or not isinstance(diagnosis.get("now"), str):
        raise ValueError("the diagnosis is none: it has no nodes or no time")
    planner = _Planner(evidence, diagnosis, frozenset(acts), max_risk)
    for node in diagnosis["nodes"]:
        planner.add_node(node)
    return check_plan(
        {
            "schema": SCHEMA,
            "made_at": made_at or diagnosis["now"],
            "evidence_at": diagnosis["now"],
            "cluster": {key: _plain(dig(diagnosis, "cluster", key)) for key in ("api_url", "version")},
            "nodes": planner.nodes(),
            "steps": planner.ordered_steps(),
            "procedures": sorted(planner.procedures.values(), key=lambda procedure: procedure["rule"]),
        }
    )


def is_healed(diagnosis: Data, node: str, rules: t.Collection[str]) -> str | None:
    """None when the node is healthy, or at risk without these findings; else what is still wrong, in words."""
    found = next((entry for entry in dig(diagnosis, "nodes") or () if entry.get("name") == node), None)
    if found is None:
        return "it was not seen again"
    left = [finding["rule"] for finding in found["findings"] if finding["rule"] in rules]
    if found["verdict"] in ("healthy", "at_risk") and not left:
        return None
    return f"it is {found['verdict']}: {', '.join(left) or found['summary']}"


def control_planes_of(evidence: Data) -> set[str]:
    """Names of nodes with the label of a control plane, and hosts on which the files of one were seen."""
    labelled = {
        str(node.get("name"))
        for node in dig(evidence, "cluster", "node_info", "nodes") or ()
        if "node-role.kubernetes.io/control-plane" in (node.get("labels") or {})
    }
    return labelled | {
        str(host) for host, probe in (dig(evidence, "nodes") or {}).items() if dig(probe, "control_plane")
    }


class _Planner:
    def __init__(self, evidence: Data, diagnosis: Data, acts: frozenset[str], max_risk: str) -> None:
        self.probes: Data = dig(evidence, "nodes") or {}
        self.cluster: Data = dig(evidence, "cluster") or {}
        self.now: str = diagnosis["now"]
        self.acts, self.max_risk = acts, max_risk
        self.steps: dict[str, Data] = {}
        self.procedures: dict[str, Data] = {}
        self.seen: dict[str, Data] = {}
        self.control_planes = control_planes_of(evidence)

    def add_node(self, node: Data) -> None:
        """The steps and procedures of one node's findings."""
        probe = self.probes.get(node.get("host") or "")
        probe = probe if isinstance(probe, dict) and probe.get("reachable") is not False else None
        if node.get("host") in self.control_planes:
            self.control_planes.add(str(node["name"]))
        findings = {f["rule"]: f for f in node.get("findings") or () if f["severity"] != "info"}
        mended: dict[str, bool] = {}
        steps: dict[str, Data] = {}
        # What is restored is known before what depends on it.
        for finding in sorted(findings.values(), key=lambda finding: "restore_rbac" not in _tasks(finding)):
            self._mend(finding, findings, node, probe, mended, steps)
        _drop_superfluous(steps)
        for step in steps.values():
            _join(self.steps, step)
        if steps:
            self.seen[str(node["name"])] = node

    def _mend(
        self,
        finding: Data,
        findings: dict[str, Data],
        node: Data,
        probe: Data | None,
        mended: dict[str, bool],
        steps: dict[str, Data],
    ) -> bool:
        """Whether the plan mends a finding. A symptom is worth a step only when all that lies behind it is mended too."""
        rule = finding["rule"]
        if rule in mended:
            return mended[rule]
        mended[rule] = False  # also for a ring of explanations
        behind = [findings[cause] for cause in finding["explained_by"] if cause in findings]
        if not all(self._mend(cause, findings, node, probe, mended, steps) for cause in behind):
            return False
        case = Case(node, rule, probe, self.cluster, self.now, _restored((*self.steps.values(), *steps.values())))
        reasons = []
        for act in _tasks(finding):
            try:
                made = self._steps_of(act, case, finding)
            except CannotAct as error:
                reasons.append(str(error))
            else:
                for step in made:
                    _join(steps, step)
                mended[rule] = True
                return True
        if not behind:
            self._procedure(finding, node, "; ".join(dict.fromkeys(reasons)) or NO_ACT)
        else:
            mended[rule] = True  # it follows from what is mended
        return mended[rule]

    def _steps_of(self, act: str, case: Case, finding: Data) -> list[Data]:
        known = REGISTRY[act]
        if act not in CLUSTER_ACTS:
            if dig(case.node, "distribution", "rotates_by") not in (None, "kubelet"):
                raise CannotAct(OF_ANOTHER)
            if case.probe is None or not case.node.get("host"):
                raise CannotAct(NOT_PROBED)
        if act not in self.acts:
            raise CannotAct(f"the act {act} is not among those that may be taken")
        if RISKS.index(known.risk) > RISKS.index(self.max_risk):
            raise CannotAct(f"the act {act} is of {known.risk} risk, and at most {self.max_risk} is allowed")
        drafts = [(act, draft) for draft in known.drafts(case)]
        if act in NEED_RESTART and "restart_kubelet" in self.acts:
            drafts += [("restart_kubelet", draft) for draft in REGISTRY["restart_kubelet"].drafts(case)]
        return [self._step(name, draft, case, finding) for name, draft in drafts]

    def _step(self, name: str, draft: Draft, case: Case, finding: Data) -> Data:
        act = REGISTRY[name]
        step = {
            "id": f"{name}:{draft.key}" if draft.key else name,
            "act": name,
            "module": act.module,
            "node": draft.node,
            "host": None if name in CLUSTER_ACTS else case.node.get("host"),
            "control_plane": draft.node in self.control_planes,
            "answers": [{"node": case.name, "rule": finding["rule"], "title": _plain(finding["title"])}],
            "risk": act.risk,
            "title": act.title,
            "commands": [_plain(text) for text in draft.commands],
            "changes": [_plain(text) for text in draft.changes],
            "needs": [*act.needs, *map(_plain, draft.needs)],
            "parameters": draft.parameters,
            "bound_to": draft.bound_to,
            "verified_by": draft.verified_by,
        }
        try:
            return check_step(step)
        except PlanError as error:
            raise CannotAct(f"{name} is not safe with what was seen ({error})") from error

    def _procedure(self, finding: Data, node: Data, why: str) -> None:
        procedure = self.procedures.setdefault(
            finding["rule"],
            {
                "rule": finding["rule"],
                "title": _plain(finding["title"]),
                "nodes": [],
                "risk": finding["fix"]["risk"],
                "why": _plain(why),
                "steps": [
                    {"text": _plain(step["text"]), "command": _plain(step.get("command"))}
                    for step in finding["fix"]["steps"]
                ],
            },
        )
        procedure["nodes"].append(str(node["name"]))

    def nodes(self) -> list[Data]:
        """The nodes that a step is about, workers first."""
        return [
            {"name": name, "host": self.seen[name].get("host"), "control_plane": name in self.control_planes}
            for name in sorted(self.seen, key=lambda name: (name in self.control_planes, name))
        ]

    def ordered_steps(self) -> list[Data]:
        """The cluster's first, then node by node, workers before control planes."""

        def place(step: Data) -> tuple[t.Any, ...]:
            act = ORDER[step["act"]]
            if step["act"] in CLUSTER_ACTS:
                return 0, act, step["id"]
            return 1, step["control_plane"], step["node"], act

        return sorted(self.steps.values(), key=place)


def _tasks(finding: Data) -> list[str]:
    task = dig(finding, "fix", "task")
    return [task] if isinstance(task, str) else [act for act in task or () if act in REGISTRY]


def _restored(steps: t.Iterable[Data]) -> frozenset[str]:
    return frozenset(name for step in steps if step["act"] == "restore_rbac" for name in step["parameters"]["objects"])


def _join(steps: dict[str, Data], step: Data) -> None:
    """Adds a step; one that is there already answers what this one does as well."""
    known = steps.setdefault(step["id"], step)
    known["answers"] += [answer for answer in step["answers"] if answer not in known["answers"]]


def _drop_superfluous(steps: dict[str, Data]) -> None:
    """A link that is repaired leads to a valid identity, so no new one is needed; a new one brings a start and a request of its own."""
    acts = {step["act"]: step for step in steps.values()}
    if "rebootstrap" not in acts:
        return
    if "repair_link" in acts:
        link, new = acts["repair_link"], steps.pop(acts["rebootstrap"]["id"])
        link["answers"] += [answer for answer in new["answers"] if answer not in link["answers"]]
        return
    for step_id in [key for key, step in steps.items() if _goes_with_rebootstrap(step)]:
        del steps[step_id]


def _goes_with_rebootstrap(step: Data) -> bool:
    if step["act"] == "approve_csr":
        return bool(step["parameters"]["signer_name"] == CLIENT_SIGNER)
    return bool(step["act"] == "restart_kubelet")


def _plain(text: t.Any) -> t.Any:
    """A text of the evidence as it may stand in a plan: on one line, not too long, nothing that a template engine would take up."""
    if not isinstance(text, str):
        return None
    text = CONTROL.sub(" ", text)
    for mark in ("{{", "{%", "{#", "}}", "%}", "#}"):
        while mark in text:
            text = text.replace(mark, f"{mark[0]} {mark[1]}")
    return text if len(text) <= 2000 else text[:1999] + "…"

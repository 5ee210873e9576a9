# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Applies rules to the signals of one node: findings, what explains what, and which one is the primary cause."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.expressions import (
    Getter,
    conjuncts,
    getter,
    is_false,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.quote import fill, fill_command, search
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.rule_files import SEVERITIES, Quote, Rule
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.signals.renewal import OF_THE_KUBELET
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.stages import CSR_STAGES, ORDER
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data

MAX_QUOTES = 6
"""Lines of proof kept of one finding."""


class _Prepared(t.NamedTuple):
    """A rule, and what need not be found out for each node anew."""

    rule: Rule
    when: Getter | None
    """None: what the rule says of the cluster is false, so it matches on no node."""
    of_rotation: bool
    """It is about the kubelet's own rotation."""
    of_csrs: bool


class Engine:
    """The rules, made ready for the nodes of one cluster: all that depends on the cluster alone is evaluated here, once."""

    def __init__(self, rules: t.Iterable[Rule], shared: Data) -> None:
        """``shared``: the signals that are the same for every node, by subject."""
        self._rules = [_prepared(rule, shared) for rule in rules]
        paths = dict.fromkeys(path for entry in self._rules for path in entry.rule.needs)
        of_cluster = {path for path in paths if path.split(".", 1)[0] in shared}
        self._unknown_of_cluster = frozenset(path for path in of_cluster if search(path, shared) is None)
        self._needs = [(path, getter(path)) for path in paths if path not in of_cluster]

    def evaluate(self, signals: Data) -> tuple[list[Data], list[Data]]:
        """``(findings, skipped)`` for one node; see ``docs/diagnosis.md`` for their shapes.

        The findings are ordered: the primary cause, then causes by severity and stage, then symptoms. Where another than the kubelet renews
        its certificate, rules that are about its own rotation are passed over, and those about CSRs unless some of this node were seen. So is
        a rule of other distributions than this node's.
        """
        findings, skipped = [], []
        rotated_elsewhere = search("distribution.by_kubelet", signals) is False
        asks = any(search(path, signals) for path in ("csr.client.seen", "csr.serving.seen"))
        here = {search("distribution.name", signals), *(search("distribution.refines", signals) or ())}
        unknown = self._unknown_of_cluster.union(path for path, get in self._needs if get(signals) is None)
        for rule, when, of_rotation, of_csrs in self._rules:
            if rule.distributions and None not in here and here.isdisjoint(rule.distributions):
                continue
            if rotated_elsewhere and (of_rotation or (of_csrs and not asks)):
                continue
            if not unknown.isdisjoint(rule.needs):
                missing = [path for path in rule.needs if path in unknown]
                skipped.append({"rule": rule.id, "title": rule.title, "stage": rule.stage, "missing": missing})
            elif when is not None and when(signals):
                findings.append(_finding(rule, signals))
        _relate(findings)
        return sorted(findings, key=_rank), skipped


def _prepared(rule: Rule, shared: Data) -> _Prepared:
    never = any(
        roots is not None and roots <= shared.keys() and is_false(part(shared)) for part, roots in conjuncts(rule.when)
    )
    return _Prepared(
        rule,
        None if never else getter(rule.when),
        not OF_THE_KUBELET.isdisjoint(rule.needs),
        rule.stage in CSR_STAGES,
    )


def _finding(rule: Rule, signals: Data) -> Data:
    critical = rule.critical_when is not None and bool(search(rule.critical_when, signals))
    fix = (search("distribution.remedies", signals) or {}).get(rule.fix["situation"]) or rule.fix
    return {
        "rule": rule.id,
        "title": rule.title,
        "stage": rule.stage,
        "severity": "critical" if critical else rule.severity,
        "role": "contributing",
        "explained_by": [],
        "explains": list(rule.explains),
        "evidence": [line for quote in rule.evidence for line in _lines(quote, signals)][:MAX_QUOTES],
        "why": rule.why,
        "fix": {
            "steps": [
                {
                    "text": fill(step["text"], signals) or step["text"],
                    "command": fill_command(step["command"], signals) if step.get("command") else None,
                }
                for step in fix["steps"]
            ],
            "risk": fix["risk"],
            "task": rule.fix["task"],
        },
        "references": list(rule.references),
        "docs": f"docs/rules/{rule.id}.md",
    }


def _lines(quote: Quote, signals: Data) -> t.Iterator[Data]:
    items = [signals] if quote.each is None else search(quote.each, signals) or []
    for item in items if isinstance(items, list) else []:
        text = fill(quote.text, item)
        if text is not None:
            yield {"text": text, "source": quote.source, "time": search(quote.time, item) if quote.time else None}


def _relate(findings: list[Data]) -> None:
    """Fills in who explains whom among the findings, and each one's role.

    A finding explains only what is at most as severe as itself, or what ``critical`` it is itself behind: a warning does not account for
    something that is broken now. Two findings that explain each other are settled by the earlier stage.
    """
    by_id = {finding["rule"]: finding for finding in findings}
    for finding in findings:
        finding["explains"] = [
            other
            for other in finding["explains"]
            if other in by_id and other != finding["rule"] and _may_explain(finding, by_id[other])
        ]
    for finding in findings:
        for other in finding["explains"]:
            by_id[other]["explained_by"].append(finding["rule"])
    for finding in findings:
        finding["role"] = "symptom" if finding["explained_by"] else "contributing"
    causes = [f for f in findings if f["role"] == "contributing" and f["severity"] != "info"]
    if causes:
        min(causes, key=_rank)["role"] = "primary"


def _may_explain(finding: Data, other: Data) -> bool:
    if SEVERITIES.index(finding["severity"]) > SEVERITIES.index(other["severity"]):
        return False
    mutual = finding["rule"] in other["explains"]
    return not mutual or (ORDER[finding["stage"]], finding["rule"]) < (ORDER[other["stage"]], other["rule"])


_ROLES = {"primary": 0, "contributing": 1, "symptom": 2}


def _rank(finding: Data) -> tuple[int, int, int, str]:
    return (
        _ROLES[finding["role"]],
        SEVERITIES.index(finding["severity"]),
        ORDER[finding["stage"]],
        finding["rule"],
    )

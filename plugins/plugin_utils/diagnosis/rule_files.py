# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Rules are data: one YAML file a rule. Here they are read and checked; ``engine.py`` applies them.

A rule file::

    id: auto-approval-binding-missing     # a readable slug, the file's name, never reused
    title: one line, what is wrong
    stage: approval                       # see stages.py
    severity: warning                     # critical | warning | info
    critical_when: "rotation.failing"     # optional JMESPath: the warning is critical here and now
    needs: [rbac.auto_approval]           # signals that must be known, else the rule is skipped and says what is missing
    when: "rbac.auto_approval == `false`"
    evidence:                             # the quoted proof; a line whose value is unknown is left out
      - {text: "… {rbac.node_selfnodeclient.user} …", source: rbac_info, time: an expression, each: an expression}
    explains: [rotation-overdue]          # rules whose finding this one accounts for
    shows: how it shows itself to people
    why: what happens, and why it matters
    neighbours: [{rule: csr-denied, difference: how to tell them apart}]
    fix:
      steps: [{text: …, command: …}]
      risk: low
      task: [act, …]                      # what the role remediate may do, the first that can act is taken; see remediation/names.py
      situation: null                     # see SITUATIONS in distribution_files.py
    references: [url]
    kubernetes_versions: ">=1.8"          # for the reader
    distributions: [kubeadm]              # [] is all; the rule is passed over on a node known to be of another
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import typing as t

import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.distribution_files import SITUATIONS
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.expressions import compiled
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.quote import expressions
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.stages import ORDER
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.yaml_files import load_yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.remediation.names import ACTS

SEVERITIES = ("critical", "warning", "info")
RISKS = ("low", "medium", "high")
BUILT_IN = os.path.join(os.path.dirname(__file__), "rules")

_NOT_OF_A_PATH = re.compile(r"![a-z_]\w*\.")
_SLUG = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")


class RuleError(ValueError):
    """A rule, or what was said about one, is wrong; the message names the file or the option."""


@dataclasses.dataclass(frozen=True)
class Quote:
    """One line of proof: ``text`` over the signals, or over each item that ``each`` yields."""

    text: str
    source: str
    time: str | None = None
    each: str | None = None


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule as its file states it; see this module's head for the meaning of each part."""

    id: str
    title: str
    stage: str
    severity: str
    when: str
    why: str
    shows: str
    fix: dict[str, t.Any]
    needs: tuple[str, ...] = ()
    critical_when: str | None = None
    evidence: tuple[Quote, ...] = ()
    explains: tuple[str, ...] = ()
    neighbours: tuple[dict[str, str], ...] = ()
    references: tuple[str, ...] = ()
    kubernetes_versions: str = ""
    distributions: tuple[str, ...] = ()


_FIELDS = {field.name: field for field in dataclasses.fields(Rule)}
_REQUIRED = tuple(name for name, field in _FIELDS.items() if field.default is dataclasses.MISSING)


@functools.lru_cache(maxsize=1)
def built_in_rules() -> tuple[Rule, ...]:
    """The rules the collection ships, by stage and id."""
    return load_rules([BUILT_IN])


def chosen_rules(folders: t.Iterable[str], overrides: t.Mapping[str, t.Any] | None) -> tuple[Rule, ...]:
    """The rules the collection ships and those of a user's folders, with the user's changes. Raises RuleError."""
    rules = load_rules([BUILT_IN, *folders]) if folders else built_in_rules()
    return apply_overrides(rules, overrides or {})


def load_rules(folders: t.Iterable[str]) -> tuple[Rule, ...]:
    """Every ``*.yml`` of the folders as rules, by stage and id.

    Raises:
        RuleError: a folder or file cannot be read, is no rule, or an id occurs twice. The message names it.
    """
    rules: dict[str, Rule] = {}
    for folder in folders:
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith((".yml", ".yaml")))
        except OSError as error:
            raise RuleError(f"rule folder {folder!r} cannot be read: {error.strerror}") from error
        for name in names:
            rule = read_rule(os.path.join(folder, name))
            if rule.id in rules:
                raise RuleError(f"{os.path.join(folder, name)}: there is a rule {rule.id!r} already")
            rules[rule.id] = rule
    return tuple(sorted(rules.values(), key=lambda rule: (ORDER[rule.stage], rule.id)))


def read_rule(path: str) -> Rule:
    """One rule file. Raises RuleError naming the file and what is wrong with it."""
    try:
        with open(path, encoding="utf-8") as stream:
            data = load_yaml(stream)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RuleError(f"{path}: cannot be read: {error}") from error
    try:
        rule = parse_rule(data)
    except RuleError as error:
        raise RuleError(f"{path}: {error}") from error
    if os.path.splitext(os.path.basename(path))[0] != rule.id:
        raise RuleError(f"{path}: the file of rule {rule.id!r} must be named {rule.id}.yml")
    return rule


def parse_rule(data: t.Any) -> Rule:
    """A rule from parsed YAML. Raises RuleError saying which key is missing, unknown or wrong."""
    if not isinstance(data, dict):
        raise RuleError("a rule is a mapping")
    unknown, missing = sorted(set(data) - set(_FIELDS)), [name for name in _REQUIRED if not data.get(name)]
    if unknown or missing:
        raise RuleError(
            "; ".join([*(f"unknown key {k!r}" for k in unknown), *(f"key {k!r} is missing" for k in missing)])
        )
    for key, allowed in (("stage", tuple(ORDER)), ("severity", SEVERITIES)):
        if data[key] not in allowed:
            raise RuleError(f"{key} {data[key]!r} is none of {', '.join(allowed)}")
    if not _SLUG.match(str(data["id"])):
        raise RuleError(f"id {data['id']!r} is no slug (lower case, digits, hyphens)")
    evidence = tuple(_quote(line) for line in data.get("evidence") or ())
    fix = _fix(data["fix"])
    values: dict[str, t.Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if value is not None
    }
    rule = Rule(**{**values, "evidence": evidence, "fix": fix})
    _check_expressions(rule)
    return rule


def _quote(line: t.Any) -> Quote:
    if not isinstance(line, dict) or not {"text", "source"} <= set(line) <= {"text", "source", "time", "each"}:
        raise RuleError(f"evidence {line!r}: has text and source, and may have time and each")
    return Quote(**line)


def _fix(fix: t.Any) -> dict[str, t.Any]:
    if not isinstance(fix, dict) or not isinstance(fix.get("steps"), list) or fix.get("risk") not in RISKS:
        raise RuleError(f"fix: has steps (a list) and a risk ({', '.join(RISKS)})")
    for step in fix["steps"]:
        if not isinstance(step, dict) or not step.get("text") or set(step) - {"text", "command"}:
            raise RuleError(f"fix: step {step!r} has a text, and may have a command")
    if fix.get("situation") not in (None, *SITUATIONS):
        raise RuleError(f"fix: situation {fix['situation']!r} is none of {', '.join(SITUATIONS)}")
    return {
        "steps": fix["steps"],
        "risk": fix["risk"],
        "task": _task(fix.get("task")),
        "situation": fix.get("situation"),
    }


def _task(task: t.Any) -> list[str] | None:
    """One act or a list of them, each of which is known; None where there is none."""
    acts = [task] if isinstance(task, str) else task
    if acts is None:
        return None
    if not isinstance(acts, list) or not acts or any(act not in ACTS for act in acts):
        raise RuleError(f"fix: task {task!r} is no act, nor a list of acts ({', '.join(ACTS)})")
    return acts


def _check_expressions(rule: Rule) -> None:
    quoted = [quote.text for quote in rule.evidence] + [
        str(step.get(part) or "") for step in rule.fix["steps"] for part in ("text", "command")
    ]
    extra = [expression for quote in rule.evidence for expression in (quote.time, quote.each) if expression]
    conditions = [rule.when, *([rule.critical_when] if rule.critical_when else []), *rule.needs]
    for condition in conditions:
        if _NOT_OF_A_PATH.search(condition):
            raise RuleError(f"{condition!r}: JMESPath reads !a.b as (!a).b, so write !(a.b)")
    for expression in [*conditions, *extra, *(e for text in quoted for e in expressions(text))]:
        try:
            compiled(expression)
        except ValueError as error:
            raise RuleError(str(error)) from error


def apply_overrides(rules: t.Iterable[Rule], overrides: t.Mapping[str, t.Any]) -> tuple[Rule, ...]:
    """The rules with a user's changes: ``{id: {severity: info, reason: …}}`` or ``{id: {exclude: true, reason: …}}``.

    Raises:
        RuleError: an override names no rule, changes nothing that may be changed, or gives no reason.
    """
    by_id = {rule.id: rule for rule in rules}
    for rule_id, change in overrides.items():
        if rule_id not in by_id:
            raise RuleError(f"rule_overrides: there is no rule {rule_id!r}")
        if not isinstance(change, t.Mapping) or set(change) - {"severity", "exclude", "reason"}:
            raise RuleError(f"rule_overrides: {rule_id}: takes severity or exclude, and a reason")
        if not change.get("reason"):
            raise RuleError(f"rule_overrides: {rule_id}: give a reason")
        if change.get("exclude"):
            del by_id[rule_id]
        elif change.get("severity") in SEVERITIES:
            by_id[rule_id] = dataclasses.replace(by_id[rule_id], severity=change["severity"], critical_when=None)
        else:
            raise RuleError(
                f"rule_overrides: {rule_id}: severity {change.get('severity')!r} is none of {', '.join(SEVERITIES)}"
            )
    return tuple(by_id.values())

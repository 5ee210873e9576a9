# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Distributions are data: one YAML file each. Here they are read and checked; ``signals/distribution.py`` applies them.

A file, ``distributions/<name>.yml``::

    name: k3s                             # the file's name
    title: K3s
    refines: []                           # distributions that it is built on, and wins over
    recognised_by:                        # any of these; ``when`` and ``proof`` are over ``seen`` (signals/distribution.py)
      - {when: "contains(version, '+k3s')", proof: "the kubelet's version is {version}", source: node_info}
    rotates_by: supervisor                # who renews the client certificate: see ROTATORS
    renews_within: [{days: 120, since: [1.33.1]}, {days: 90}]    # supervisor: how long before its end a restart renews it
    csrs: none                            # CSRs that the kubelets make: none | serving | all
    approves_client_by: …                 # for people; "nobody", where no such CSR is made or approved
    approves_serving_by: …
    by_ssh: true                          # false: no shell, seen through the API only
    managed: false                        # true: approver and signer belong to the provider and cannot be looked at
    unit: k3s or k3s-agent                # the rest is what people, and the page in docs, want to know
    log: where the kubelet's log is
    paths: {kubeconfig: …, client_certificate: …, …}
    commands: {restart: …, start: …, log: …, status: …}          # {unit} and {node} are filled in
    remedies: {renew: {risk: low, steps: [{text: …, command: …}]}}   # situation → steps, over the signals: see SITUATIONS
    sources: [url]
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import typing as t

import yaml
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.expressions import compiled
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.quote import expressions
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.yaml_files import load_yaml

BUILT_IN = os.path.join(os.path.dirname(__file__), "distributions")

_LABEL = re.compile(r'\blabels\."([^"]+)"')

ROTATORS = {
    "kubelet": "the kubelet itself, by CSR",
    "supervisor": "the distribution's own process, when it starts",
    "installer": "the installer, when the machine is replaced or set up again",
    "iam": "nobody: the node signs in by IAM and has no client certificate",
    "nobody": "nobody",
}
CSRS = ("none", "serving", "all")
COMMANDS = ("restart", "start", "log", "status")
SITUATIONS = {
    "renew": "the client certificate is near its end",
    "expired": "the client certificate has ended",
    "client_csr": "a client CSR waits",
    "serving_csr": "a serving CSR waits",
    "serving": "the serving certificate is to be renewed",
}
"""What a rule's ``fix.situation`` may name: where the node's distribution has steps of its own for it, they replace the rule's."""


class DistributionError(ValueError):
    """A distribution's file is wrong; the message names it."""


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A distribution as its file states it; see this module's head for the meaning of each part."""

    name: str
    title: str
    recognised_by: tuple[dict[str, str], ...]
    rotates_by: str
    csrs: str
    approves_client_by: str
    approves_serving_by: str
    unit: str
    log: str
    paths: dict[str, str]
    sources: tuple[str, ...]
    refines: tuple[str, ...] = ()
    renews_within: tuple[dict[str, t.Any], ...] = ()
    by_ssh: bool = True
    managed: bool = False
    commands: dict[str, str] = dataclasses.field(default_factory=dict)
    remedies: dict[str, t.Any] = dataclasses.field(default_factory=dict)


_FIELDS = {field.name: field for field in dataclasses.fields(Distribution)}
_REQUIRED = tuple(
    name
    for name, field in _FIELDS.items()
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
)


@functools.lru_cache(maxsize=1)
def built_in_distributions() -> tuple[Distribution, ...]:
    """The distributions that the collection knows, by name."""
    names = sorted(name for name in os.listdir(BUILT_IN) if name.endswith(".yml"))
    found = tuple(read_distribution(os.path.join(BUILT_IN, name)) for name in names)
    known = {distribution.name for distribution in found}
    for distribution in found:
        if set(distribution.refines) - known:
            raise DistributionError(f"{distribution.name}: refines what there is no file of")
    return found


@functools.lru_cache(maxsize=1)
def asked_labels() -> frozenset[str]:
    """The node's labels by which distributions are recognised: ``labels."name"``. What else labels say, they do not look at."""
    hints = [hint for distribution in built_in_distributions() for hint in distribution.recognised_by]
    return frozenset(name for hint in hints for part in ("when", "proof") for name in _LABEL.findall(hint[part]))


def read_distribution(path: str) -> Distribution:
    """One file. Raises DistributionError naming it and what is wrong with it."""
    try:
        with open(path, encoding="utf-8") as stream:
            distribution = parse_distribution(load_yaml(stream))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, DistributionError) as error:
        raise DistributionError(f"{path}: {error}") from error
    if os.path.splitext(os.path.basename(path))[0] != distribution.name:
        raise DistributionError(f"{path}: the file of {distribution.name!r} must be named {distribution.name}.yml")
    return distribution


def parse_distribution(data: t.Any) -> Distribution:
    """A distribution from parsed YAML. Raises DistributionError saying what is missing, unknown or wrong."""
    if not isinstance(data, dict):
        raise DistributionError("a distribution is a mapping")
    unknown, missing = sorted(set(data) - set(_FIELDS)), [name for name in _REQUIRED if not data.get(name)]
    if unknown or missing:
        raise DistributionError(f"unknown keys {unknown}, missing keys {missing}")
    for key, allowed in (("rotates_by", tuple(ROTATORS)), ("csrs", CSRS)):
        if data[key] not in allowed:
            raise DistributionError(f"{key} {data[key]!r} is none of {', '.join(allowed)}")
    if set(data.get("commands") or ()) - set(COMMANDS) or set(data.get("remedies") or ()) - set(SITUATIONS):
        raise DistributionError(f"commands are {COMMANDS}, remedies are for {tuple(SITUATIONS)}")
    if data["rotates_by"] == "supervisor" and not data.get("renews_within"):
        raise DistributionError("a supervisor has renews_within")
    for hint in data["recognised_by"]:
        if set(hint) != {"when", "proof", "source"}:
            raise DistributionError(f"recognised_by {hint!r}: has when, proof and source")
        if "labels" in _LABEL.sub("", hint["when"]) or "{labels" in _LABEL.sub("", hint["proof"]):
            raise DistributionError(f'recognised_by {hint!r}: labels are looked at one by one, labels."name"')
    for situation, remedy in (data.get("remedies") or {}).items():
        if set(remedy) != {"risk", "steps"} or remedy["risk"] not in ("low", "medium", "high"):
            raise DistributionError(f"remedies: {situation} has a risk and steps")
        if any(not step.get("text") or set(step) - {"text", "command"} for step in remedy["steps"]):
            raise DistributionError(f"remedies: {situation}: a step has a text, and may have a command")
    values: dict[str, t.Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    distribution = Distribution(**values)
    _check_expressions(distribution)
    return distribution


def _check_expressions(distribution: Distribution) -> None:
    texts = [hint["proof"] for hint in distribution.recognised_by]
    texts += [*distribution.commands.values()]
    texts += [
        str(step.get(part) or "")
        for remedy in distribution.remedies.values()
        for step in remedy["steps"]
        for part in ("text", "command")
    ]
    conditions = [hint["when"] for hint in distribution.recognised_by]
    for expression in [*conditions, *(e for text in texts for e in expressions(text))]:
        try:
            compiled(expression)
        except ValueError as error:
            raise DistributionError(str(error)) from error

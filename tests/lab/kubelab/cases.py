# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cases of the matrix: a fault alone, or several at once (``tests/lab/compound``); and which cases can share one diagnosis.

A compound file has ``description``, ``faults`` (names, in the order they are injected), ``effect`` (optional; instead of the last
fault's own, which may be out of reach) and ``expect``: ``primary``, ``verdict``, ``stage``, ``contributing`` (rules that must be found as
causes of their own) and ``symptoms`` (rule: the rule that must be said to explain it).
"""

from __future__ import annotations

import dataclasses
import operator
import pathlib
import re
import typing as t

import yaml

from . import faults, settings
from .faults import Expectation, Fault
from .settings import LabError

#: Workers that a batch puts its cases on.
NODES = ("node1", "node2", "node3")
HEALTHY = "healthy"


@dataclasses.dataclass(frozen=True)
class Case:
    """What is injected on one node at once, and what the diagnosis must say then."""

    name: str
    kind: str  # fault | compound | healthy
    rule: str | None
    faults: tuple[Fault, ...]
    expect: Expectation
    effect: str | None = None

    @property
    def alone(self) -> bool:
        """Whether it cannot share the lab with another case."""
        pinned = any(fault.node != faults.ANY_NODE for fault in self.faults)
        return pinned or self.expect.others != HEALTHY or any(fault.alone for fault in self.faults)

    @property
    def node(self) -> str:
        """The machine it is injected on unless the matrix chooses another."""
        return next((fault.node for fault in self.faults if fault.node != faults.ANY_NODE), faults.ANY_NODE)

    @property
    def rules_of_others(self) -> set[str | None]:
        """What may be the primary cause of a node that the case was not injected on."""
        return {None, *(fault.rule for fault in self.faults if fault.expect.others != HEALTHY)}

    def runs_on(self, version: str) -> bool:
        """Whether it can be made with that version of Kubernetes, ``v1.36.3``."""
        return all(satisfies(version, fault.kubernetes) for fault in self.faults)


@dataclasses.dataclass(frozen=True)
class Batch:
    """Cases that are injected, diagnosed and healed together, each on a node of its own."""

    placed: tuple[tuple[Case, str], ...]

    @classmethod
    def of(cls, case: Case) -> Batch:
        """A case alone."""
        return cls(((case, case.node),))

    @property
    def name(self) -> str:
        return "+".join(case.name for case, _node in self.placed)

    def runs_on(self, version: str) -> bool:
        return all(case.runs_on(version) for case, _node in self.placed)


def satisfies(version: str, constraint: str) -> bool:
    """Whether ``v1.36.3`` satisfies a constraint such as ``>=1.36``; an empty one is satisfied by all."""
    if not constraint:
        return True
    match = re.fullmatch(r"(>=|<)(\d+)\.(\d+)", constraint)
    if not match:
        raise LabError(f"{constraint} says nothing about versions: >=1.36 and <1.36 do.")
    compare = {">=": operator.ge, "<": operator.lt}[match[1]]
    major, minor = version.removeprefix("v").split(".")[:2]
    return bool(compare((int(major), int(minor)), (int(match[2]), int(match[3]))))


def of_fault(fault: Fault) -> Case:
    kind = HEALTHY if fault.rule is None and fault.expect.verdicts == (HEALTHY,) else "fault"
    return Case(fault.name, kind, fault.rule, (fault,), fault.expect)


def compound(path: pathlib.Path) -> Case:
    """The case of a file in ``tests/lab/compound``."""
    raw = yaml.safe_load(path.read_text())
    unknown = set(raw) - {"description", "faults", "effect", "expect"}
    if unknown:
        raise LabError(f"{path.name}: unknown keys {sorted(unknown)}.")
    parts = tuple(faults.get(name) for name in raw["faults"])
    expect = dict(raw["expect"])
    rule = expect.pop("primary")
    others = "affected" if any(part.expect.others != HEALTHY for part in parts) else HEALTHY
    return Case(path.stem, "compound", rule, parts, Expectation.load({"others": others, **expect}), raw.get("effect"))


def load_all() -> dict[str, Case]:
    """Every case by name: the faults, then the compounds."""
    found = {name: of_fault(fault) for name, fault in faults.load_all().items()}
    found.update((path.stem, compound(path)) for path in sorted(settings.COMPOUNDS.glob("*.yml")))
    return found


def plan(cases: t.Iterable[Case], single: bool = False) -> list[Batch]:
    """Batches in the order they are best started in: what runs alone takes longest, and comes first.

    Healthy cases share batches with each other only, so that every node of theirs must be without a finding.
    """
    alone: list[Batch] = []
    batches: list[list[Case]] = []
    for case in cases:
        if single or case.alone:
            alone.append(Batch.of(case))
            continue
        batch = next((batch for batch in batches if _fits(case, batch)), None)
        if batch is None:
            batches.append(batch := [])
        batch.append(case)
    return alone + [Batch(tuple(zip(batch, NODES))) for batch in batches]  # noqa: B905 (fewer cases than nodes)


def _fits(case: Case, batch: t.Sequence[Case]) -> bool:
    """Whether the batch has a node left, is of the case's kind, and has none of its faults (each is injected once at a time)."""
    if len(batch) == len(NODES):
        return False
    constraints = {fault.kubernetes for fault in case.faults}
    return all(
        (case.kind == HEALTHY) == (other.kind == HEALTHY)
        and constraints == {fault.kubernetes for fault in other.faults}
        and not {fault.name for fault in case.faults} & {fault.name for fault in other.faults}
        for other in batch
    )

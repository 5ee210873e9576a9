# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How well the primary cause was found, over every node of every diagnosis that the matrix made.

A node of a diagnosis counts once: what was expected there (nothing, on a node that nothing was injected on) against what was found. Right:
the same rule. Precision is the share of right ones among the causes that were named, recall their share among those to be named. A
wrong name counts against both. Diagnoses that were repeated count each time.
"""

from __future__ import annotations

import collections
import typing as t

import yaml

from . import settings
from .settings import Json

STAGES = ("kubelet", "configuration", "schedule", "connection", "request", "approval", "signing", "storage", "use")


def rules() -> dict[str, str]:
    """The stage of every rule the collection ships."""
    folder = settings.REPOSITORY / "plugins/plugin_utils/diagnosis/rules"
    return {path.stem: yaml.safe_load(path.read_text())["stage"] for path in sorted(folder.glob("*.yml"))}


def measure(results: Json) -> Json:
    """The metrics of the matrix's results, from their ``cases`` and ``runs``."""
    stages = rules()
    predictions = [entry for run in results["runs"] for entry in run["predictions"]]
    named = {case["expected"]["primary"] for case in results["cases"] if case["passed"]}
    met = {
        finding["rule"] for case in results["cases"] if case["passed"] for finding in case["found"]["findings"]
    } - named
    return {
        "node_cases": len(predictions),
        "primary": _score(predictions, lambda rule: rule is not None),
        "by_stage": {
            stage: {
                **_score(predictions, lambda rule, stage=stage: rule is not None and stages.get(rule) == stage),  # type: ignore[misc]
                "rules": sum(value == stage for value in stages.values()),
                "live": sum(stages.get(rule) == stage for rule in named if rule),
                "live_as_symptom": sum(stages.get(rule) == stage for rule in met),
            }
            for stage in STAGES
        },
        "rules": len(stages),
        "live": len(named & set(stages)),
        "constructed": sorted(set(stages) - named),
        "cases": dict(collections.Counter(case["kind"] for case in results["cases"])),
        "repeated": sum(case["again"] for case in results["cases"]),
        "false_findings_on_healthy": sum(len(run["healthy_findings"]) for run in results["runs"]),
    }


def _score(predictions: t.Sequence[Json], mine: t.Callable[[str | None], bool]) -> Json:
    """Precision and recall over the predictions whose expected or found rule is mine; null where there is nothing to divide by."""
    right = sum(mine(entry["expected"]) and entry["found"] == entry["expected"] for entry in predictions)
    expected = sum(mine(entry["expected"]) for entry in predictions)
    found = sum(mine(entry["found"]) for entry in predictions)
    return {
        "right": right,
        "expected": expected,
        "found": found,
        "precision": round(right / found, 3) if found else None,
        "recall": round(right / expected, 3) if expected else None,
    }


def table(results: Json) -> str:
    """The metrics and times for a person."""
    metrics = results["metrics"]
    lines = ["stage          rules  live  constructed  expected  found  right  precision  recall"]
    rows = {**metrics["by_stage"]}
    for stage, row in rows.items():
        lines.append(_row(stage, row, row["rules"], row["live"]))
    lines.append(_row("all", metrics["primary"], metrics["rules"], metrics["live"]))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(metrics["cases"].items()))
    lines.append(f"cases: {kinds}; {metrics['node_cases']} node-cases; {metrics['repeated']} at the second try")
    lines.append(f"false findings on healthy nodes: {metrics['false_findings_on_healthy']}")
    for lab in results["labs"]:
        lines.append(
            f"Kubernetes {lab['kubernetes']}: {lab['cases']} cases in {lab['runs']} runs, {lab['seconds']:.0f} s"
        )
    steps = {
        what: sum(run["seconds"].get(what, 0) for run in results["runs"]) for what in ("inject", "diagnose", "heal")
    }
    spent = " + ".join(f"{what} {seconds:.0f}" for what, seconds in steps.items())
    lines.append(f"{results['seconds']:.0f} s in all; the runs' {spent} s")
    return "\n".join(lines)


def _row(name: str, score: Json, count: int, live: int) -> str:
    shares = ["-" if score[key] is None else f"{score[key]:.3f}" for key in ("precision", "recall")]
    numbers = f"{count:5}  {live:4}  {count - live:11}  {score['expected']:8}  {score['found']:5}  {score['right']:5}"
    return f"{name:13}  {numbers}  {shares[0]:>9}  {shares[1]:>6}"

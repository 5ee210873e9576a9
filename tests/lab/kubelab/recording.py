# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evidence of runs, kept as ``tests/fixtures/<run>.json`` to be judged again offline.

One file a run, one line a part: ``kubernetes``, ``placed`` (which case was on which node), and the evidence as the filter takes it:
``manifest``, ``cluster`` and ``nodes``. Of the nodes only those that something was injected on, those that claim to
be one of them, and the control plane.
"""

from __future__ import annotations

import json
import pathlib

from .settings import CONTROL_PLANE, REPOSITORY, Json

FIXTURES = REPOSITORY / "tests/fixtures"


def keep(run_directory: pathlib.Path, name: str, kubernetes: str, placed: dict[str, str]) -> pathlib.Path:
    """Write the fixture ``name`` from a run folder; ``placed`` gives each case's node."""
    claimed = _read(run_directory / "diagnosis.json")["fleet"]["duplicate_hosts"]
    nodes = sorted({*placed.values(), CONTROL_PLANE, *(host for claim in claimed for host in claim["hosts"])})
    evidence: Json = {
        "manifest": _read(run_directory / "manifest.json"),
        "cluster": {path.stem: _read(path) for path in sorted((run_directory / "cluster").glob("*.json"))},
        "nodes": {node: _read(run_directory / f"nodes/{node}.json") for node in nodes},
    }
    lines = [f'"kubernetes": {json.dumps(kubernetes)}', f'"placed": {json.dumps(placed)}']
    lines.append(f'"manifest": {_compact(evidence["manifest"])}')
    for part in ("cluster", "nodes"):
        inner = ",\n".join(f"  {json.dumps(key)}: {_compact(value)}" for key, value in evidence[part].items())
        lines.append(f'"{part}": {{\n{inner}\n}}')
    target = FIXTURES / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    target.chmod(0o644)
    return target


def _read(path: pathlib.Path) -> Json:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

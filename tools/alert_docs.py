# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what follows from the alerts' rules and from the recording of them in the lab. ``--check`` only says what is out of date.

The Prometheus operator's manifests, the figure of docs/alerts.md, and the table between the two comments in it.
"""

from __future__ import annotations

import pathlib
import re
import sys
import typing as t

import yaml
from common import ROOT

sys.path.insert(0, str(ROOT / "tests"))

import alert_figure  # noqa: E402
from alerts.recording import Recording  # noqa: E402

MANIFESTS = ROOT / "docs/manifests"
RULES = {"alerts": "kubelet-certificates", "audit-alerts": "kubelet-certificates-audit"}
"""Files ``<name>.rules.yml`` of Prometheus, and what the operator's object with the same rules in ``<name>.yml`` is called."""
RECORDING = ROOT / "tests/alerts/recorded/rotation-failure.json"
FIGURE = ROOT / "docs/alerts.svg"
PAGE = ROOT / "docs/alerts.md"
TABLE = re.compile(r"(?<=<!-- table: written by `make docs` -->\n\n).*?(?=\n<!-- end of table -->)", re.DOTALL)
HEAD = """---
# {name}.rules.yml as the Prometheus operator takes it; written by `make docs`.
#   kubectl apply -n monitoring -f {name}.yml
# Where the Prometheus object has a ruleSelector, give it the labels that it selects.
"""


class Dumper(yaml.SafeDumper):
    """YAML without references, and with texts of several lines as they are."""

    def ignore_aliases(self, data: t.Any) -> bool:
        """Write what is shared twice."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists, as yamllint asks."""
        super().increase_indent(flow, False)


def text(dumper: Dumper, value: str) -> yaml.ScalarNode:
    """A text: in one line, or as a block."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Dumper.add_representer(str, text)


def manifest(name: str) -> str:
    """The rules of a file in a PrometheusRule object."""
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": RULES[name]},
        "spec": yaml.safe_load((MANIFESTS / f"{name}.rules.yml").read_text(encoding="utf-8")),
    }
    return HEAD.format(name=name) + yaml.dump(document, Dumper=Dumper, sort_keys=False, width=120)


def wanted() -> dict[pathlib.Path, str]:
    """What each file has to contain."""
    recording = Recording.load(RECORDING)
    table = alert_figure.table(recording)
    return {
        **{MANIFESTS / f"{name}.yml": manifest(name) for name in RULES},
        FIGURE: alert_figure.figure(recording),
        PAGE: TABLE.sub(lambda _match: table, PAGE.read_text(encoding="utf-8")),
    }


def main() -> int:
    """Gives the exit status."""
    stale = [
        (path, content)
        for path, content in wanted().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != content
    ]
    for path, content in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} is not what `make docs` writes")
        else:
            path.write_text(content, encoding="utf-8")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())

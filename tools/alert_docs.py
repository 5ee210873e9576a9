# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what follows from the alerts' rules: the Prometheus operator's manifest. ``--check`` only says whether it is up to date."""

from __future__ import annotations

import sys
import typing as t

import yaml
from common import ROOT

RULES = ROOT / "docs/manifests/alerts.rules.yml"
MANIFEST = ROOT / "docs/manifests/alerts.yml"
HEAD = """---
# alerts.rules.yml as the Prometheus operator takes it; written by `make docs`.
#   kubectl apply -n monitoring -f alerts.yml
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


def manifest() -> str:
    """The rules in a PrometheusRule object."""
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "kubelet-certificates"},
        "spec": yaml.safe_load(RULES.read_text(encoding="utf-8")),
    }
    return HEAD + yaml.dump(document, Dumper=Dumper, sort_keys=False, width=120)


def main() -> int:
    """Gives the exit status."""
    wanted = manifest()
    if "--check" not in sys.argv:
        MANIFEST.write_text(wanted, encoding="utf-8")
    elif not MANIFEST.is_file() or MANIFEST.read_text(encoding="utf-8") != wanted:
        print(f"{MANIFEST.relative_to(ROOT)} is not what `make docs` writes")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one action plugin of the collection as a task would, without a play: ``python act.py report '{"run_dir": …}'``."""

from __future__ import annotations

import importlib
import json
import sys
from types import SimpleNamespace


def main(name: str, options: str) -> None:
    plugin = importlib.import_module(f"ansible_collections.kubecare.kubelet_certs.plugins.action.{name}")
    task = SimpleNamespace(
        args=json.loads(options),
        async_val=0,
        check_mode=False,
        diff=False,
        action=f"kubecare.kubelet_certs.{name}",
        delegate_to=None,
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    result = plugin.ActionModule(task, connection, SimpleNamespace(), None, None, None).run(task_vars={})
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

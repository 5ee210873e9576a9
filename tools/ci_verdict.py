# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The closing line of ``.ci/run``: what ``make test`` left in ``build/test-results.json``, a skipped part counted as a failure."""

from __future__ import annotations

import json
import sys

from common import BUILD


def main() -> int:
    """The argument is the exit status of ``make test``; gives that of the whole."""
    status = int(sys.argv[1])
    try:
        results = json.loads((BUILD / "test-results.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        print("make test ended before it had results")
        results = {"passed": 0, "failed": 1, "skipped": 0, "parts": []}
    for part in results["parts"]:
        if part["skipped"]:
            print(f"Skipped, and counted as failed here: {part['name']}: {part['skipped']}")
    failed = max(results["failed"] + results["skipped"], int(status != 0))
    print(f"{results['passed']} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

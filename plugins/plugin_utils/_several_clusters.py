# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What a run over several clusters has to refuse."""

from __future__ import annotations

import typing as t

_OF_ONE_CLUSTER = ("HOST", "CONTEXT", "API_KEY", "USERNAME", "PASSWORD", "CERT_FILE", "KEY_FILE")


def shared_credentials(environment: t.Mapping[str, str]) -> list[str]:
    """The variables that are set and mean one cluster: the modules would take them for each, and so send one's token to the others."""
    return [name for name in (f"K8S_AUTH_{part}" for part in _OF_ONE_CLUSTER) if environment.get(name)]

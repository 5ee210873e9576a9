# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What the signals of one node are derived from: its evidence, its cluster's, and the time."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import parse_time

Data = dict[str, t.Any]

CLUSTER_MODULES = ("node_info", "csr_info", "rbac_info", "control_plane_info")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The cluster modules' results; an absent one is an empty mapping, so that all of it is unknown."""

    node_info: Data
    csr_info: Data
    rbac_info: Data
    control_plane_info: Data
    control_plane_hosts: tuple[Data, ...] = ()
    """The ``control_plane`` part of every probed control-plane node."""
    key_holders: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    """Public key of a client certificate → the hosts that hold it."""
    remembered: Data = dataclasses.field(default_factory=dict, compare=False)
    """What ``once`` found out of it."""


Found = t.TypeVar("Found")


def once(function: t.Callable[[Cluster], Found]) -> t.Callable[[Cluster], Found]:
    """A function of the cluster alone, which every node asks: its answer, which nobody changes, is found once."""

    @functools.wraps(function)
    def answer(cluster: Cluster) -> Found:
        key = f"{function.__module__}.{function.__qualname__}"
        if key not in cluster.remembered:
            cluster.remembered[key] = function(cluster)
        return t.cast("Found", cluster.remembered[key])

    return answer


@dataclasses.dataclass(frozen=True)
class View:
    """One node as the evidence shows it.

    ``node`` is its Node object's record (None: not listed), ``probe`` its host's evidence (None: no host, or no answer),
    ``csrs`` its certificate signing requests, oldest first (None: they could not be listed), ``now`` a time.
    """

    name: str
    now: str
    cluster: Cluster
    node: Data | None
    probe: Data | None
    csrs: tuple[Data, ...] | None
    host: str | None = None
    matched_by: str | None = None
    probed: Data | None = None
    """The host's evidence also where it did not answer: says why."""


def dig(data: t.Any, *path: str) -> t.Any:
    """The value at ``path``, or None where any part of it is absent or no mapping: absent evidence is unknown."""
    for key in path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def seconds_since(moment: str | None, now: str) -> int | None:
    """Whole seconds from ``moment`` to ``now``; negative for a moment to come, None when it is unknown or no time."""
    if not isinstance(moment, str):
        return None
    try:
        return int((parse_time(now) - parse_time(moment)).total_seconds())
    except ValueError:
        return None


def latest(moments: t.Iterable[str | None]) -> str | None:
    """The latest of some times (all in the one format, which sorts as text); None when there is none."""
    return max((moment for moment in moments if moment), default=None)


def earliest(moments: t.Iterable[str | None]) -> str | None:
    """The earliest of some times; None when there is none."""
    return min((moment for moment in moments if moment), default=None)

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Values out of the API's JSON, each of the type it should have or None: what an API server answers is hostile input too."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._secrets import CUT_MARGIN, without_secrets
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time

Data = dict[str, t.Any]

MAX_TEXT = 2048
"""Characters kept of any one text."""

MAX_ITEMS = 256
"""Items kept of a list inside one object (conditions, groups, managers)."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def text(value: t.Any, limit: int = MAX_TEXT) -> str | None:
    """The text without control characters (a line break and a tab stay), clipped; None when it is none."""
    if not isinstance(value, str):
        return None
    cleaned = _UNPRINTABLE.sub("\ufffd", value[: limit + 1])
    return cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"


def safe_text(value: t.Any, limit: int = MAX_TEXT) -> str | None:
    """As ``text``, of a text that a program wrote freely: what looks like a key, token or password is taken out first."""
    if not isinstance(value, str):
        return None
    cut = len(value) > limit * 8
    value = without_secrets(value[: limit * 8])
    return text(value[:-CUT_MARGIN] if cut else value, limit)


def integer(value: t.Any) -> int | None:
    """A whole number of 64 bits, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def truth(value: t.Any) -> bool | None:
    """True, False, or None for anything else."""
    return value if isinstance(value, bool) else None


def moment(value: t.Any) -> str | None:
    """A time in the one form (``_time.py``); None when it is no time."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return format_time(parse_time(value))
    except ValueError:
        return None


def mapping(value: t.Any) -> Data:
    """The mapping itself, or an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: t.Any) -> list[t.Any]:
    """The first items of the list, or an empty one."""
    return value[:MAX_ITEMS] if isinstance(value, list) else []


def texts(value: t.Any) -> list[str]:
    """The texts of a list."""
    return [item for item in map(text, sequence(value)) if item is not None]


def labels(value: t.Any) -> dict[str, str]:
    """Text to text, as labels are."""
    pairs = ((text(key), text(item)) for key, item in list(mapping(value).items())[:MAX_ITEMS])
    return {key: item for key, item in pairs if key is not None and item is not None}


def condition(value: t.Any) -> Data:
    """A condition of a Node or a certificate signing request, without its times."""
    source = mapping(value)
    return {
        "type": text(source.get("type")),
        "status": text(source.get("status")),
        "reason": text(source.get("reason")),
        "message": safe_text(source.get("message")),
    }


def managed_fields(metadata: Data) -> list[Data]:
    """Who wrote which part of an object and when, oldest first: ``metadata.managedFields`` without the fields themselves."""
    found = [
        {
            "manager": text(entry.get("manager")),
            "operation": text(entry.get("operation")),
            "subresource": text(entry.get("subresource")) or None,
            "time": moment(entry.get("time")),
        }
        for entry in map(mapping, sequence(metadata.get("managedFields")))
    ]
    return sorted(found, key=lambda entry: entry["time"] or "")


def last_change(metadata: Data) -> tuple[str | None, str | None]:
    """``(time, manager)`` of the newest write that ``managedFields`` tell of; the creation when they tell of none."""
    newest = next((entry for entry in reversed(managed_fields(metadata)) if entry["time"]), None)
    if newest is None:
        return moment(metadata.get("creationTimestamp")), None
    return newest["time"], newest["manager"]


def lease(spec: t.Any) -> Data:
    """A ``coordination.k8s.io/v1`` Lease's spec."""
    source = mapping(spec)
    return {
        "holder": text(source.get("holderIdentity")),
        "acquired": moment(source.get("acquireTime")),
        "renewed": moment(source.get("renewTime")),
        "duration_seconds": integer(source.get("leaseDurationSeconds")),
    }

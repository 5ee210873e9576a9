# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``storage``: can the kubelet store a certificate where it keeps them."""

from __future__ import annotations

import re

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import (
    Data,
    View,
    dig,
    seconds_since,
)

FULL_BYTES = 64 * 1024
"""Less than this and a new certificate with its key (about 3 KB, in blocks) may not fit any more."""

SCARCE_BYTES = 1024 * 1024
SCARCE_OF_SMALL_BYTES, SCARCE_PERCENT = 100 * 1024 * 1024, 5
"""Nearly full: less than 1 MiB, or less than 100 MiB and 5 % of a file system that others fill too."""

SCARCE_INODES = 16
"""A rotation takes two inodes (a file and a link)."""


RECENT_SECONDS = 20 * 60

_OF_CERTIFICATES = re.compile(r'name="[^"]*(pki\b|kubelet-(client|server)|kubelet\.(crt|key))')


def storage_signals(view: View) -> Data:
    """The certificate directory and its file system; sizes in bytes."""
    pki = dig(view.probe, "pki")
    filesystem = dig(pki, "filesystem")
    free, inodes = dig(filesystem, "free_bytes"), dig(filesystem, "inodes_free")
    size = dig(filesystem, "size_bytes")
    counted = inodes is not None and bool(dig(filesystem, "inodes"))
    full = None if free is None else free < FULL_BYTES
    exhausted = inodes == 0 if counted else None if inodes is None else False
    unit = dig(view.probe, "kubelet", "unit")
    scarce = free is not None and (
        free < SCARCE_BYTES or (free < SCARCE_OF_SMALL_BYTES and bool(size) and free * 100 < size * SCARCE_PERCENT)
    )
    return {
        "path": dig(pki, "path"),
        "exists": dig(pki, "exists"),
        "mount_point": dig(filesystem, "mount_point"),
        "filesystem": dig(filesystem, "type"),
        "read_only": dig(filesystem, "read_only"),
        "volatile": None if dig(filesystem, "type") is None else dig(filesystem, "type") in ("tmpfs", "ramfs"),
        "writable": dig(pki, "writable"),
        "free_bytes": free,
        "inodes_free": inodes,
        "size_bytes": size,
        "inodes": dig(filesystem, "inodes"),
        "full": full,
        "inodes_exhausted": exhausted,
        "nearly_full": None
        if full is None
        else not full and not exhausted and bool(scarce or (counted and inodes < SCARCE_INODES)),
        "immutable": dig(pki, "immutable"),
        "denials": _denials(view),
        "selinux": dig(view.probe, "denials", "selinux"),
        "read_only_on_host": dig(filesystem, "read_only_on_host"),
        "unit_protect_system": dig(unit, "protect_system"),
        "unit_read_only_paths": dig(unit, "read_only_paths"),
        "unit_inaccessible_paths": dig(unit, "inaccessible_paths"),
    }


def _denials(view: View) -> list[Data] | None:
    """What SELinux or AppArmor lately denied the kubelet among its certificates; not what they only noted (permissive)."""
    lines = dig(view.probe, "denials", "lines")
    if lines is None:
        return None
    return [
        line
        for line in lines
        if _OF_CERTIFICATES.search(line["message"])
        and not re.search(r"permissive=1|apparmor=.ALLOWED", line["message"])
        and (seconds_since(line.get("time"), view.now) or 0) <= RECENT_SECONDS
    ]

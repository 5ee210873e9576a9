# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Signals ``storage``: can the kubelet store a certificate where it keeps them."""

from __future__ import annotations

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import Data, View, dig

FULL_BYTES = 64 * 1024
"""Less than this and a new certificate with its key (about 3 KB, in blocks) may not fit any more."""


def storage_signals(view: View) -> Data:
    """The certificate directory and its file system; sizes in bytes."""
    pki = dig(view.probe, "pki")
    filesystem = dig(pki, "filesystem")
    free, inodes = dig(filesystem, "free_bytes"), dig(filesystem, "inodes_free")
    full_inodes = None if inodes is None or not dig(filesystem, "inodes") else inodes == 0
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
        "full": None if free is None else bool(free < FULL_BYTES or full_inodes),
    }

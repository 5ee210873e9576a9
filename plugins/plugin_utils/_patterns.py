# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What an act on a node may be given: the forms of its parameters, the same where a plan is checked and where the act is done.

Each pattern is of the whole text (``fullmatch``), whose length is compared first.
"""

from __future__ import annotations

import re
import typing as t

NODE: t.Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""A DNS-1123 subdomain."""
UNIT: t.Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]*\.service|[A-Za-z0-9][A-Za-z0-9_@-]*")
SERVER: t.Final = re.compile(
    r"https://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]{1,253}){0,9}/?"
)
"""With a path where a proxy such as Rancher's is before the API server."""
SHA256: t.Final = re.compile(r"[0-9a-f]{64}")
DATED_FILE: t.Final = re.compile(r"kubelet-(client|server)-[0-9]{4}(-[0-9]{2}){5}\.pem")
CERTIFICATES: t.Final = re.compile(
    r"(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----\n*)+"
)
"""PEM of certificates and nothing else."""

MAX_NODE_CHARS: t.Final = 253
MAX_UNIT_CHARS: t.Final = 100
MAX_SERVER_CHARS: t.Final = 512
MAX_PEM_CHARS: t.Final = 65_536
MAX_REMOVED: t.Final = 5000
"""Files that one act removes."""
MAX_FILES: t.Final = 20
"""Files that one act is bound to."""

_PATH = re.compile(r"(/[A-Za-z0-9._@+-]+)+")
_MAX_PATH_CHARS = 512


def is_plain_path(text: str) -> bool:
    """An absolute path of plain characters, without ``.`` and ``..`` and a slash at its end."""
    return len(text) <= _MAX_PATH_CHARS and bool(_PATH.fullmatch(text)) and not {".", ".."} & set(text.split("/"))

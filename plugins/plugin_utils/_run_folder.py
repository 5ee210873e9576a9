# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A run folder on the control node: the one place that knows its layout (see ``docs/evidence.md``)."""

from __future__ import annotations

import json
import os
import re
import stat
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import CLUSTER_MODULES

MAX_FILE_BYTES = 512 * 1024 * 1024

CLUSTER_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
"""A cluster's name. It is a folder's name, a group's and a part of host names, and so has no dot."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class RunFolderError(ValueError):
    """A run folder, or a file in it, is not what it should be; the message names it."""


def node_file(run_dir: str, host: str) -> str:
    """The path of a host's evidence. A name that is no plain file name is escaped, so that no host can write elsewhere."""
    name = _UNSAFE.sub(lambda match: f"%{ord(match.group()):02X}", host)
    return os.path.join(run_dir, "nodes", f"{name.lstrip('.') or '%2E'}.json")


def cluster_folders(run_dir: str) -> dict[str, str]:
    """The run folders in a run folder, by cluster: of a run over several clusters each has its own in ``clusters/``. Else empty.

    Raises RunFolderError for one that is a link, as what is written there would go elsewhere.
    """
    folder = os.path.join(run_dir, "clusters")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = {name: os.path.join(folder, name) for name in names if CLUSTER_NAME.fullmatch(name)}
    for path in (folder, *found.values()):
        if os.path.islink(path):
            raise RunFolderError(f"{path}: is a link")
    return {name: path for name, path in found.items() if os.path.isdir(path)}


def read_json(path: str) -> t.Any:
    """The file's content. Raises RunFolderError naming the file when it cannot be read or is no JSON.

    The folder may come from a stranger. So a pipe or a device is refused before anything is read of it: opening or reading one may never end.
    """
    try:
        with open(path, encoding="utf-8", opener=_open_at_once) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RunFolderError(f"{path}: is no plain file")
            if status.st_size > MAX_FILE_BYTES:
                raise RunFolderError(f"{path}: is larger than {MAX_FILE_BYTES} bytes")
            return json.load(stream)
    except RunFolderError:
        raise
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: is no JSON: {error}") from error


def _open_at_once(path: str, flags: int) -> int:
    """Like ``os.open``, but a pipe that nobody writes to is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def read_evidence(run_dir: str) -> dict[str, t.Any]:
    """``{"manifest": …, "cluster": {module: result}, "nodes": {host: result}}`` of a run folder.

    A file that cannot be read is said in its place as ``not_seen`` with the reason ``malformed``, so that one bad file does not hide the
    others.

    Raises:
        RunFolderError: there is no such folder, or it holds no evidence at all.
    """
    if not os.path.isdir(run_dir):
        raise RunFolderError(f"{run_dir}: there is no such folder")
    cluster, nodes = {}, {}
    for module in CLUSTER_MODULES:
        path = os.path.join(run_dir, "cluster", f"{module}.json")
        if os.path.exists(path):
            cluster[module] = _read_part(path, module)
    folder = os.path.join(run_dir, "nodes")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".json") and not name.startswith("."):
            part = _read_part(os.path.join(folder, name), "node")
            nodes[str(part.get("inventory_hostname") or name[: -len(".json")])] = part
    if not cluster and not nodes:
        raise RunFolderError(f"{run_dir}: holds no evidence (neither cluster/*.json nor nodes/*.json)")
    manifest_path = os.path.join(run_dir, "manifest.json")
    manifest = _read_part(manifest_path, "manifest") if os.path.exists(manifest_path) else {}
    return {"manifest": manifest, "cluster": cluster, "nodes": nodes}


def _read_part(path: str, subject: str) -> dict[str, t.Any]:
    try:
        data = read_json(path)
        if not isinstance(data, dict):
            raise RunFolderError(f"{path}: is no JSON object")
    except RunFolderError as error:
        return {"not_seen": [{"subject": subject, "reason": "malformed", "message": str(error)}]}
    return data

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The history on disk: the one place that knows its layout, and all that reads and writes it.

::

    <history>/
      audits/20261125T020000Z-3f9c1a/     one audit: audit.json, nodes.json (``record.py``)
      audits/.20261126T020000Z-77ab02.5be1d2.part/     one that is being written, or was cut short
      runs/20261125T020000Z-3f9c1a/       its run folder: evidence, diagnosis, report

An audit gets its name by one rename when it is whole, so that whatever happens, what has a name can be read. There is no index: the
names are it. They begin with the time, and end so that two audits of one second differ.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import (
    format_time,
    from_epoch,
    parse_time,
    seconds_between,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import RunFolderError, read_json
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import (
    Data,
    MalformedError,
    read_audit,
    read_nodes,
)

NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
HALF_SECONDS = 24 * 3600
"""A folder without a name, or a run without an audit, that is younger may belong to an audit that is at work."""
AT_ONCE_SECONDS = 3600
"""An audit that is later than this one by no more was at work at the same time; one that is still later had a wrong clock."""

_HIDDEN = re.compile(rf"\.{NAME.pattern}\.[0-9a-f]{{6}}\.(part|old)")


def name_of(run_dir: str, moment: str) -> str:
    """The name of a run's audit: that of its folder where it is one of the history's, else by its time and path."""
    base = os.path.basename(os.path.abspath(run_dir))
    if NAME.fullmatch(base):
        return base
    stamp = re.sub(r"[-:]", "", format_time(parse_time(moment)))
    return f"{stamp}-{hashlib.sha256(os.path.abspath(run_dir).encode(errors='surrogateescape')).hexdigest()[:6]}"


def read_audits(history: str, before: str, newest: int) -> tuple[dict[str, Data], list[Data]]:
    """``(audits, passed_over)``: by name the newest readable audits of a time not after ``before``, newest first; and what was wrong with those
    that are newer than all of them. One that lies further back is not said again.

    Raises:
        OSError: the folder is there and cannot be listed.
    """
    audits: dict[str, Data] = {}
    passed_over: list[Data] = []
    for name in reversed(_names(os.path.join(history, "audits"))):
        if len(audits) == newest:
            break
        try:
            audit = read_audit(read_json(os.path.join(history, "audits", name, "audit.json")))
            later = seconds_between(before, audit["time"])
            if later > AT_ONCE_SECONDS:
                raise MalformedError(f"it is of {audit['time']}, which is later than this audit")
            if later <= 0:
                audits[name] = audit
        except (RunFolderError, MalformedError) as error:
            passed_over += [] if audits else [{"audit": name, "why": str(error)}]
    return audits, passed_over


def read_last(history: str, audits: t.Mapping[str, Data], cluster: str) -> tuple[list[Data], str | None, list[Data]]:
    """``(nodes, time, passed_over)`` of a cluster's last readable audit; no nodes and None where there is none."""
    passed_over: list[Data] = []
    for name, audit in audits.items():
        if cluster not in audit["clusters"]:
            continue
        try:
            nodes = read_nodes(read_json(os.path.join(history, "audits", name, "nodes.json")))
        except (RunFolderError, MalformedError) as error:
            passed_over.append({"audit": name, "why": str(error)})
            continue
        return [node for node in nodes if node["cluster"] == cluster], audit["time"], passed_over
    return [], None, passed_over


def write_json(folder: str, name: str, value: t.Any) -> None:
    """A new file for its owner only, on the disk when this returns. Raises OSError."""
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump(value, stream, separators=(",", ":"))
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())


def keep(history: str, name: str, audit: t.Any, nodes: t.Any) -> bool:
    """Writes an audit, whole or not at all. False: it was there. Raises OSError."""
    audits = os.path.join(history, "audits")
    final = os.path.join(audits, name)
    if os.path.isdir(final):
        return False
    os.makedirs(audits, mode=0o700, exist_ok=True)
    part = _hidden(audits, name, "part")
    os.mkdir(part, 0o700)
    try:
        write_json(part, "audit.json", audit)
        write_json(part, "nodes.json", nodes)
        _sync(part)
        os.rename(part, final)
        _sync(audits)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def prune(history: str, keep_audits: int, keep_days: int, keep_runs: int) -> list[str]:
    """Removes the audits and run folders that are not to be kept, and what was cut short a day ago. The newest audit always stays.

    Args:
        history: the folder; whatever else lies in it is not touched.
        keep_audits: so many audits; 0: all.
        keep_days: of so many days; 0: of all.
        keep_runs: so many run folders; 0: all.

    Returns: the paths of what is removed, half folders aside. What cannot be removed stays, for the next time.
    """
    now = time.time()
    audits, runs = os.path.join(history, "audits"), os.path.join(history, "runs")
    removed = []
    names = _names(audits)
    last_day = re.sub(r"[-:]", "", from_epoch(max(0.0, now - keep_days * 86400)))
    for position, name in enumerate(reversed(names)):
        if position and ((keep_audits and position >= keep_audits) or (keep_days and name < last_day)):
            removed += _remove(audits, name)
    if keep_runs:
        for name in _names(runs)[:-keep_runs]:
            if name in names or _age(os.path.join(runs, name), now) > HALF_SECONDS:
                removed += _remove(runs, name)
    for folder in (audits, runs):
        for name in _listed(folder):
            path = os.path.join(folder, name)
            if (match := _HIDDEN.fullmatch(name)) and (match[1] == "old" or _age(path, now) > HALF_SECONDS):
                shutil.rmtree(path, ignore_errors=True)
    return removed


def _names(folder: str) -> list[str]:
    """The names of whole folders, oldest first."""
    return sorted(name for name in _listed(folder) if NAME.fullmatch(name))


def _listed(folder: str) -> list[str]:
    """The folders in a folder, but links; none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _remove(folder: str, name: str) -> list[str]:
    """Takes the name away first, so that a folder that is half removed is never read."""
    hidden = _hidden(folder, name, "old")
    try:
        os.rename(os.path.join(folder, name), hidden)
    except OSError:
        return []
    shutil.rmtree(hidden, ignore_errors=True)
    return [os.path.join(folder, name)]


def _hidden(folder: str, name: str, kind: str) -> str:
    return os.path.join(folder, f".{name}.{secrets.token_hex(3)}.{kind}")


def _age(path: str, now: float) -> float:
    """Seconds since a folder, or a folder or file in it, was changed; 0 when it is gone."""
    try:
        with os.scandir(path) as entries:
            inside = [entry.stat(follow_symlinks=False).st_mtime for entry in entries]
        return now - max([os.stat(path).st_mtime, *inside])
    except OSError:
        return 0


def _sync(folder: str) -> None:
    """Has the disk know the folder's entries."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

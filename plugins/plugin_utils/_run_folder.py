# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A run folder on the control node: the one place that knows its layout (see ``docs/evidence.md``)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._json_lists import JsonList, Kept, read_object
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.conform import checker
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.gathered import (
    LONG_LISTS,
    Gathered,
    fitted_item,
    fitted_probe,
    outline_of_probe,
    outlines_of,
)
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.view import CLUSTER_MODULES, Data

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
    """The file's content. Raises RunFolderError naming the file when it cannot be read or is no JSON."""
    with _told(path), _opened(path) as stream:
        return json.load(stream)


def read_listed(
    path: str, key: str, keep: t.Callable[[t.Any], Kept | None]
) -> tuple[dict[str, t.Any], JsonList[Kept]] | None:
    """A file with a long list, as ``read_object`` gives it. None where it is anything else: ``read_json`` says what it is."""
    with contextlib.suppress(RunFolderError, OSError, ValueError, RecursionError):
        stream = _opened(path)
        try:
            part, found = read_object(stream, key, keep)
        except BaseException:
            stream.close()
            raise
        if found is not None:
            return part, found
        stream.close()
    return None


@contextlib.contextmanager
def _told(path: str) -> t.Iterator[None]:
    """What goes wrong with a file, as a RunFolderError that names it."""
    try:
        yield
    except RunFolderError:
        raise
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: is no JSON: {error}") from error


def _opened(path: str) -> t.BinaryIO:
    """The file. Raises RunFolderError when it is none, or too large.

    The folder may come from a stranger. So a pipe or a device is refused before anything is read of it: opening or reading one may never end.
    """
    stream = open(path, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115 - the caller closes it
    status = os.fstat(stream.fileno())
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = "is no plain file"
    elif status.st_size > MAX_FILE_BYTES:
        problem = f"is larger than {MAX_FILE_BYTES} bytes"
    if problem:
        stream.close()
        raise RunFolderError(f"{path}: {problem}")
    return stream


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
    cluster = {module: _read_part(path, module) for module, path in _cluster_files(run_dir)}
    nodes = {}
    for path in _node_files(run_dir):
        part = _read_part(path, "node")
        nodes[_host(path, part)] = part
    if not cluster and not nodes:
        raise _nothing(run_dir)
    return {"manifest": _manifest(run_dir), "cluster": cluster, "nodes": nodes}


def gather(run_dir: str) -> Gathered:
    """What ``read_evidence`` reads, to be judged: outlines of it all, and each node's own part from its file when it is asked for.

    Raises:
        RunFolderError: as ``read_evidence``; so do the functions of what is returned, when a file has changed meanwhile.
    """
    if not os.path.isdir(run_dir):
        raise RunFolderError(f"{run_dir}: there is no such folder")
    results: dict[str, Data] = {module: {} for module in CLUSTER_MODULES}
    lists: dict[str, t.Callable[[int], Data]] = {}
    files = _cluster_files(run_dir)
    for module, path in files:
        results[module], lists[module] = _outlined(path, module)
    probes: dict[str, Data] = {}
    paths: dict[str, str] = {}
    for path in _node_files(run_dir):
        part = _read_part(path, "node")
        host = _host(path, part)
        probes[host], paths[host] = outline_of_probe(part), path
    if not files and not probes:
        raise _nothing(run_dir)

    def probe(host: str) -> Data:
        return fitted_probe(_read_part(paths[host], "node"))

    return Gathered(
        results,
        probes,
        probe,
        lists.get("node_info", _none),
        lists.get("csr_info", _none),
        _manifest(run_dir).get("cluster_name"),
    )


def _manifest(run_dir: str) -> Data:
    path = os.path.join(run_dir, "manifest.json")
    return _read_part(path, "manifest") if os.path.exists(path) else {}


def _outlined(path: str, module: str) -> tuple[Data, t.Callable[[int], Data]]:
    """A cluster module's result with outlines in its long list, and the function that gives a whole element of it."""
    fit, key = checker(f"#/$defs/{module}"), LONG_LISTS.get(module, "")
    listed = read_listed(path, key, outlines_of(module)) if key else None
    if listed is None:
        fitted = fit(_read_part(path, module))
        return fitted, (fitted.get(key) or []).__getitem__
    part, elements = listed

    def whole(index: int) -> Data:
        with _told(path):
            return fitted_item(module, elements.whole(index)) or {}

    return {**fit(part), key: elements.kept}, whole


def _none(index: int) -> t.NoReturn:
    raise IndexError(index)


def _cluster_files(run_dir: str) -> list[tuple[str, str]]:
    paths = [(module, os.path.join(run_dir, "cluster", f"{module}.json")) for module in CLUSTER_MODULES]
    return [(module, path) for module, path in paths if os.path.exists(path)]


def _node_files(run_dir: str) -> list[str]:
    folder = os.path.join(run_dir, "nodes")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.endswith(".json") and not name.startswith(".")]


def _host(path: str, part: Data) -> str:
    return str(part.get("inventory_hostname") or os.path.basename(path)[: -len(".json")])


def _nothing(run_dir: str) -> RunFolderError:
    return RunFolderError(f"{run_dir}: holds no evidence (neither cluster/*.json nor nodes/*.json)")


def _read_part(path: str, subject: str) -> Data:
    try:
        data = read_json(path)
        if not isinstance(data, dict):
            raise RunFolderError(f"{path}: is no JSON object")
    except RunFolderError as error:
        return {"not_seen": [{"subject": subject, "reason": "malformed", "message": str(error)}]}
    return data

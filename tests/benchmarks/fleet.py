# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet of any size as a run folder, in the very form in which the role ``collect`` writes one.

Every node is a copy of one that was recorded in the lab (``tests/fixtures``), under a name, address, keys and serials of its own, with the
requests and events recorded with it; where a node is to have more of those than were recorded, earlier copies of recorded ones are added.
All are of one lab cluster, so that one CA has signed everything. The same arguments give the same bytes.

``python fleet.py <folder> --nodes 5000 --csrs 60000 --events 100000``
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import datetime
import functools
import hashlib
import json
import pathlib
import re
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_json, write_lists
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import format_time, parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import node_file

Data = dict[str, t.Any]

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
BASE = "healthy-verbose-log+healthy"
"""The recorded run whose cluster, control plane and time the fleet has."""
BROKEN_EVERY = 33
"""One node in so many has a fault, of each recorded kind in turn: 3 %."""
OTHER_DISTRIBUTION = ("k3s", "microk8s", "supervisor", "rke2")
"""Cases of distributions that no kubeadm cluster has."""
LEFT_OUT = ("untrusted-then-expired",)
"""The cluster's own time has moved on since it was recorded."""
EVENTS_OF = ("rotated-file-never-used+rotation-disabled+rotation-key-misspelled", "node1")
"""A recorded node with many events, which are repeated for nodes that had few."""

_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_OWN = r"\b[0-9a-f]{64}\b|\b[0-9a-f]{31,40}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\bcsr-(?:[a-z0-9]{5}|with-a-name)\b"
"""Digests, serials, UUIDs and names of requests: what no two nodes share."""
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # of names that the API server makes up


@dataclasses.dataclass(frozen=True)
class Kind:
    """One recorded node: the case that was on it, and the texts of its evidence with the places where a copy differs."""

    case: str
    probe: Text
    node: Text | None
    csrs: tuple[Text, ...]
    order: tuple[tuple[str, str], ...]
    """When each of ``csrs`` was created, and its name."""


class Text:
    """JSON text that differs from node to node in names, addresses and identifiers only."""

    def __init__(self, data: t.Any, name: str, address: str, shared: frozenset[str], line: bool) -> None:
        """``data`` as a file, or one line of it; ``shared`` are identifiers of the cluster, which every node has."""
        text = _line(data) if line else json.dumps(data, indent=1, sort_keys=True)
        pattern = re.compile(rf"({_OWN}|\b{re.escape(name)}\b|\b{re.escape(address)}\b)")
        pieces = pattern.split(text)
        self._pieces: list[str] = pieces
        self._name, self._address = name, address
        self._own = [index for index in range(1, len(pieces), 2) if pieces[index] not in shared]

    def of(self, number: int) -> str:
        """The text for node ``number``."""
        pieces = self._pieces.copy()
        for index in self._own:
            pieces[index] = self._renamed(pieces[index], number)
        return "".join(pieces)

    def _renamed(self, word: str, number: int) -> str:
        if word == self._name:
            return node_name(number)
        if word == self._address:
            return node_address(number)
        return renamed(word, str(number))


def node_name(number: int) -> str:
    return f"worker-{number:05d}"


def node_address(number: int) -> str:
    return f"10.{80 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def renamed(word: str, salt: str) -> str:
    """Another identifier of the same form: a digest, a serial, a UUID or a request's name."""
    digest = hashlib.sha256(f"{salt}:{word}".encode()).hexdigest()
    if word.startswith("csr-"):
        value = int(digest, 16)
        # Longer than the API server's five letters, so that no two are the same.
        return "csr-" + "".join(_LETTERS[value // 27**place % 27] for place in range(8))
    if "-" in word:
        return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
    return digest[: len(word)]


def load(name: str) -> Data:
    return t.cast("Data", json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8")))


def shifted(data: t.Any, seconds: float) -> t.Any:
    """All times of some evidence, moved."""

    def move(match: re.Match[str]) -> str:
        return format_time(parse_time(match[0]) + datetime.timedelta(seconds=seconds))

    return json.loads(_TIME.sub(move, json.dumps(data)))


def kinds(csrs: int, events: int) -> tuple[list[Kind], list[Kind]]:
    """``(healthy, broken)``: what was recorded of single nodes of the base's cluster, each with so many requests and events."""
    base = load(BASE)
    now = parse_time(base["cluster"]["csr_info"]["collected_at"])
    authority = _authority(base)
    shared = frozenset(re.findall(_OWN, json.dumps([base["cluster"]["control_plane_info"], base["nodes"]["cp1"]])))
    issued = [csr for csr in base["cluster"]["csr_info"]["csrs"] if csr["node"] == "node2" and csr["state"] == "issued"]
    spare = _spare_events(now)
    found: tuple[list[Kind], list[Kind]] = ([], [])
    for path in sorted(FIXTURES.glob("*.json")):
        run = load(path.stem)
        if len(run["placed"]) < 2 or run["kubernetes"] != base["kubernetes"] or _authority(run) != authority:
            continue
        moved = (now - parse_time(run["cluster"]["csr_info"]["collected_at"])).total_seconds()
        for case, name in run["placed"].items():
            if name not in run["nodes"] or case in LEFT_OUT or any(word in case for word in OTHER_DISTRIBUTION):
                continue
            kind = _kind(case, name, shifted(run, moved), shared, issued, spare, csrs, events)
            found[not case.startswith("healthy")].append(kind)
    return found


def _authority(run: Data) -> t.Any:
    return ((run["cluster"].get("control_plane_info") or {}).get("client_ca") or {}).get("certificates")


def _spare_events(now: datetime.datetime) -> list[Data]:
    run = load(EVENTS_OF[0])
    moved = (now - parse_time(run["cluster"]["csr_info"]["collected_at"])).total_seconds()
    node = next(entry for entry in run["cluster"]["node_info"]["nodes"] if entry["name"] == EVENTS_OF[1])
    return t.cast("list[Data]", shifted(node["events"], moved))


def _kind(
    case: str,
    name: str,
    run: Data,
    shared: frozenset[str],
    issued: list[Data],
    spare: list[Data],
    csrs: int,
    events: int,
) -> Kind:
    cluster = run["cluster"]
    node = copy.deepcopy(next((entry for entry in cluster["node_info"]["nodes"] if entry["name"] == name), None))
    address = f"10.77.0.1{name[-1]}"
    own = [csr for csr in cluster["csr_info"]["csrs"] if csr["node"] == name]
    own = [*_earlier_csrs(issued, name, address, csrs - len(own)), *own][-csrs:] if csrs else []
    if node is not None:
        node["events"] = [*_earlier_events(spare, name, events - len(node["events"])), *node["events"]][-events:]
    return Kind(
        case,
        Text(run["nodes"][name], name, address, shared, False),
        None if node is None else Text(node, name, address, shared, True),
        tuple(Text(csr, name, address, shared, True) for csr in own),
        tuple((str(csr["created"]), str(csr["name"])) for csr in own),
    )


def _earlier_csrs(issued: list[Data], name: str, address: str, count: int) -> list[Data]:
    """``count`` copies of issued requests for a node, each some minutes before the one after it, within the hour that they live."""
    authority = str(issued[0]["certificate"]["authority_key_id"])

    def other(match: re.Match[str], salt: str) -> str:
        return match[0] if match[0] == authority else renamed(match[0], salt)

    found = []
    for number in range(max(0, count)):
        text = json.dumps(shifted(issued[number % len(issued)], -1200 - 180 * number))
        text = text.replace("node2", name).replace("10.77.0.12", address)
        text = re.sub(_OWN, functools.partial(other, salt=f"earlier {number}"), text)
        found.append(json.loads(re.sub(r"csr-[a-z0-9]{8}", lambda match: match[0][:9], text)))
    return found[::-1]


def _earlier_events(spare: list[Data], name: str, count: int) -> list[Data]:
    found = []
    for number in range(max(0, count)):
        entry = shifted(spare[number % len(spare)], -3600 * (1 + number // len(spare)))
        found.append(json.loads(json.dumps(entry).replace(EVENTS_OF[1], name)))
    return sorted(found, key=lambda entry: (entry["last_seen"], entry["first_seen"]))


def write(folder: pathlib.Path, nodes: int, csrs: int, events: int) -> None:
    """Writes the run folder of ``nodes`` workers and a control-plane node; each worker has the same share of requests and events."""
    base = load(BASE)
    healthy, broken = kinds(csrs // nodes, events // nodes)
    chosen = [
        healthy[number % len(healthy)] if number % BROKEN_EVERY else broken[number // BROKEN_EVERY % len(broken)]
        for number in range(nodes)
    ]
    hosts = ["cp1", *(node_name(number) for number in range(nodes))]
    cluster = base["cluster"]
    for module in ("control_plane_info", "rbac_info"):
        write_lists(str(folder / "cluster" / f"{module}.json"), cluster[module])
    write_json(str(folder / "manifest.json"), {**base["manifest"], "hosts": hosts})
    write_json(node_file(str(folder), "cp1"), base["nodes"]["cp1"])
    for number, kind in enumerate(chosen):
        path = pathlib.Path(node_file(str(folder), node_name(number)))
        path.write_text(kind.probe.of(number) + "\n", encoding="utf-8")
        path.chmod(0o600)
    control_plane = next(entry for entry in cluster["node_info"]["nodes"] if entry["name"] == "cp1")
    first = _line(control_plane)
    workers = (kind.node.of(number) for number, kind in enumerate(chosen) if kind.node)
    _write_list(folder / "cluster/node_info.json", cluster["node_info"], "nodes", _chained(first, workers))
    order = sorted(
        (created, renamed(name, str(number)), number, index)
        for number, kind in enumerate(chosen)
        for index, (created, name) in enumerate(kind.order)
    )
    requests = (chosen[number].csrs[index].of(number) for _created, _name, number, index in order)
    _write_list(folder / "cluster/csr_info.json", cluster["csr_info"], "csrs", requests)


def _chained(first: str, rest: t.Iterable[str]) -> t.Iterator[str]:
    yield first
    yield from rest


def _write_list(path: pathlib.Path, module: Data, key: str, items: t.Iterable[str]) -> None:
    """A module's result with another list, as ``write_lists`` writes it, without ever holding all of it."""
    write_lists(str(path), {**module, key: []})
    head, tail = path.read_text(encoding="utf-8").split(f'"{key}": []')
    with path.open("w", encoding="utf-8") as stream:
        stream.write(f'{head}"{key}": ')
        separator = "[\n"
        for item in items:
            stream.write(separator + item)
            separator = ",\n"
        stream.write(f"\n]{tail}" if separator.startswith(",") else f"[]{tail}")


def _line(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--csrs", type=int, default=60_000, help="requests in all")
    parser.add_argument("--events", type=int, default=100_000, help="events in all")
    options = parser.parse_args()
    write(options.folder, options.nodes, options.csrs, options.events)


if __name__ == "__main__":
    main()

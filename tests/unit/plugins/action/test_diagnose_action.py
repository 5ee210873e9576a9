# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module diagnose: the same as the filter, from a folder and to a file, with one node in memory at a time."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import typing as t
from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.kubecare.kubelet_certs.plugins.action import diagnose
from ansible_collections.kubecare.kubelet_certs.plugins.filter.diagnose import diagnose_filter
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_json, write_lists
from ansible_collections.kubecare.kubelet_certs.plugins.modules import diagnose as documented
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils import _run_folder, _shares
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import node_file, read_evidence

Data = dict[str, t.Any]

FIXTURES = sorted((pathlib.Path(__file__).resolve().parents[3] / "fixtures").glob("*.json"))


def run(**args: t.Any) -> Data:
    task = SimpleNamespace(
        args=args, async_val=0, check_mode=False, diff=False, action="kubecare.kubelet_certs.diagnose", delegate_to=None
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    action = diagnose.ActionModule(task, connection, SimpleNamespace(), None, None, None)
    action._load_name = task.action  # as Ansible's loader does
    return t.cast("Data", action.run(task_vars={}))


def write(folder: pathlib.Path, evidence: Data) -> pathlib.Path:
    for module, result in evidence.get("cluster", {}).items():
        write = write_lists if isinstance(result, dict) else write_json
        write(str(folder / "cluster" / f"{module}.json"), result)
    for host, result in evidence.get("nodes", {}).items():
        write_json(node_file(str(folder), host), result)
    return folder


def recorded(path: pathlib.Path) -> Data:
    run_folder = json.loads(path.read_text(encoding="utf-8"))
    return {"cluster": run_folder["cluster"], "nodes": run_folder["nodes"]}


def diagnosed(folder: pathlib.Path, **args: t.Any) -> Data:
    result = run(run_dir=str(folder), **args)
    assert result["changed"] is False
    diagnosis = json.loads(pathlib.Path(result["path"]).read_text(encoding="utf-8"))
    assert result["verdicts"] == diagnosis["fleet"]["verdicts"]
    return t.cast("Data", diagnosis)


@pytest.mark.parametrize("path", FIXTURES[::6], ids=lambda path: path.stem)
def test_the_same_as_the_filter(tmp_path: pathlib.Path, path: pathlib.Path) -> None:
    folder = write(tmp_path, recorded(path))
    assert diagnosed(folder) == diagnose_filter(read_evidence(str(folder)))
    late: Data = {"now": "2026-12-30T00:00:00Z", "only_hosts": True}
    assert diagnosed(folder, **late) == diagnose_filter(read_evidence(str(folder)), **late)


def odd(value: t.Any, number: int = 0) -> t.Any:
    """The evidence with a value of another kind here and there."""
    if isinstance(value, dict):
        return {
            key: [None, 7, "x", [], {}, [None, 3]][hash_of(key, number) % 6]
            if hash_of(key, number) % 13 == 0
            else odd(item, number + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [odd(item, number + index) for index, item in enumerate(value)] + [None, 5, "x", {}][: number % 5]
    return value


def hash_of(key: str, number: int) -> int:
    return sum(map(ord, key)) * 31 + number * 7


@pytest.mark.parametrize("start", range(6))
def test_the_same_as_the_filter_with_evidence_of_odd_kinds(tmp_path: pathlib.Path, start: int) -> None:
    evidence = recorded(FIXTURES[-2])
    evidence["cluster"] = {
        name: odd(part, start + index) for index, (name, part) in enumerate(evidence["cluster"].items())
    }
    evidence["nodes"] = {host: odd(part, start + index) for index, (host, part) in enumerate(evidence["nodes"].items())}
    folder = write(tmp_path, evidence)
    now = "2026-11-25T04:00:00Z"
    assert diagnosed(folder, now=now) == diagnose_filter(read_evidence(str(folder)), now=now)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"csrs": [1, null, {"name": "a"}], "csrs": []}', '{"csrs": "x"}', "[" * 100_000]
)
def test_the_same_as_the_filter_with_a_damaged_file(tmp_path: pathlib.Path, content: str) -> None:
    folder = write(tmp_path, recorded(FIXTURES[-2]))
    (folder / "cluster/csr_info.json").write_text(content)
    (folder / "nodes/cp1.json").write_text(content)
    assert diagnosed(folder) == diagnose_filter(read_evidence(str(folder)))


def test_a_control_nodes_wrong_clock_is_corrected(tmp_path: pathlib.Path) -> None:
    evidence = recorded(FIXTURES[-2])
    evidence["cluster"]["control_plane_info"]["api_server"]["time_offset_seconds"] = 4000
    for probe in evidence["nodes"].values():
        probe["clock"]["offset_seconds"] = 4000
    folder = write(tmp_path, evidence)
    found = diagnosed(folder)
    assert found == diagnose_filter(read_evidence(str(folder)))
    assert "the control node's clock is 4000 s behind" in json.dumps(found["cluster"]["not_seen"])


def test_work_grows_with_the_fleet_and_no_faster(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each node's file is read twice, each request and Node twice, whatever the number of nodes."""
    evidence = recorded(FIXTURES[-2])
    host, probe = next(iter(evidence["nodes"].items()))
    counts: dict[int, dict[str, int]] = {}
    for size in (10, 20):
        evidence["nodes"] = {f"h{number}": copy.deepcopy(probe) for number in range(size)}
        folder = write(tmp_path / str(size), evidence)
        for number in range(size):
            path = pathlib.Path(node_file(str(folder), f"h{number}"))
            path.write_text(
                path.read_text().replace(f'"inventory_hostname": "{host}"', f'"inventory_hostname": "h{number}"')
            )
        counts[size] = {"read": 0, "items": 0}
        original_read, original_item = _run_folder._read_part, _run_folder.fitted_item

        def read(path: str, subject: str, size: int = size, original: t.Any = original_read) -> t.Any:
            counts[size]["read"] += subject == "node"
            return original(path, subject)

        def item(module: str, value: t.Any, size: int = size, original: t.Any = original_item) -> t.Any:
            counts[size]["items"] += 1
            return original(module, value)

        with monkeypatch.context() as patch:
            patch.setattr(_run_folder, "_read_part", read)
            patch.setattr(_run_folder, "fitted_item", item)
            run(run_dir=str(folder))
    assert counts[20]["read"] - counts[10]["read"] == 10
    assert counts[10]["items"] == counts[20]["items"] <= len(evidence["cluster"]["csr_info"]["csrs"]) + 4


def test_the_file_has_a_line_a_node_and_is_its_owners(tmp_path: pathlib.Path) -> None:
    folder = write(tmp_path, recorded(FIXTURES[-2]))
    path = pathlib.Path(run(run_dir=str(folder))["path"])
    lines = path.read_text().splitlines()
    nodes = [json.loads(line.rstrip(",")) for line in lines if line.startswith('{"')]
    assert nodes == json.loads(path.read_text())["nodes"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(folder)) == ["cluster", "diagnosis.json", "nodes"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"run_dir": "/nowhere"}, "/nowhere: there is no such folder"),
        ({"now": "yesterday"}, "Invalid isoformat"),
        ({"rule_dirs": ["/nowhere"]}, "rule folder '/nowhere' cannot be read"),
        ({"rule_overrides": {"no-such-rule": {"exclude": True}}}, "there is no rule 'no-such-rule'"),
        ({"only_hosts": "perhaps"}, "only_hosts"),
        ({"speed": 7}, "Unsupported parameters"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: pathlib.Path, args: Data, says: str) -> None:
    folder = write(tmp_path, recorded(FIXTURES[-2]))
    with pytest.raises(AnsibleError, match=says):
        run(**{"run_dir": str(folder), **args})
    assert not (folder / "diagnosis.json").exists()


def test_the_same_from_several_processes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, recorded(FIXTURES[-2]))
    alone = diagnosed(folder)
    monkeypatch.setattr(_shares, "LEAST_ITEMS", 1)
    monkeypatch.setattr(_shares, "processors", lambda: 3)
    assert diagnosed(folder) == alone


def test_a_disk_that_is_full_is_said_and_leaves_the_old_diagnosis(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, recorded(FIXTURES[-2]))
    (folder / "diagnosis.json").write_text("old")

    def full(*_args: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(AnsibleError, match=r"diagnosis\.json: cannot be written: No space left on device"):
        run(run_dir=str(folder))
    assert (folder / "diagnosis.json").read_text() == "old"
    assert sorted(os.listdir(folder)) == ["cluster", "diagnosis.json", "nodes"]


def test_the_documentation_is_of_the_same_options() -> None:
    options = yaml.safe_load(documented.DOCUMENTATION)["options"]
    stated = {
        name: {key: value for key, value in option.items() if key != "description"} for name, option in options.items()
    }
    assert stated == diagnose._ARGUMENTS

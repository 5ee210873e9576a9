# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run folder: whole files or none, no way out of the folder, one bad file does not hide the others."""

from __future__ import annotations

import json
import os
import pathlib
import re

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_json
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._run_folder import (
    MAX_FILE_BYTES,
    RunFolderError,
    cluster_folders,
    node_file,
    read_evidence,
    read_json,
)


def test_what_is_written_is_read_again(tmp_path: pathlib.Path) -> None:
    write_json(str(tmp_path / "cluster" / "csr_info.json"), {"csrs": []})
    write_json(node_file(str(tmp_path), "node/1"), {"inventory_hostname": "node/1", "reachable": True})
    assert read_evidence(str(tmp_path)) == {
        "manifest": {},
        "cluster": {"csr_info": {"csrs": []}},
        "nodes": {"node/1": {"inventory_hostname": "node/1", "reachable": True}},
    }


@pytest.mark.parametrize("host", ["../../etc/passwd", "..", ".", "/etc/passwd", "a\x00b", "[2001:db8::1]", ""])
def test_no_host_name_leads_out_of_the_folder(tmp_path: pathlib.Path, host: str) -> None:
    path = node_file(str(tmp_path), host)
    assert os.path.dirname(os.path.realpath(path)) == os.path.realpath(tmp_path / "nodes")
    assert not os.path.basename(path).startswith(".")
    write_json(path, {"inventory_hostname": host})
    assert list(read_evidence(str(tmp_path))["nodes"].values()) == [{"inventory_hostname": host}]


def test_files_are_for_their_owner_only(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "nodes" / "a.json"
    write_json(str(path), {})
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_failed_write_leaves_the_old_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.json"
    write_json(str(path), {"old": True})
    with pytest.raises(TypeError):
        write_json(str(path), {"new": object()})
    assert json.loads(path.read_text()) == {"old": True}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_damaged_file_is_said_and_the_others_are_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "a.json").write_text('{"trunc')
    (tmp_path / "nodes" / "b.json").write_text('{"inventory_hostname": "b"}')
    nodes = read_evidence(str(tmp_path))["nodes"]
    assert nodes["b"] == {"inventory_hostname": "b"}
    assert nodes["a"]["not_seen"][0]["reason"] == "malformed"
    assert "a.json" in nodes["a"]["not_seen"][0]["message"]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_may_never_end_is_not_read(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "nodes" / "a.json"
    path.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    assert read_evidence(str(tmp_path))["nodes"]["a"]["not_seen"][0]["reason"] == "malformed"


def test_a_file_that_is_too_large_is_said(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "a.json").open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(RunFolderError, match=f"^{re.escape(str(tmp_path))}/a.json: is larger than"):
        read_json(str(tmp_path / "a.json"))


def test_no_folder_and_no_evidence_are_errors_that_name_it(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RunFolderError, match="there is no such folder"):
        read_evidence(str(tmp_path / "nope"))
    with pytest.raises(RunFolderError, match="holds no evidence"):
        read_evidence(str(tmp_path))


def test_the_folders_of_several_clusters_are_found_and_no_link_is_followed(tmp_path: pathlib.Path) -> None:
    assert cluster_folders(str(tmp_path)) == {}
    for name in ("prod", "test", "not.one", ".hidden"):
        (tmp_path / "clusters" / name).mkdir(parents=True)
    (tmp_path / "clusters" / "file").write_text("")
    assert list(cluster_folders(str(tmp_path))) == ["prod", "test"]
    (tmp_path / "clusters" / "evil").symlink_to("/etc")
    with pytest.raises(RunFolderError, match=r"clusters/evil: is a link"):
        cluster_folders(str(tmp_path))

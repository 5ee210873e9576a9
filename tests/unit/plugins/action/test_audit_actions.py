# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.kubecare.kubelet_certs.plugins.action import audit_compare, audit_keep
from ansible_collections.kubecare.kubelet_certs.plugins.modules import audit_compare as compare_documented
from ansible_collections.kubecare.kubelet_certs.plugins.modules import audit_keep as keep_documented
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.history.samples import (
    diagnosis,
    finding,
    node,
)

Data = dict[str, t.Any]


def run(plugin: t.Any, check_mode: bool = False, **args: t.Any) -> Data:
    name = f"kubecare.kubelet_certs.{plugin.__name__.rpartition('.')[2]}"
    task = SimpleNamespace(args=args, async_val=0, check_mode=check_mode, diff=False, action=name, delegate_to=None)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    action = plugin.ActionModule(task, connection, SimpleNamespace(), None, None, None)
    action._load_name = name  # as Ansible's loader does
    return t.cast("Data", action.run(task_vars={}))


class Audits:
    """Audits in a row; their history is in ``history``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history = str(folder / "history")

    def judge(self, day: int, value: Data, cluster: str | None = None) -> str:
        run_dir = self.folder / f"history/runs/202611{day:02}T020000Z-{day:06x}"
        path = run_dir / "clusters" / cluster if cluster else run_dir
        path.mkdir(parents=True, exist_ok=True)
        (path / "diagnosis.json").write_text(json.dumps({**value, "now": f"2026-11-{day:02}T02:00:00Z"}))
        return str(run_dir)

    def compare(self, day: int, value: Data, **args: t.Any) -> Data:
        return run(audit_compare, run_dir=self.judge(day, value), history_dir=self.history, **args)

    def audit(self, day: int, value: Data, **args: t.Any) -> Data:
        compared = self.compare(day, value)
        run_dir = self.judge(day, value)
        return {**compared, **run(audit_keep, run_dir=run_dir, history_dir=self.history, **args)}


@pytest.fixture
def audits(tmp_path: Path) -> Audits:
    return Audits(tmp_path)


BAD = diagnosis(node("a", "failing", finding("x")))


def test_two_audits_in_a_row(audits: Audits) -> None:
    first = audits.audit(1, diagnosis(node("a")))
    assert first["changed"] and first["since"] is None and first["changes"]["new"] == 0
    second = audits.audit(2, BAD)
    assert second["since"] == "2026-11-01T02:00:00Z"
    assert second["changes"] == {"new": 1, "resolved": 0, "worse": 1, "unseen": 0, "joined": 0, "gone": 0}
    assert second["verdicts"]["failing"] == 1 and not second["quiet"]
    assert second["text"].startswith("1 node: 1 failing; 1 new finding, 1 node worse since 2026-11-01 02:00")
    history = json.loads(Path(audits.judge(2, BAD), "history.json").read_text())
    assert [point["time"] for point in history["trend"][0]["points"]] == [
        "2026-11-01T02:00:00Z",
        "2026-11-02T02:00:00Z",
    ]


def test_the_same_run_is_kept_once(audits: Audits) -> None:
    audits.audit(1, BAD)
    assert audits.audit(1, BAD)["changed"] is False
    assert audits.compare(1, BAD)["since"] == "2026-11-01T02:00:00Z"


def test_check_mode_keeps_nothing(audits: Audits) -> None:
    audits.compare(1, BAD)
    metrics = audits.folder / "m.prom"
    result = run(audit_keep, True, run_dir=audits.judge(1, BAD), history_dir=audits.history, metrics_file=str(metrics))
    assert result["changed"] is True
    assert not Path(result["path"]).exists() and not metrics.exists()


def test_metrics_are_replaced_in_one_step_and_readable_by_the_exporter(audits: Audits) -> None:
    folder = audits.folder / "textfiles"
    folder.mkdir()
    audits.audit(1, BAD, metrics_file=str(folder / "k.prom"))
    inode = (folder / "k.prom").stat().st_ino
    assert audits.audit(1, BAD, metrics_file=str(folder / "k.prom"))["changed"] is False
    audits.audit(2, BAD, metrics_file=str(folder / "k.prom"))
    assert (folder / "k.prom").stat().st_ino != inode
    assert (folder / "k.prom").stat().st_mode & 0o444 == 0o444
    assert [path.name for path in folder.iterdir()] == ["k.prom"]


def test_a_damaged_audit_is_a_warning(audits: Audits) -> None:
    audits.audit(1, BAD)
    path = Path(audits.audit(2, BAD)["path"])
    (path / "nodes.json").write_text("{")
    result = audits.compare(3, BAD)
    assert result["since"] == "2026-11-01T02:00:00Z"
    assert "is passed over" in result["warnings"][0] and path.name in result["warnings"][0]
    assert not result["quiet"]


def test_an_api_server_without_a_name_is_that_of_the_audits_before(audits: Audits) -> None:
    audits.audit(1, BAD)
    result = audits.compare(2, diagnosis(node("a"), cluster={"api_url": None, "not_seen": [{"subject": "node_info"}]}))
    assert result["since"] == "2026-11-01T02:00:00Z"
    assert result["changes"]["resolved"] == 1


def test_several_clusters_are_compared_each_with_its_own(audits: Audits) -> None:
    for day, state in ((1, node("a")), (2, node("a", "failing", finding("x")))):
        run_dir = audits.judge(day, diagnosis(node("a")), "one")
        audits.judge(day, diagnosis(state), "two")
        result = run(audit_compare, run_dir=run_dir, history_dir=audits.history, cluster="of no meaning here")
        run(audit_keep, run_dir=run_dir, history_dir=audits.history)
    assert result["changes"]["new"] == 1 and result["verdicts"]["failing"] == 1
    history = json.loads(Path(run_dir, "history.json").read_text())
    assert history["changes"]["new"][0]["cluster"] == "two"
    assert [pool["cluster"] for pool in history["trend"]] == ["one", "two"]
    # An audit of one of them alone does not touch the other.
    alone = audits.judge(3, diagnosis(node("a")), "one")
    run(audit_compare, run_dir=alone, history_dir=audits.history)
    run(audit_keep, run_dir=alone, history_dir=audits.history)
    last = audits.judge(4, diagnosis(node("a", "failing", finding("x"))), "two")
    result = run(audit_compare, run_dir=last, history_dir=audits.history)
    assert result["since"] == "2026-11-02T02:00:00Z" and not any(result["changes"].values())


def test_a_cluster_that_shows_no_node_is_not_healthy(audits: Audits) -> None:
    run_dir = audits.judge(1, diagnosis(node("a")), "one")
    audits.judge(1, diagnosis(cluster={"not_seen": [{"subject": "node_info"}]}), "two")
    result = run(audit_compare, run_dir=run_dir, history_dir=audits.history)
    assert not result["quiet"] and "no node of two was judged" in result["text"]


def test_what_is_wrong_is_named(audits: Audits) -> None:
    with pytest.raises(AnsibleActionFail, match=r"diagnosis\.json: cannot be read: .*: run the role diagnose first"):
        run(audit_compare, run_dir=str(audits.folder), history_dir=audits.history)
    (audits.folder / "diagnosis.json").write_text('{"schema": 1}')
    with pytest.raises(AnsibleActionFail, match="is not a diagnosis"):
        run(audit_compare, run_dir=str(audits.folder), history_dir=audits.history)
    with pytest.raises(AnsibleActionFail, match="run audit_compare first"):
        run(audit_keep, run_dir=str(audits.folder), history_dir=audits.history)
    audits.compare(1, BAD)
    with pytest.raises(AnsibleActionFail, match="keep is -1"):
        run(audit_keep, run_dir=audits.judge(1, BAD), history_dir=audits.history, keep=-1)
    (audits.folder / "file").write_text("")
    with pytest.raises(AnsibleActionFail, match=r"cannot be written: Not a directory\. Earlier audits are untouched"):
        run(audit_keep, run_dir=audits.judge(1, BAD), history_dir=str(audits.folder / "file"))
    with pytest.raises(AnsibleError):
        run(audit_keep, run_dir=audits.judge(1, BAD), history_dir=audits.history, kep=3)


@pytest.mark.parametrize(("plugin", "documented"), [(audit_compare, compare_documented), (audit_keep, keep_documented)])
def test_the_documented_options_are_those_it_takes(plugin: t.Any, documented: t.Any) -> None:
    options = yaml.safe_load(documented.DOCUMENTATION)["options"]
    kept = ("type", "required", "default")
    spec = {name: {key: of[key] for key in kept if of.get(key) is not None} for name, of in plugin._ARGUMENTS.items()}
    assert spec == {name: {key: of[key] for key in kept if of.get(key) is not None} for name, of in options.items()}
    yaml.safe_load(documented.EXAMPLES), yaml.safe_load(documented.RETURN)

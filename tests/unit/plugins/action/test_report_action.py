# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t
from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.kubecare.kubelet_certs.plugins.action import report
from ansible_collections.kubecare.kubelet_certs.plugins.modules import report as documented
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.report import samples

if t.TYPE_CHECKING:
    from pathlib import Path

Screen = list[tuple[str, dict[str, t.Any]]]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    calls: Screen = []
    monkeypatch.setattr(report, "display", SimpleNamespace(display=lambda text, **how: calls.append((text, how))))
    return calls


def run(**args: t.Any) -> dict[str, t.Any]:
    task = SimpleNamespace(
        args=args, async_val=0, check_mode=False, diff=False, action="kubecare.kubelet_certs.report", delegate_to=None
    )
    action = report.ActionModule(
        task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), SimpleNamespace(), None, None, None
    )
    return action.run(task_vars={})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "diagnosis.json").write_text(json.dumps(samples.fleet_of_41()))
    return tmp_path


def test_it_writes_the_page_and_displays_the_summary(folder: Path, screen: Screen) -> None:
    result = run(run_dir=str(folder))
    assert result["changed"] is False
    assert result["paths"] == {"html": str(folder / "report.html")}
    assert result["verdicts"] == {"expired": 1, "failing": 34, "at_risk": 1, "unknown": 1, "healthy": 4}
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in folder.iterdir()) == ["diagnosis.json", "report.html"]
    (shown, how), (logged, log_how) = screen
    assert how == {"screen_only": True}
    assert log_how == {"log_only": True}
    assert logged in shown
    assert "\x1b" not in logged
    assert str(folder / "report.html") in logged


def test_color_only_where_ansible_colors(folder: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible.utils.color.ANSIBLE_COLOR", True)
    run(run_dir=str(folder), formats=["console"])
    assert "\x1b[0;31m✖" in screen[0][0]
    assert "\x1b" not in screen[1][0]
    screen.clear()
    run(run_dir=str(folder), formats=["console"], color="never")
    assert "\x1b" not in screen[0][0]
    screen.clear()
    monkeypatch.setattr("ansible.utils.color.ANSIBLE_COLOR", False)
    run(run_dir=str(folder), formats=["console"])
    assert "\x1b" not in screen[0][0]


def test_a_diagnosis_given_goes_to_a_folder_that_is_made(tmp_path: Path, screen: Screen) -> None:
    dest = tmp_path / "a" / "b"
    value = samples.one_failing()
    result = run(diagnosis=value, formats=["json", "html"], dest=str(dest))
    assert json.loads((dest / "diagnosis.json").read_text()) == value
    assert set(result["paths"]) == {"json", "html"}
    assert screen == []


def test_json_in_the_run_folder_itself_is_left_as_it_is(folder: Path, screen: Screen) -> None:
    before = (folder / "diagnosis.json").read_bytes()
    assert run(run_dir=str(folder), formats=["json"])["paths"] == {"json": str(folder / "diagnosis.json")}
    assert (folder / "diagnosis.json").read_bytes() == before


def test_a_link_in_place_of_the_report_is_replaced_and_not_followed(
    folder: Path, screen: Screen, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_text("keep")
    (folder / "report.html").symlink_to(target)
    run(run_dir=str(folder), formats=["html"])
    assert target.read_text() == "keep"
    assert not (folder / "report.html").is_symlink()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist: run the role diagnose first"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is not a diagnosis: a diagnosis is a mapping, this is a list"),
        ('{"schema": "other"}', "schema is other"),
    ],
)
def test_a_bad_run_folder_fails_with_the_reason(tmp_path: Path, screen: Screen, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "diagnosis.json").write_text(content)
    with pytest.raises(AnsibleError, match=says):
        run(run_dir=str(tmp_path))
    assert not (tmp_path / "report.html").exists()
    assert screen == []


def test_a_pipe_in_place_of_the_diagnosis_is_refused_at_once(tmp_path: Path, screen: Screen) -> None:
    os.mkfifo(tmp_path / "diagnosis.json")
    with pytest.raises(AnsibleError, match="is no plain file"):
        run(run_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({}, "one of the following is required: run_dir, diagnosis"),
        ({"run_dir": "/x", "diagnosis": {}}, "mutually exclusive"),
        ({"run_dir": "/x", "formats": ["pdf"]}, "value of formats must be one or more of"),
        ({"diagnosis": {}}, "dest is needed"),
    ],
)
def test_wrong_options_are_refused(args: dict[str, t.Any], says: str, screen: Screen) -> None:
    with pytest.raises(AnsibleError, match=says):
        run(**args)


def test_a_place_that_cannot_be_written_is_said(folder: Path, screen: Screen) -> None:
    (folder / "file").write_text("")
    with pytest.raises(AnsibleError, match=r"report\.html cannot be written"):
        run(run_dir=str(folder), dest=str(folder / "file"))


def test_the_documentation_is_of_the_same_options() -> None:
    options = yaml.safe_load(documented.DOCUMENTATION)["options"]
    stated = {
        name: {key: value for key, value in option.items() if key != "description"} for name, option in options.items()
    }
    assert stated == report._ARGUMENTS


def test_several_clusters_have_a_page_each_and_one_over_all(tmp_path: Path, screen: Screen) -> None:
    for name in ("prod", "test"):
        (tmp_path / "clusters" / name).mkdir(parents=True)
        (tmp_path / "clusters" / name / "diagnosis.json").write_text(json.dumps(samples.fleet_of_41()))
    result = run(run_dir=str(tmp_path))
    assert result["paths"] == {"html": str(tmp_path / "report.html")}
    assert result["verdicts"] == {"expired": 2, "failing": 68, "at_risk": 2, "unknown": 2, "healthy": 8}
    assert sorted(result["clusters"]) == ["prod", "test"]
    for name in ("prod", "test"):
        assert f'href="clusters/{name}/report.html"' in (tmp_path / "report.html").read_text()
        assert (tmp_path / "clusters" / name / "report.html").read_text().startswith("<!DOCTYPE html>")
        assert f"Cluster   {name}: " in screen[1][0]


def test_a_broken_diagnosis_of_one_cluster_is_named(tmp_path: Path) -> None:
    (tmp_path / "clusters" / "prod").mkdir(parents=True)
    (tmp_path / "clusters" / "prod" / "diagnosis.json").write_text("[]")
    with pytest.raises(AnsibleError, match=r"clusters/prod/diagnosis\.json is not a diagnosis"):
        run(run_dir=str(tmp_path))


def test_a_cluster_of_which_no_node_is_known_is_said(tmp_path: Path, screen: Screen) -> None:
    empty = samples.fleet_of_41()
    empty["nodes"], empty["fleet"]["causes"] = [], []
    for name, diagnosis in (("gone", empty), ("prod", samples.fleet_of_41())):
        (tmp_path / "clusters" / name).mkdir(parents=True)
        (tmp_path / "clusters" / name / "diagnosis.json").write_text(json.dumps(diagnosis))
    assert run(run_dir=str(tmp_path))["clusters_without_nodes"] == ["gone"]

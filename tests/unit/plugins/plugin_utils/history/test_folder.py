# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history import folder
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.history.record import SCHEMA
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.history.samples import at

NAMES = [f"2026112{day}T020000Z-00000{day}" for day in range(1, 6)]
LATER = "2026-11-30T00:00:00Z"


def files(name: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    moment = f"{name[:4]}-{name[4:6]}-{name[6:8]}T02:00:00Z"
    node = {"cluster": "c", "name": f"node-of-{name}"}
    return {"schema": SCHEMA, "time": moment, "clusters": ["c"]}, {"schema": SCHEMA, "time": moment, "nodes": [node]}


@pytest.fixture
def history(tmp_path: Path) -> str:
    for name in NAMES:
        assert folder.keep(str(tmp_path), name, *files(name))
        (tmp_path / "runs" / name / "nodes").mkdir(parents=True)
    return str(tmp_path)


def whole(history: str) -> list[str]:
    return sorted(os.listdir(os.path.join(history, "audits")))


def last(history: str) -> str | None:
    audits, _wrong = folder.read_audits(history, LATER, 10)
    return folder.read_last(history, audits, "c")[1]


def test_an_audit_is_kept_once_for_its_owner_only(history: str) -> None:
    path = os.path.join(history, "audits", NAMES[0])
    assert [os.stat(os.path.join(path, name)).st_mode & 0o777 for name in (".", "audit.json", "nodes.json")] == [
        0o700,
        0o600,
        0o600,
    ]
    assert not folder.keep(history, NAMES[0], *files(NAMES[0]))
    assert whole(history) == NAMES


def test_the_newest_readable_audit_of_the_cluster_is_the_last(history: str) -> None:
    assert last(history) == "2026-11-25T02:00:00Z"
    audits, _wrong = folder.read_audits(history, "2026-11-23T02:00:00Z", 10)
    assert list(audits) == NAMES[2::-1]
    assert folder.read_last(history, audits, "other") == ([], None, [])
    assert list(folder.read_audits(history, LATER, 2)[0]) == NAMES[:2:-1]
    assert folder.read_audits(os.path.join(history, "none"), LATER, 2) == ({}, [])


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"schema": 1}', None])
@pytest.mark.parametrize("name", ["audit.json", "nodes.json"])
def test_a_damaged_audit_is_said_and_passed_over(history: str, name: str, damage: bytes | None) -> None:
    path = Path(history, "audits", NAMES[-1], name)
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    audits, wrong = folder.read_audits(history, LATER, 10)
    nodes, when, unreadable = folder.read_last(history, audits, "c")
    assert when == "2026-11-24T02:00:00Z"
    assert nodes[0]["name"] == f"node-of-{NAMES[3]}"
    assert [item["audit"] for item in wrong + unreadable] == [NAMES[-1]]
    assert name in (wrong + unreadable)[0]["why"] or "schema" in (wrong + unreadable)[0]["why"]


def test_a_damaged_audit_is_not_said_again_once_there_is_a_later_one(history: str) -> None:
    Path(history, "audits", NAMES[2], "audit.json").write_text("{")
    audits, wrong = folder.read_audits(history, LATER, 10)
    assert list(audits) == [NAMES[4], NAMES[3], NAMES[1], NAMES[0]] and wrong == []


def test_an_audit_of_a_clock_that_was_ahead_is_passed_over_and_one_that_is_at_work_is_not_named(history: str) -> None:
    audits, wrong = folder.read_audits(history, "2026-11-25T01:30:00Z", 10)
    assert list(audits) == NAMES[3::-1] and wrong == []
    audits, wrong = folder.read_audits(history, "2026-11-24T12:00:00Z", 10)
    assert list(audits) == NAMES[3::-1]
    assert [item["audit"] for item in wrong] == [NAMES[4]]


def test_pipes_links_and_others_folders_are_not_read(history: str) -> None:
    audits = Path(history, "audits")
    (audits / "20261126T020000Z-aaaaaa").symlink_to(audits / NAMES[0])
    (audits / "notes").mkdir()
    (audits / "20261127T020000Z-bbbbbb").mkdir()
    os.mkfifo(audits / "20261127T020000Z-bbbbbb" / "audit.json")
    assert last(history) == "2026-11-25T02:00:00Z"


@pytest.mark.parametrize("step", range(1, 12))
def test_a_kill_at_any_moment_leaves_the_history_as_it_was_or_with_a_whole_audit(history: str, step: int) -> None:
    """SIGKILL before each call that reaches the disk, one after the other."""
    name = "20261126T020000Z-ffffff"
    child = os.fork()
    if child == 0:  # pragma: no cover - it is killed
        calls = 0

        def deadly(function: t.Any) -> t.Any:
            def call(*args: t.Any, **more: t.Any) -> t.Any:
                nonlocal calls
                calls += 1
                if calls == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **more)

            return call

        for call in ("mkdir", "open", "fsync", "rename"):
            setattr(os, call, deadly(getattr(os, call)))
        folder.keep(history, name, *files(name))
        os.kill(os.getpid(), signal.SIGKILL)
    _pid, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    kept = [each for each in whole(history) if folder.NAME.fullmatch(each)]
    assert kept in (NAMES, [*NAMES, name])
    for each in kept:
        for file in ("audit.json", "nodes.json"):
            json.loads(Path(history, "audits", each, file).read_text(encoding="utf-8"))
    assert folder.read_audits(history, LATER, 10)[1] == []
    assert folder.keep(history, name, *files(name)) == (name not in kept)
    assert last(history) == "2026-11-26T02:00:00Z"


def test_half_folders_are_removed_a_day_later_and_not_before(history: str) -> None:
    audits = Path(history, "audits")
    young, old, removed = (
        audits / f".{NAMES[0]}.{token}.{kind}"
        for token, kind in (("aaaaaa", "part"), ("bbbbbb", "part"), ("cccccc", "old"))
    )
    own = audits / ".git"
    for path in (young, old, removed, own):
        path.mkdir()
    (old / "nodes.json").write_text("{")
    past = time.time() - folder.HALF_SECONDS - 60
    for path in (old / "nodes.json", old, own):
        os.utime(path, (past, past))
    assert folder.prune(history, 0, 0, 0) == []
    assert young.exists() and own.exists() and not old.exists() and not removed.exists()


def test_audits_are_kept_by_number_and_by_days_and_the_newest_always(history: str) -> None:
    removed = folder.prune(history, 4, 0, 0)
    assert removed == [os.path.join(history, "audits", NAMES[0])]
    folder.prune(history, 2, 0, 0)
    assert whole(history) == NAMES[3:]
    ages = (time.time() - time.mktime((2026, 11, 24, 14, 0, 0, 0, 0, 0))) / 86400
    if ages >= 1:
        folder.prune(history, 0, int(ages), 0)
        assert whole(history) == NAMES[4:]
    folder.prune(history, 1, 1, 0)
    assert len(whole(history)) == 1


def test_run_folders_are_kept_by_number_but_for_one_that_is_at_work(history: str) -> None:
    runs = Path(history, "runs")
    (runs / "20261101T020000Z-abcdef").mkdir()  # old by name, being filled, without an audit
    (runs / "mine").mkdir()
    folder.prune(history, 0, 0, 2)
    assert sorted(os.listdir(runs)) == ["20261101T020000Z-abcdef", *NAMES[3:], "mine"]
    assert whole(history) == NAMES


def test_a_link_in_the_place_of_a_run_is_not_followed(history: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").write_text("x")
    (Path(history) / "runs" / "20261101T020000Z-abcdef").symlink_to(elsewhere)
    folder.prune(history, 1, 1, 1)
    assert (elsewhere / "precious").exists()


def test_a_run_is_named_by_its_folder_or_by_its_time_and_place() -> None:
    assert folder.name_of(f"/h/runs/{NAMES[0]}", at()) == NAMES[0]
    name = folder.name_of("/elsewhere/run", at())
    assert name.startswith("20261125T020000Z-") and folder.NAME.fullmatch(name)
    assert name == folder.name_of("/elsewhere/run/", at()) != folder.name_of("/elsewhere/other", at())

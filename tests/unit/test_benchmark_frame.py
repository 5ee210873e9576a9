# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make bench``: parts are found, each is run alone or with the others, and what is not run keeps its figures."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import bench  # noqa: E402
import run  # noqa: E402

PART = """
from bench import CannotRun
TITLE = "a part"
def measure(bench):
    {body}
"""


@pytest.fixture
def parts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[pathlib.Path]:
    folder = tmp_path / "parts"
    folder.mkdir()
    monkeypatch.setattr(run, "PARTS", folder)
    monkeypatch.setattr(run, "FIGURES", tmp_path / "benchmarks.json")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "parts"]:
        del sys.modules[name]


def write(folder: pathlib.Path, name: str, body: str) -> None:
    (folder / f"{name}.py").write_text(PART.format(body=body))
    for module in [module for module in sys.modules if module.split(".")[0] == "parts"]:
        del sys.modules[module]


def figures(folder: pathlib.Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads((folder.parent / "benchmarks.json").read_text()))


def test_a_part_that_is_not_run_keeps_its_figures(parts: pathlib.Path) -> None:
    write(parts, "one", "return {'one_seconds': 1, 'one_old': 2}")
    write(parts, "two", "return {'two_seconds': 3}")
    assert run.main([]) == 0
    (parts / "one.py").unlink()
    write(parts, "one", "return {'one_seconds': 10, 'one_new': 20}")
    assert run.main(["one"]) == 0
    found = figures(parts)
    machines = found.pop("parts")
    assert found == {"one_seconds": 10, "one_new": 20, "two_seconds": 3}
    assert set(machines) == {"one", "two"}
    assert {"processor", "cores", "memory_mb", "python", "load", "loop_seconds"} <= set(machines["one"]["machine"])


def test_a_part_that_fails_or_cannot_run_hides_no_other(
    parts: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(parts, "a", "raise RuntimeError('broken')")
    write(parts, "b", "raise CannotRun('there is no sshd')")
    write(parts, "c", "return {'c_seconds': 1}")
    assert run.main([]) == 1
    assert figures(parts)["c_seconds"] == 1
    said = capsys.readouterr().out
    assert "broken" in said
    assert "not run: there is no sshd" in said


def test_a_part_that_there_is_not(parts: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(parts, "one", "return {}")
    assert run.main(["two"]) == 1
    assert "There is no part two; the parts are one." in capsys.readouterr().out


def test_a_program_is_measured() -> None:
    found = bench.Bench().run(sys.executable, "-c", "x = bytearray(80 * 1024 ** 2); print(len(x))")
    assert found.output.strip() == str(80 * 1024**2)
    assert 80 <= found.peak_mb < 400
    assert found.cpu_seconds > 0
    with pytest.raises(RuntimeError, match="no such thing"):
        bench.Bench().run(sys.executable, "-c", "raise SystemExit('no such thing')")


def test_medians() -> None:
    runs = iter([bench.Run(3, 1, 10, "a"), bench.Run(9, 5, 30, "b"), bench.Run(4, 2, 20, "c")])
    assert bench.in_turn(lambda: next(runs), runs=3) == [bench.Run(4, 2, 30, "c")]


def test_the_parts_that_are_there_state_what_they_measure() -> None:
    for path in (BENCHMARKS / "parts").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "\nTITLE = " in text
        assert "\ndef measure(bench: Bench)" in text

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Prometheus saw in the lab, as a small file: series in promtool's notation, and when which alert was firing.

``tests/lab/alerts.py`` writes it, ``test_recorded.py`` has promtool judge the series again, ``tools/alert_docs.py`` draws it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import typing as t

Samples = list[float | None]


@dataclasses.dataclass
class Recording:
    """Everything in seconds since the first sample; ``interval`` is that of scrapes, of rules and of samples.

    ``series`` maps a selector to promtool's values, ``alerts`` the labels of a firing alert to its spans; ``node`` is the one whose
    rotation fails, ``lifetime`` that of its certificates, ``not_after`` when the last of them ended. ``events`` says what happened.
    """

    interval: int
    samples: int
    node: str
    lifetime: int
    not_after: int
    events: dict[str, int]
    series: dict[str, str]
    alerts: dict[str, list[tuple[int, int]]]

    @classmethod
    def load(cls, path: pathlib.Path) -> Recording:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def save(self, path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")

    @property
    def end(self) -> int:
        return (self.samples - 1) * self.interval

    def firing(self, moment: float) -> list[str]:
        """The labels of what was firing at a moment, sorted."""
        return sorted(
            labels for labels, spans in self.alerts.items() if any(start <= moment <= end for start, end in spans)
        )


def selector(labels: t.Mapping[str, str]) -> str:
    """A series' name and labels as PromQL writes them."""
    inside = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{inside}}}"


def notation(samples: Samples) -> str:
    """Samples as promtool writes them: runs of equal steps as ``start+stepxcount``, stale where a series ends, ``_`` where it is absent."""
    words: list[str] = []
    position = 0
    while position < len(samples):
        value = samples[position]
        rest = len(samples) - position
        if value is None:
            count = next((n for n in range(rest) if samples[position + n] is not None), rest)
            if position:
                words.append("stale")
            absent = count - bool(position)
            words += [f"_x{absent}"] if absent else []
        else:
            step = _step(samples, position)
            count = 1
            while count < rest and _follows(samples, position, count, step):
                count += 1
            words.append(_number(value) if count == 1 else f"{_number(value)}{step:+g}x{count - 1}")
        position += count
    return " ".join(words)


def _step(samples: Samples, position: int) -> float:
    value = samples[position]
    following = samples[position + 1] if position + 1 < len(samples) else None
    if value is None or following is None or math.isinf(value) or math.isinf(following):
        return 0
    return following - value


def _follows(samples: Samples, position: int, count: int, step: float) -> bool:
    start, value = samples[position], samples[position + count]
    return start is not None and value is not None and value == start + step * count


def _number(value: float) -> str:
    return "Inf" if math.isinf(value) else f"{value:.10g}"


def spans(samples: Samples, interval: int) -> list[tuple[int, int]]:
    """From when until when there were samples, in seconds, both included."""
    found: list[tuple[int, int]] = []
    for index, value in enumerate(samples):
        if value is None:
            continue
        if found and found[-1][1] == (index - 1) * interval:
            found[-1] = (found[-1][0], index * interval)
        else:
            found.append((index * interval, index * interval))
    return found

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Fills ``{expression}`` in a rule's texts with values of the signals. Nothing is evaluated but JMESPath, and no value is read again."""

from __future__ import annotations

import functools
import re
import shlex
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.expressions import Getter, getter

_PLACEHOLDER = re.compile(r"\{([a-z_][^{}]*)\}")
_COMMAND = re.compile(r"^distribution\.[a-z]+_command$")
"""Signals that are command lines of the collection's own making, quoted where they were made."""
_MAX_VALUE = 400


def search(expression: str, data: t.Any) -> t.Any:
    """The expression's value over ``data``; None also where a function met a value of the wrong type (unknown)."""
    return getter(expression)(data)


def expressions(template: str) -> list[str]:
    """The expressions that a template quotes."""
    return [match.group(1) for match in _PLACEHOLDER.finditer(template)]


@functools.lru_cache(maxsize=4096)
def _parts(template: str) -> tuple[tuple[str, ...], tuple[tuple[str, Getter], ...]]:
    """The texts around the expressions, one more than there are of these, and the expressions."""
    pieces = _PLACEHOLDER.split(template)
    return tuple(pieces[::2]), tuple((expression, getter(expression)) for expression in pieces[1::2])


def fill(template: str, data: t.Any) -> str | None:
    """The template with its values; None when one of them is unknown, so that a sentence never quotes what was not seen."""
    texts, holes = _parts(template)
    pieces = [texts[0]]
    for (expression, get), text in zip(holes, texts[1:]):  # noqa: B905 (as many texts as holes)
        value = get(data)
        if value is None:
            return None
        pieces += (_text(value, expression), text)
    return "".join(pieces)


def fill_command(template: str, data: t.Any) -> str:
    """A command line with its values quoted for the shell; an unknown one stays as ``<name>`` for a person to fill in."""

    def value_of(match: re.Match[str]) -> str:
        value = search(match.group(1), data)
        if _COMMAND.match(match.group(1)) and isinstance(value, str):
            return value
        return f"<{match.group(1).rsplit('.', 1)[-1]}>" if value is None else shlex.quote(_text(value))

    return _PLACEHOLDER.sub(value_of, template)


def duration(seconds: int) -> str:
    """A duration in its two largest units: ``2 h 5 min``."""
    left = abs(int(seconds))
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= length or (unit == "s" and not parts):
            parts.append(f"{left // length} {unit}")
            left %= length
    return ("-" if seconds < 0 else "") + " ".join(parts[:2])


def _text(value: t.Any, expression: str = "") -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and expression.endswith(("_seconds", "seconds_left")):
        return duration(int(value))
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value) or "none"
    text = str(value)
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + "…"

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Reads values that may be of any kind: what comes out is of the right type and neutral, whatever went in."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.report._text import moment, neutral

Record = dict[str, t.Any]


def mapping(value: t.Any) -> Record:
    """The mapping; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: t.Any) -> list[Record]:
    """The mappings of a list; nothing for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: t.Any) -> list[str]:
    """The texts of a list, neutral."""
    return (
        [neutral(item, 1000) for item in value if isinstance(item, (str, int, float))]
        if isinstance(value, list)
        else []
    )


def text(value: t.Any, limit: int = 4000) -> str:
    """A neutral text (see ``_text.neutral``); empty for anything but a text or a number."""
    return neutral(value, limit) if isinstance(value, (str, int, float)) else ""


def time(value: t.Any) -> str | None:
    """The RFC 3339 time as text, or None."""
    return str(value).strip() if isinstance(value, str) and moment(value) is not None else None


def number(value: t.Any, default: t.Any) -> t.Any:
    """The number, else ``default``."""
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and -1e12 < value < 1e12
    return value if fine else default


def choice(value: t.Any, allowed: tuple[t.Any, ...], default: t.Any) -> t.Any:
    """The value when it is one of ``allowed``, else ``default``."""
    for item in allowed:
        if isinstance(item, bool):
            if value is item:
                return item
        elif isinstance(value, str) and value == item:
            return item
    return default


def kind_of(value: t.Any) -> str:
    """What kind of value this is, for an error message."""
    for shape, name in (
        (dict, "a mapping"),
        (list, "a list"),
        (str, "a text"),
        (bool, "a boolean"),
        ((int, float), "a number"),
    ):
        if isinstance(value, shape):
            return name
    return "missing" if value is None else "something else"

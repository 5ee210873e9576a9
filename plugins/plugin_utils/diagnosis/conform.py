# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Makes evidence fit its JSON Schema, so that judging never meets a value of the wrong kind.

Evidence may come from another machine, an older release or a hostile node. What does not fit the schema is taken as not seen (None), and
an array's element that does not fit is left out; what the schema does not know is passed over.
"""

from __future__ import annotations

import functools
import os
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import parse_time
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.diagnosis.yaml_files import load_yaml

SCHEMA_FILE = os.path.join(os.path.dirname(__file__), "evidence.schema.yml")

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@functools.lru_cache(maxsize=1)
def schema() -> dict[str, t.Any]:
    """The JSON Schema of evidence, as a mapping."""
    with open(SCHEMA_FILE, encoding="utf-8") as stream:
        return t.cast("dict[str, t.Any]", load_yaml(stream))


def conform(evidence: t.Any) -> dict[str, t.Any]:
    """The evidence with everything that does not fit its schema replaced by None; ``{}`` when it is no object."""
    return checker("#")(evidence) or {}


Checker = t.Callable[[t.Any], t.Any]
_NONE = type(None)


class Part(t.NamedTuple):
    """How one value is checked: of one of the types in ``exact`` it fits as it is, else ``check`` says what becomes of it."""

    exact: frozenset[type]
    check: Checker


@functools.lru_cache(maxsize=256)
def checker(reference: str) -> Checker:
    """What makes a value fit one part of the schema: ``#/$defs/node``."""
    return _part(reference).check


@functools.lru_cache(maxsize=256)
def _part(reference: str) -> Part:
    node: t.Any = schema()
    for part in reference.split("/")[1:]:
        node = node[part]
    return _compile(node)


def _compile(node: dict[str, t.Any]) -> Part:
    if "$ref" in node:
        return _part(node["$ref"])
    if "anyOf" in node:
        return _compile(next(option for option in node["anyOf"] if option.get("type") != "null"))
    if "enum" in node:
        allowed = frozenset(node["enum"])
        return _none_or(lambda value: value if isinstance(value, str) and value in allowed else None)
    names = node["type"] if isinstance(node["type"], list) else [node["type"]]
    kinds = tuple(kind for name in names if name != "null" for kind in _TYPES[name])
    if dict in kinds:
        return _none_or(_object(node))
    if list in kinds:
        return _none_or(_array(_compile(node["items"])))
    if node.get("format") == "date-time":
        return _none_or(_time)
    if bool in kinds:
        return Part(frozenset((_NONE, *kinds)), lambda value: value if isinstance(value, kinds) else None)
    return Part(
        frozenset((_NONE, *kinds)),
        lambda value: value if isinstance(value, kinds) and not isinstance(value, bool) else None,
    )


def _none_or(check: Checker) -> Part:
    return Part(frozenset((_NONE,)), check)


MAX_SHAPES = 512
"""Shapes of one kind of object that are remembered."""
Shape = tuple[tuple[t.Any, ...], tuple[type, ...]]
"""The keys of an object and the types of its values."""


def _object(node: dict[str, t.Any]) -> Checker:
    known = {key: _compile(part) for key, part in node.get("properties", {}).items()}
    other = _compile(node["additionalProperties"]) if "additionalProperties" in node else None
    required = node.get("required", ())
    shapes: dict[Shape, tuple[tuple[str, Checker], ...]] = {}

    def check(value: t.Any) -> t.Any:
        if not isinstance(value, dict):
            return None
        if not known and other is None:
            return value
        # Objects of one kind mostly have the same keys with values of the same types; then only some of these are to be looked at.
        shape = (tuple(value), tuple(map(type, value.values())))
        inside = shapes.get(shape)
        if inside is None:
            return fitted(value, shape)
        result = value.copy()
        for key, check_item in inside:
            result[key] = check_item(value[key])
        return None if lacking(result) else result

    def fitted(value: dict[t.Any, t.Any], shape: Shape) -> t.Any:
        result, inside = {}, []
        for key, item in value.items():
            part = known.get(key, other)
            if part is None:
                continue
            fits = type(item) in part.exact
            result[str(key)] = item if fits else part.check(item)
            if not fits:
                inside.append((str(key), part.check))
        if len(result) == len(value) and set(map(type, value)) <= {str}:
            if len(shapes) >= MAX_SHAPES:
                shapes.clear()
            shapes[shape] = tuple(inside)
        return None if lacking(result) else result

    def lacking(result: dict[str, t.Any]) -> bool:
        return bool(required) and any(result.get(key) is None for key in required)

    return check


def _array(part: Part) -> Checker:
    exact, check_item = part

    def check(value: t.Any) -> t.Any:
        if not isinstance(value, list):
            return None
        if not value:
            return []
        fitted = [item if type(item) in exact else check_item(item) for item in value]
        return [item for item in fitted if item is not None] if None in fitted else fitted

    return check


def _time(value: t.Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        parse_time(value)
    except ValueError:
        return None
    return value

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""JMESPath expressions as Python functions.

A fleet evaluates the same few hundred expressions for each node, and jmespath's own interpreter walks the tree of each anew, which took most
of the time of a diagnosis. Here a tree is made into nested functions once. Kinds of expressions that rules seldom use are left to jmespath;
the results are the same (``tests/unit/plugins/plugin_utils/diagnosis/test_expressions.py`` compares them).
"""

from __future__ import annotations

import functools
import traceback
import typing as t

JMESPATH_IMPORT_ERROR: str | None
try:
    import jmespath
    from jmespath.exceptions import JMESPathError
    from jmespath.functions import Functions
    from jmespath.visitor import TreeInterpreter
except ImportError:
    JMESPATH_IMPORT_ERROR = traceback.format_exc()
else:
    JMESPATH_IMPORT_ERROR = None

Getter = t.Callable[[t.Any], t.Any]
Tree = dict[str, t.Any]


@functools.lru_cache(maxsize=4096)
def compiled(expression: str) -> t.Any:
    """The expression as jmespath has it. Raises ValueError, naming it, when it is no JMESPath."""
    try:
        return jmespath.compile(expression)
    except JMESPathError as error:
        raise ValueError(f"{expression!r} is no JMESPath expression: {error}") from error


@functools.lru_cache(maxsize=4096)
def getter(expression: str) -> Getter:
    """A function from data to the expression's value; None also where a function met a value of the wrong type (unknown).

    Raises ValueError, naming the expression, when it is no JMESPath.
    """
    tree = compiled(expression).parsed
    function = _function_of(tree)
    return function if _keys(tree) is not None else _guarded(function)


def conjuncts(expression: str) -> list[tuple[Getter, frozenset[str] | None]]:
    """The parts of ``a && b && c``, of which none may be false, each with the first keys that it reads (None: cannot be told)."""
    found = []
    trees = [compiled(expression).parsed]
    while trees:
        tree = trees.pop()
        if tree["type"] == "and_expression":
            trees += reversed(tree["children"])
        else:
            found.append((_guarded(_function_of(tree)), _roots(tree)))
    return found


def is_false(value: t.Any) -> bool:
    """What JMESPath takes for false; 0 is not."""
    return value is None or value is False or (not value and isinstance(value, (str, list, dict)))


def _guarded(function: Getter) -> Getter:
    def search(data: t.Any) -> t.Any:
        try:
            return function(data)
        except JMESPathError:
            return None

    return search


def _roots(tree: Tree) -> frozenset[str] | None:
    kind, children = tree["type"], tree["children"]
    if kind == "field":
        return frozenset((tree["value"],))
    if kind in ("subexpression", "index_expression", "pipe", "projection", "filter_projection", "flatten"):
        return _roots(children[0])  # what comes after is of what that gives
    if kind in ("literal", "comparator", "and_expression", "or_expression", "not_expression", "function_expression"):
        found = [_roots(child) for child in children]
        return None if None in found else frozenset().union(*(one for one in found if one))
    return None


def _keys(tree: Tree) -> tuple[str, ...] | None:
    """The keys of a plain path (``a.b.c``), which most expressions are; None for any other."""
    if tree["type"] == "field":
        return (tree["value"],)
    if tree["type"] != "subexpression":
        return None
    parts = [_keys(child) for child in tree["children"]]
    return None if None in parts else tuple(key for part in parts for key in part or ())


def _function_of(tree: Tree) -> Getter:
    keys = _keys(tree)
    if keys is not None:
        return _path(keys)
    make = _MAKERS.get(tree["type"])
    return make(tree) if make else functools.partial(TreeInterpreter().visit, tree)


def _path(keys: tuple[str, ...]) -> Getter:
    if len(keys) == 2:
        first, second = keys

        def two(data: t.Any) -> t.Any:
            data = data.get(first) if isinstance(data, dict) else None
            return data.get(second) if isinstance(data, dict) else None

        return two

    def follow(data: t.Any) -> t.Any:
        for key in keys:
            if not isinstance(data, dict):
                return None
            data = data.get(key)
        return data

    return follow


def _sequence(tree: Tree) -> Getter:
    parts = [_function_of(child) for child in tree["children"]]

    def run(data: t.Any) -> t.Any:
        for part in parts:
            data = part(data)
        return data

    return run


def _literal(tree: Tree) -> Getter:
    value = tree["value"]
    return lambda data: value


def _index(tree: Tree) -> Getter:
    place = tree["value"]

    def item(data: t.Any) -> t.Any:
        return data[place] if isinstance(data, list) and -len(data) <= place < len(data) else None

    return item


def _comparator(tree: Tree) -> Getter:
    left, right = (_function_of(child) for child in tree["children"])
    name, literal = tree["value"], tree["children"][1]
    compare = TreeInterpreter.COMPARATOR_FUNC[name]
    if name in ("eq", "ne"):
        if literal["type"] == "literal" and isinstance(literal["value"], (bool, str, type(None))):
            return _equality(left, literal["value"], name == "eq")
        return lambda data: compare(left(data), right(data))

    def ordered(data: t.Any) -> t.Any:
        one, other = left(data), right(data)
        return compare(one, other) if _is_comparable(one) and _is_comparable(other) else None

    return ordered


def _equality(left: Getter, wanted: bool | str | None, equal: bool) -> Getter:
    """With a constant. 1 is not ``true``: what is true or null is only itself."""
    if isinstance(wanted, str):
        return (lambda data: left(data) == wanted) if equal else (lambda data: left(data) != wanted)
    return (lambda data: left(data) is wanted) if equal else (lambda data: left(data) is not wanted)


def _is_comparable(value: t.Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def _and(tree: Tree) -> Getter:
    left, right = (_function_of(child) for child in tree["children"])

    def both(data: t.Any) -> t.Any:
        value = left(data)
        return value if is_false(value) else right(data)

    return both


def _or(tree: Tree) -> Getter:
    left, right = (_function_of(child) for child in tree["children"])

    def either(data: t.Any) -> t.Any:
        value = left(data)
        return right(data) if is_false(value) else value

    return either


def _not(tree: Tree) -> Getter:
    inner = _function_of(tree["children"][0])

    def negated(data: t.Any) -> bool:
        value = inner(data)
        return not value and not (_is_comparable(value) and value == 0)  # 0 is no false

    return negated


def _function(tree: Tree) -> Getter:
    if any(child["type"] == "expref" for child in tree["children"]):
        return functools.partial(TreeInterpreter().visit, tree)
    arguments = [_function_of(child) for child in tree["children"]]
    call, name = Functions().call_function, tree["value"]
    return lambda data: call(name, [argument(data) for argument in arguments])


def _filter(tree: Tree) -> Getter:
    base, each, condition = (_function_of(child) for child in tree["children"])

    def chosen(data: t.Any) -> t.Any:
        items = base(data)
        if not isinstance(items, list):
            return None
        values = (each(item) for item in items if not is_false(condition(item)))
        return [value for value in values if value is not None]

    return chosen


def _projection(tree: Tree) -> Getter:
    base, each = (_function_of(child) for child in tree["children"])

    def projected(data: t.Any) -> t.Any:
        items = base(data)
        if not isinstance(items, list):
            return None
        return [value for value in map(each, items) if value is not None]

    return projected


_MAKERS: dict[str, t.Callable[[Tree], Getter]] = {
    "subexpression": _sequence,
    "index_expression": _sequence,
    "pipe": _sequence,
    "literal": _literal,
    "index": _index,
    "current": lambda tree: lambda data: data,
    "identity": lambda tree: lambda data: data,
    "comparator": _comparator,
    "and_expression": _and,
    "or_expression": _or,
    "not_expression": _not,
    "function_expression": _function,
    "filter_projection": _filter,
    "projection": _projection,
}

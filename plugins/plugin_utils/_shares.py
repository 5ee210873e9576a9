# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Work on many items of which none needs another's result, done by all processors of the control node."""

from __future__ import annotations

import gc
import json
import os
import tempfile
import typing as t

LEAST_ITEMS = 250
"""Fewer are not worth a process of their own."""
MOST_PROCESSES = 8

Item = t.TypeVar("Item")


def in_shares(items: t.Sequence[Item], work: t.Callable[[t.Sequence[Item], int], t.Any]) -> list[t.Any]:
    """What ``work(share, number)`` returns for each share of the items, as JSON brings it back; a share is every n-th item.

    Each share but the first is worked on by a copy of this process, which shares its memory and ends with its share.

    Raises:
        OSError, ValueError: as ``work`` does. ChildProcessError: a process ended without a word, as when it is killed.
    """
    count = max(1, min(processors(), MOST_PROCESSES, len(items) // LEAST_ITEMS))
    shares = [items[start::count] for start in range(count)]
    gc.freeze()  # what is here stays; to look at it again and again would copy the memory that is shared
    children: list[tuple[int, t.BinaryIO]] = []
    try:
        for number, share in enumerate(shares[1:], 1):
            answer = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it was read
            pid = os.fork()
            if pid == 0:
                _work_and_end(work, share, number, answer)
            children.append((pid, answer))
        results = [json.loads(json.dumps(work(shares[0], 0)))]
    finally:
        gc.unfreeze()
        statuses = [os.waitpid(pid, 0)[1] for pid, _answer in children]
    for status, (_pid, kept) in zip(statuses, children):  # noqa: B905 (one of each child)
        with kept:
            kept.seek(0)
            results.append(_result(status, kept.read()))
    return results


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work_and_end(
    work: t.Callable[[t.Sequence[Item], int], t.Any], share: t.Sequence[Item], number: int, answer: t.BinaryIO
) -> t.NoReturn:
    status = 1
    try:
        try:
            told = {"result": work(share, number)}
        except OSError as error:
            told = {"errno": error.errno, "error": error.strerror}
        except ValueError as error:
            told = {"error": str(error)}
        answer.write(json.dumps(told).encode())
        answer.flush()
        status = 0
    finally:
        os._exit(status)  # nothing of the process that this is a copy of is to be ended twice


def _result(status: int, text: bytes) -> t.Any:
    if status:
        raise ChildProcessError(None, f"a process that judged nodes ended with {os.waitstatus_to_exitcode(status)}")
    told = json.loads(text)
    if "errno" in told:
        raise OSError(told["errno"], told["error"])
    if "error" in told:
        raise ValueError(told["error"])
    return told["result"]

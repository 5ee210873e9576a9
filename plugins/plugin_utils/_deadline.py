# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""A time limit for what an action plugin waits for."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import typing as t


class NoAnswerInTimeError(Exception):
    """The node did not answer within its time and the grace."""


@contextlib.contextmanager
def deadline(seconds: int) -> t.Iterator[None]:
    """Raises NoAnswerInTimeError in the body after ``seconds``. An alarm that was set before (the task's ``timeout``) goes on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGALRM)
    left_before, _interval = signal.getitimer(signal.ITIMER_REAL)
    if left_before and left_before <= seconds:
        yield
        return

    def ring(_number: int, _frame: t.Any) -> None:
        raise NoAnswerInTimeError

    started = time.monotonic()
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left_before:
            signal.setitimer(signal.ITIMER_REAL, max(left_before - (time.monotonic() - started), 0.01))

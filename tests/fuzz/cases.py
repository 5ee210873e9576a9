# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many cases each property gets, and how many there were.

Without ``KUBECARE_FUZZ_EXAMPLES`` the cases are few and always the same (``make check``); with it, each property gets that many, other
ones each time (``make fuzz``).
"""

from __future__ import annotations

import os
import typing as t

from hypothesis import HealthCheck, Phase, given, settings

EXAMPLES = int(os.environ.get("KUBECARE_FUZZ_EXAMPLES", "0"))
RUN = {"cases": 0}
"""Cases that ran in this process."""

_F = t.TypeVar("_F", bound=t.Callable[..., t.Any])


def fuzz(*strategies: t.Any, quick: int = 30, share: float = 1.0, shrink: bool = True) -> t.Callable[[t.Any], t.Any]:
    """Like ``hypothesis.given``: ``quick`` cases, or ``share`` of what is asked for; a slow one that fails is not made smaller."""

    def decorate(test: t.Any) -> t.Any:
        limited = settings(
            max_examples=max(int(EXAMPLES * share), 1) if EXAMPLES else quick,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            print_blob=False,
            phases=[
                phase
                for phase in Phase
                if phase is not Phase.shrink or (shrink and "KUBECARE_FUZZ_SHRINK" in os.environ)
            ],
            suppress_health_check=list(HealthCheck),
        )
        return limited(given(*strategies)(_counted(test)))

    return decorate


def _counted(test: _F) -> _F:
    import functools

    @functools.wraps(test)
    def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
        RUN["cases"] += 1
        return test(*args, **kwargs)

    return t.cast("_F", wrapped)

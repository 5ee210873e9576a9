# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts and bytes by which others try to reach the reader's terminal, browser, shell or template engine."""

from __future__ import annotations

import typing as t

from hypothesis import strategies as st

TEMPLATES = (
    "{{ 7*7 }}",
    "{{ lookup('pipe', 'touch pwned') }}",
    "{% for x in y %}",
    "{{ ''.__class__ }}",
    "{#",
    "}}",
    "!unsafe x",
    "<<: *x",
)
MARKUP = (
    "<script>document.documentElement.dataset.pwned=1</script>",
    "</script><svg onload=document.documentElement.dataset.pwned=1>",
    "</style><img src=x onerror=document.documentElement.dataset.pwned=1>",
    "\" onmouseover='document.documentElement.dataset.pwned=1' style='x:y",
    "javascript:document.documentElement.dataset.pwned=1",
    "https://x.invalid/\"><base href='https://x.invalid/'>",
    "<link rel=stylesheet href=https://x.invalid/a.css><meta http-equiv=refresh content=0;url=https://x.invalid>",
    "}*{background:url(https://x.invalid/b)}",
    "<!--",
    "]]>",
    "&#x3c;script&#x3e;",
    "<iframe srcdoc='<script>parent.document.documentElement.dataset.pwned=1</script>'>",
)
TERMINAL = (
    "\x1b[2J\x1b]0;x\x07",
    "\x9b31m",
    "\x1b]8;;https://x.invalid\x1b\\",
    "\r\x08\x08",
    "\u202eevil",
    "\u2066x\u2069",
    "\u200b\u200e\ufeff",
    "\u2028\u2029",
    "\x00",
    "\x85",
    "a\u0301" * 40,
    "\ud800",
    "\U000e0041",
    "\x1bP$q\x1b\\",
)
SHELLS = (
    "'; touch pwned; '",
    "$(touch pwned)",
    "`touch pwned`",
    "\n$ rm -rf /",
    "-rf",
    "../../../../etc/passwd",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "%00",
)
NUMBERS: tuple[t.Any, ...] = (
    0,
    -1,
    2**31,
    2**63,
    -(2**70),
    10**400,
    1e308,
    float("inf"),
    float("nan"),
    True,
    False,
    None,
)
TIMES = (
    "1950-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-11-23T20:05:00Z",
    "now",
    "",
)

SAID = st.sampled_from((*TEMPLATES, *MARKUP, *TERMINAL, *SHELLS))
texts = st.one_of(
    SAID,
    st.lists(st.one_of(SAID, st.text(max_size=30)), min_size=1, max_size=4).map("".join),
    st.text(max_size=60),
    st.sampled_from(TIMES),
    st.builds(lambda text, times: text * times, SAID, st.integers(1, 400)),
)
leaves: st.SearchStrategy[t.Any] = st.one_of(texts, st.sampled_from(NUMBERS))
values: st.SearchStrategy[t.Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)

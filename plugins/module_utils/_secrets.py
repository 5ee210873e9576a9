# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What is shaped like a secret, taken out of free text: the control node's look. The node's own is ``scrub`` in
``plugin_utils/probe/script/10_base.sh``; the two know the same shapes (``tests/fuzz`` plants the same secrets before both).

A secret without a shape and without a name beside it cannot be known. Every pattern reads a text of any kind in linear time.
"""

from __future__ import annotations

import re
import typing as t

REMOVED = "[removed]"

CUT_MARGIN = 64
"""Characters to drop from the end of a text that was cut before it was searched: what is left of a token there has no shape."""

_NAMES = (
    r"pass(?:word|wd|phrase)|pwd|token|secret|client-key-data"
    r"|(?:secret|access|api|private|account|encryption|signing|shared|auth)[_-]?(?:access)?[_-]?key"
)
_VALUE = r"""(?:"(?:[^"\\]|\\.)*|\\+"(?:[^"\\]|\\\\\\.|\\\\[^\\]|\\[^"\\])*|'[^']*|[^\s"'][^\s"]*)"""
_AFTER_IT = r"(?=[.-]*(?:[^A-Za-z0-9.-]|$)|[.-]*\.(?:pem|crt|key|tmp|conf|yaml|json)\b)"

_WORD = re.compile(r"[A-Za-z0-9_.-]{12,}")
_PATTERNS: t.Final = (
    (re.compile(r"(?<=://)[^/\s\"]*@"), ""),
    (re.compile(r"LS0tLS1(?:[A-Za-z0-9+/_=-]|\\[nr])*"), REMOVED),
    (re.compile(r"-----BEGIN[A-Z0-9 ]*KEY.*?(?:-----END[A-Z0-9 ]*KEY[A-Z ]*-----|\Z)", re.DOTALL), REMOVED),
    (re.compile(r"[A-Za-z0-9+/=\\]{0,200}-----END[A-Z0-9 ]*PRIVATE *KEY[A-Z ]*-----"), REMOVED),
    (re.compile(rf"((?:(?<![A-Za-z0-9])|(?<=\\[nrt]))[a-z0-9]{{6}})\.[a-z0-9]{{16}}{_AFTER_IT}"), rf"\1.{REMOVED}"),
    (re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}"), REMOVED),
    (re.compile(r"(bearer|basic)(?:[^A-Za-z0-9]{1,4}|%20)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {REMOVED}"),
    (
        re.compile(
            r"(authorization[^A-Za-z0-9=:]{0,4} *[=:]{1,2}[^A-Za-z0-9]{0,6})(?:(?:Digest|Negotiate|NTLM|Token|ApiKey|AWS4-HMAC-SHA256) [^\"]*"
            r"|(?:Basic|Bearer) [A-Za-z0-9._~+/=-]*|[A-Za-z0-9._~+/=-]{8,})",
            re.IGNORECASE,
        ),
        rf"\1{REMOVED}",
    ),
    (re.compile(rf"(--[A-Za-z0-9_-]{{0,40}}(?:{_NAMES})) +[^\s-]\S*", re.IGNORECASE), rf"\1 {REMOVED}"),
    (
        re.compile(rf"({_NAMES})([^A-Za-z0-9\s=:,.]{{0,4}} *[=:]{{1,2}}>? *){_VALUE}", re.IGNORECASE | re.DOTALL),
        rf"\1\2{REMOVED}",
    ),
)


def without_secrets(text: str) -> str:
    """The text with ``[removed]`` for keys, tokens, passwords and the credentials of URLs. Searching it again changes nothing."""
    text = _WORD.sub(_without_jwt, text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _without_jwt(match: re.Match[str]) -> str:
    """A word without what follows ``eyJ`` (the base64 of ``{"``) when a first part of some length and a dot do."""
    word = match.group()
    start = word.find("eyJ")
    while start >= 0:
        dot = word.find(".", start)
        if dot < 0:
            return word
        if dot - start >= 11:
            return f"{word[:start]}{REMOVED}"
        start = word.find("eyJ", dot)
    return word

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""The probe's line protocol: the script that asks, and the answer as sections.

An answer is lines ``<nonce> <tag> <value>``. ``[ <kind> <name>`` opens a section, ``! <subject> <reason> <message>`` says what was not
seen, ``finished`` is the last line of a whole answer. All else (login banners, sudo's words, noise) is ignored. The nonce is made for
each run, so a file's content cannot pass for a line of the probe's.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._secrets import CUT_MARGIN, without_secrets

MAX_ANSWER_CHARS = 4 * 1024 * 1024
MAX_LINES = 20_000
MAX_VALUE_CHARS = 4096
_CERTIFICATE_TAGS = frozenset(("cert", "ca_cert", "user_cert"))
_SCRIPT_FOLDER = os.path.join(os.path.dirname(__file__), "script")

_SURROGATES = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
"""Those that stand for no byte (``surrogateescape``)."""
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclasses.dataclass
class Section:
    """One thing that was looked at: its kind, its name (often a path) and its values in the order they came."""

    kind: str
    name: str
    values: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def one(self, tag: str) -> str | None:
        """The first value of a tag, None when there is none or it is empty."""
        return next((value for value in self.values.get(tag, ()) if value), None)

    def all(self, tag: str) -> list[str]:
        """Every value of a tag."""
        return self.values.get(tag, [])

    def yes(self, tag: str) -> bool | None:
        """``yes`` and ``no`` as true and false, None for anything else."""
        return {"yes": True, "no": False}.get(self.one(tag) or "")

    def number(self, tag: str) -> int | None:
        """The whole number of a tag, None when it is none."""
        return whole_number(self.one(tag))


@dataclasses.dataclass
class Answer:
    """``started``: at least one line of the probe's came. ``finished``: its last one did."""

    sections: list[Section]
    not_seen: list[dict[str, str]]
    started: bool
    finished: bool
    end_time: int | None

    def first(self, kind: str) -> Section | None:
        """The first section of a kind."""
        return next((section for section in self.sections if section.kind == kind), None)

    def every(self, kind: str) -> list[Section]:
        """All sections of a kind."""
        return [section for section in self.sections if section.kind == kind]


def script_parts(folder: str = _SCRIPT_FOLDER) -> list[str]:
    """The paths of a script's parts, in the order of their names."""
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".sh")]


def build_script(nonce: str, settings: t.Mapping[str, str | int], parts: t.Sequence[str] | None = None) -> bytes:
    """The script with its settings as quoted shell variables at the top. Raises ValueError when a setting holds a line break or NUL.

    ``parts``: the paths of the files it is made of; the probe's without them.
    """
    head = []
    for name, value in {"KCP_NONCE": nonce, **settings}.items():
        if re.search(r"[\x00\r\n]", str(value)):
            raise ValueError(f"{name} holds a line break or a NUL")
        head.append(f"{name}={shlex.quote(str(value))}\n")
    body: list[str] = []
    for path in script_parts() if parts is None else parts:
        with open(path, encoding="utf-8") as stream:
            body.extend(line for line in stream if not line.startswith("#"))
    return ("".join(head) + "".join(body)).encode("utf-8")


def read_answer(text: str, nonce: str) -> Answer:
    """The sections of an answer, as far as it came. Never raises, whatever the text is."""
    answer = Answer([], [], False, False, None)
    text = text[:MAX_ANSWER_CHARS]
    prefix = f"{nonce} "
    lines = [line for line in text.split("\n")[:-1] if line.startswith(prefix)]
    answer.started = bool(lines)
    for line in lines[:MAX_LINES]:
        tag, _space, value = line[len(prefix) :].rstrip("\r").partition(" ")
        value = value if tag in _CERTIFICATE_TAGS else plain(value)
        if tag == "[":
            kind, _space, name = value.partition(" ")
            answer.sections.append(Section(kind, name))
        elif tag == "!":
            subject, _space, rest = value.partition(" ")
            reason, _space, message = rest.partition(" ")
            answer.not_seen.append({"subject": subject, "reason": reason, "message": message})
        elif tag == "finished":
            answer.finished, answer.end_time = True, whole_number(value)
        elif answer.sections:
            answer.sections[-1].values.setdefault(tag, []).append(value)
    return answer


def plain(value: str) -> str:
    """A value fit for evidence: valid text without control or direction characters, without what is shaped like a secret, clipped."""
    text = _SURROGATES.sub("\ufffd", value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    cut = len(text) > MAX_VALUE_CHARS * 2
    text = without_secrets(_CONTROLS.sub("?", text[: MAX_VALUE_CHARS * 2]))
    return (text[:-CUT_MARGIN] if cut else text)[:MAX_VALUE_CHARS].strip(" ")


def whole_number(text: str | None) -> int | None:
    """A whole number of at most 18 digits, else None."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII) else None

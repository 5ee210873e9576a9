# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets as they stand in logs, files and arguments, each with the parts of it that nobody may see afterwards."""

from __future__ import annotations

import base64
import functools
import string
import typing as t

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import strategies as st

ALPHANUMERIC = string.ascii_letters + string.digits
SYMBOLS = "!#$%&()*+-./;<=>?@[]^_{|}~:,"


class Planted(t.NamedTuple):
    """A text with a secret in it, and the secret's parts."""

    text: str
    parts: tuple[str, ...]


@functools.cache
def keys() -> tuple[str, ...]:
    """Private keys in PEM, of each kind and form."""
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    forms = serialization.PrivateFormat
    pairs: list[tuple[t.Any, t.Any, t.Any]] = [
        (ec.generate_private_key(ec.SECP256R1()), forms.TraditionalOpenSSL, plain),
        (ec.generate_private_key(ec.SECP384R1()), forms.PKCS8, plain),
        (rsa.generate_private_key(65537, 2048), forms.TraditionalOpenSSL, plain),
        (ed25519.Ed25519PrivateKey.generate(), forms.PKCS8, plain),
        (ed25519.Ed25519PrivateKey.generate(), forms.OpenSSH, plain),
        (ec.generate_private_key(ec.SECP256R1()), forms.PKCS8, serialization.BestAvailableEncryption(b"x")),
    ]
    return tuple(key.private_bytes(pem, form, cipher).decode() for key, form, cipher in pairs)


def parts_of(pem: str) -> tuple[str, ...]:
    """The lines of a key's body, but for the first, which is alike in all keys of a kind."""
    body = [line for line in pem.splitlines() if not line.startswith("-")]
    return tuple(line[-24:] for line in body[1:] or body if len(line) >= 24)


def words(least: int = 8, most: int = 40, more: str = "") -> st.SearchStrategy[str]:
    """A word that occurs nowhere by chance."""
    return st.text(ALPHANUMERIC + more, min_size=least, max_size=most).map(lambda word: f"Zq9{word}")


@st.composite
def passwords(draw: st.DrawFn) -> Planted:
    """Name and value in the forms of programs' messages, JSON, YAML, Python, shells."""
    name = draw(
        st.sampled_from(
            "password passwd passphrase token secret Password TOKEN client_secret access_token AWS_SECRET_ACCESS_KEY secretAccessKey "
            "api_key apiKey api-key private_key aws_session_token SECRET_KEY bootstrapToken db-password".split()
        )
    )
    quoted = st.lists(words(more=SYMBOLS), min_size=1, max_size=3)
    form = draw(st.integers(0, 7))
    if form <= 1:
        word = draw(words(more=SYMBOLS))
        return Planted(f"{name}{draw(st.sampled_from(['=', ': ', ':', ' = ', '=>', ':=']))}{word}", (word,))
    if form == 2:
        parts = draw(quoted)
        return Planted(f'{name}{draw(st.sampled_from(["=", ": ", ":"]))}"{" ".join(parts)}"', tuple(parts))
    if form == 3:
        parts = draw(quoted)
        return Planted(
            f'{{"a": 1, "{name}": "{draw(st.sampled_from([" ", chr(92) + chr(34)])).join(parts)}", "b": 2}}',
            tuple(parts),
        )
    if form == 4:
        parts = draw(quoted)
        inner = draw(st.sampled_from([" ", '\\\\\\"']))
        return Planted(f'{{\\"{name}\\": \\"{inner.join(parts)}\\", \\"b\\": 2}}', tuple(parts))
    if form == 5:
        parts = draw(quoted)
        return Planted(f"{{'{name}': '{' '.join(parts)}', 'b': 2}}", tuple(parts))
    if form == 6:
        word = draw(words())
        return Planted(f"--{name.lower()} {word}", (word,))
    word = draw(words())
    return Planted(f"?{name}={word}&x=1", (word,))


@st.composite
def tokens(draw: st.DrawFn) -> Planted:
    """Bootstrap tokens, one or several, in a sentence."""
    letters = string.ascii_lowercase + string.digits
    made, text = [], ""
    for _turn in range(draw(st.integers(1, 3))):
        secret = draw(st.text(letters, min_size=14, max_size=14)) + "z9"
        made.append(secret)
        text += f"{draw(st.sampled_from([' ', '(', chr(34), chr(92) + 'n', '=', '/', '_']))}{draw(st.text(letters, min_size=6, max_size=6))}.{secret}"
    return Planted(
        text + draw(st.sampled_from(["", " ", ".", ". x", ",", '"', ")", "\\n", ".pem", "-", ";"])), tuple(made)
    )


@st.composite
def bearers(draw: st.DrawFn) -> Planted:
    """JWTs and what stands in an Authorization header."""
    form = draw(st.integers(0, 4))
    if form <= 1:
        two = [
            base64.urlsafe_b64encode(draw(st.binary(min_size=30, max_size=90))).decode().rstrip("=") for _n in range(2)
        ]
        jwt = f"eyJhbGciOiJSUzI1NiJ9.{two[0]}.{two[1]}"
        return Planted(
            draw(st.sampled_from(["", "jwt ", "x=", "Bearer ", "\\n", "Authorization: Bearer "])) + jwt,
            tuple(part[-24:] for part in two),
        )
    if form == 2:
        word = draw(words(more="._~+/-"))
        return Planted(
            draw(st.sampled_from(["Bearer ", "bearer ", "Bearer%20", "BEARER: ", "bearer  "])) + word, (word,)
        )
    if form == 3:
        encoded = base64.b64encode(f"joe:{draw(words())}".encode()).decode()
        return Planted(
            f"{draw(st.sampled_from(['Authorization: ', 'authorization=', chr(34) + 'Authorization' + chr(34) + ': ' + chr(34)]))}Basic {encoded}",
            (encoded,),
        )
    word = draw(words())
    scheme = draw(st.sampled_from(["Negotiate", "NTLM", "AWS4-HMAC-SHA256", "Token"]))
    return Planted(f'"Authorization": "{scheme} {word}"', (word,))


@st.composite
def urls(draw: st.DrawFn) -> Planted:
    """A URL with a password, which may hold an @."""
    word = draw(words(more="!$&*+,;=:@%._~-"))
    scheme = draw(st.sampled_from(["https", "http", "socks5", "HTTPS"]))
    return Planted(
        f"{scheme}://{draw(st.sampled_from(['joe', '', 'a.b']))}:{word}@{draw(st.sampled_from(['api:6443/x', 'h', '10.0.0.1:80']))}",
        (word,),
    )


@st.composite
def pem_keys(draw: st.DrawFn) -> Planted:
    """A key on one line, as loggers write it, or its base64."""
    pem = draw(st.sampled_from(keys()))
    form = draw(st.integers(0, 3))
    if form == 0:
        return Planted(pem.replace("\n", "\\n"), parts_of(pem))
    if form == 1:
        return Planted(pem.replace("\n", draw(st.sampled_from([" ", ""]))), parts_of(pem))
    encoded = base64.b64encode(pem.encode()).decode()
    pieces = tuple(encoded[at : at + 24] for at in range(100, len(encoded) - 24, 60))
    if form == 2:
        return Planted(f"{draw(st.sampled_from(['', 'client-key-data: ']))}{encoded}", pieces)
    return Planted(
        "\\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76)),
        tuple(piece[-8:] for piece in ()) or (encoded[100:124],),
    )


@st.composite
def cloud_keys(draw: st.DrawFn) -> Planted:
    """Key ids of AWS and tokens of GitHub."""
    if draw(st.booleans()):
        word = draw(st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16))
        return Planted(f"{draw(st.sampled_from(['AKIA', 'ASIA']))}{word}", (word,))
    word = draw(st.text(ALPHANUMERIC, min_size=36, max_size=36))
    return Planted(f"ghp_{word}", (word,))


SECRETS: tuple[st.SearchStrategy[Planted], ...] = (passwords(), tokens(), bearers(), urls(), pem_keys(), cloud_keys())
ANY = st.one_of(*SECRETS)

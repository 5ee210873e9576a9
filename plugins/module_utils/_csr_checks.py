# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What a kubelet's certificate signing request must pass before it is approved (``docs/csr-approval.md``). Pure.

A check is ``{name, passed, compared}``: ``passed`` is True, False, or None where what it needs was not seen; only True approves.
``compared`` says what was held against what. Values are compared as they came; only what is shown of them is cleaned and cut.

Sources: ``pkg/apis/certificates/helpers.go`` (ValidateKubeletClientCSR, ValidateKubeletServingCSR) and
``pkg/apis/certificates/validation/validation.go`` of Kubernetes 1.36; RFC 2986 for the request; RFC 1123 for names.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import hashlib
import ipaddress
import re
import typing as t
import warnings

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._csrs import (
    CLIENT_SIGNER,
    KUBELET_SIGNERS,
    NODE_PREFIX,
    SERVING_SIGNER,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data, mapping, moment, text
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import seconds_between

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
except ImportError:
    pass  # the module says so: CRYPTOGRAPHY_IMPORT_ERROR of _x509.py

NODES_GROUP = "system:nodes"
AUTHENTICATED = "system:authenticated"
BOOTSTRAPPERS = "system:bootstrappers"

MAX_REQUEST_BYTES = 16 * 1024
"""Of the PEM text. A kubelet's is 0.5 KiB, with a key of RSA 4096 and 20 names 2.5 KiB."""

LEASE_ALIVE_SECONDS = 60
"""A kubelet renews its lease every 10 seconds and is given up on after 40."""

CLOCK_SLACK_SECONDS = 5
LEAST_EXPIRATION_SECONDS = 600
"""What the API server accepts at least."""

MOST_EXPIRATION_SECONDS = 367 * 24 * 3600
"""As kubelet-csr-approver has it; the signer caps it as well."""

LEFT_ALONE = ("undecided", "bound", "fresh", "uncontested", "made_after")
"""Checks that fail for no fault of the request: never a reason to deny it."""

_BLOCK = re.compile(
    rb"-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----[\r\n]*"
)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TOKEN_USER = re.compile(r"system:bootstrap:[a-z0-9]{6}")
_TOKEN_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_USAGES = {CLIENT_SIGNER: "client auth", SERVING_SIGNER: "server auth"}
_SIGN = "digital signature"
_ENCIPHER = "key encipherment"
_SHOWN = 8
_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"


@dataclasses.dataclass(frozen=True)
class Expected:
    """A node as the inventory has it: its addresses and its DNS names, its own name among them."""

    addresses: frozenset[ipaddress.IPv4Address | ipaddress.IPv6Address]
    dns_names: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Policy:
    """What is expected. Times are as ``_time.py`` writes them."""

    expected: t.Mapping[str, Expected]
    bootstrap_users: frozenset[str] = frozenset()
    """Users that may bootstrap nodes, besides those of bootstrap tokens."""
    created_after: str | None = None
    max_age: int = 900
    bound_to: t.Mapping[str, t.Mapping[str, str]] | None = None
    """Request → ``{uid, request_sha256}``; where it is given, no other request is approved."""


@dataclasses.dataclass(frozen=True)
class World:
    """What the cluster tells, at ``now`` by the API server's clock."""

    now: str
    alive: t.Callable[[str], tuple[bool | None, str]]
    """Whether a node lives, None when unknown, and by what it was told."""
    requests: tuple[Request, ...]
    """Every request that the cluster has, of any signer."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A CertificateSigningRequest as it came. ``error`` says why ``parsed`` is None."""

    name: str
    uid: str
    resource_version: str
    created: str | None
    signer: str
    requestor: str
    groups: tuple[t.Any, ...]
    usages: tuple[t.Any, ...]
    expiration: t.Any
    conditions: tuple[str, ...]
    """Types of the conditions that hold."""
    issued: bool
    pem: bytes | None
    parsed: x509.CertificateSigningRequest | None
    error: str | None
    key_sha256: str | None
    """Digest of the public key (SubjectPublicKeyInfo)."""
    common_names: tuple[str, ...]

    @property
    def sha256(self) -> str | None:
        """Digest of the decoded ``spec.request``."""
        return None if self.pem is None else hashlib.sha256(self.pem).hexdigest()

    @property
    def pending(self) -> bool:
        """Nobody has decided, and nothing was issued."""
        return not self.conditions and not self.issued

    @property
    def node(self) -> str | None:
        """The node asked for; None where the common name is none's."""
        if len(self.common_names) != 1 or not self.common_names[0].startswith(NODE_PREFIX):
            return None
        return self.common_names[0][len(NODE_PREFIX) :] or None

    @property
    def is_bootstrap(self) -> bool:
        """A client certificate that is not asked for by the node itself."""
        return self.signer == CLIENT_SIGNER and self.requestor not in self.common_names


_P = t.ParamSpec("_P")
_R = t.TypeVar("_R")


def _quiet(function: t.Callable[_P, _R]) -> t.Callable[_P, _R]:
    """Keeps cryptography's warnings about what breaks RFC 5280 off standard error."""

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return wrapped


@_quiet
def read(csr: Data) -> Request:
    """A request out of the API's JSON. Never raises: what cannot be read is empty or None, and no check passes with it."""
    metadata, spec, status = (mapping(csr.get(part)) for part in ("metadata", "spec", "status"))
    pem = _decoded(spec.get("request"))
    parsed, error = _parse(pem) if pem is not None else (None, "spec.request is no base64 text")
    conditions = status.get("conditions") or []
    return Request(
        name=_string(metadata.get("name")),
        uid=_string(metadata.get("uid")),
        resource_version=_string(metadata.get("resourceVersion")),
        created=moment(metadata.get("creationTimestamp")),
        signer=_string(spec.get("signerName")),
        requestor=_string(spec.get("username")),
        groups=_items(spec.get("groups")),
        usages=_items(spec.get("usages")),
        expiration=spec.get("expirationSeconds"),
        conditions=tuple(
            str(entry.get("type")) for entry in map(mapping, conditions) if entry.get("status", "True") == "True"
        )
        if isinstance(conditions, list)
        else ("unreadable",),
        issued=bool(status.get("certificate")),
        pem=pem,
        parsed=parsed,
        error=error,
        key_sha256=_key_digest(parsed),
        common_names=_common_names(parsed),
    )


@_quiet
def judge(request: Request, policy: Policy, world: World) -> list[Data]:
    """Every check in order. The first that is not passed is the reason to refuse."""
    checks = [
        check("undecided", request.pending, f"{shown(request.conditions)}; wanted: no decision"),
        check("signer", request.signer in KUBELET_SIGNERS, f"{show(request.signer)}; wanted: one of the kubelets' two"),
        _bound(request, policy),
        _size(request),
        _one_block(request),
        check("decodes", request.parsed is not None, show(request.error) if request.error else "a PKCS #10 request"),
    ]
    if request.parsed is None:
        return checks
    return [
        *checks,
        check("signature", _signature(request.parsed), "the request's signature, by the key that it holds"),
        _key_strength(request.parsed),
        *_subject(request, request.parsed),
        _requestor(request, policy),
        _groups(request, policy),
        _usages(request),
        _expiration(request),
        *_extensions(request, request.parsed),
        *_names(request, request.parsed, policy),
        _not_alive(request, world),
        _key_of_one(request, world),
        _uncontested(request, policy, world),
        _made_after(request, policy),
        _fresh(request, policy, world),
    ]


def reason(checks: t.Sequence[Data]) -> str | None:
    """The name of the first check that is not passed; None when all are."""
    return next((str(entry["name"]) for entry in checks if entry["passed"] is not True), None)


def deniable(checks: t.Sequence[Data]) -> bool:
    """Whether a check says No because of what the request is; what is only unknown denies nothing."""
    return any(entry["passed"] is False and entry["name"] not in LEFT_ALONE for entry in checks) and not any(
        entry["passed"] is False and entry["name"] in ("undecided", "signer", "bound") for entry in checks
    )


def young(request: Request, policy: Policy, world: World) -> bool:
    """Whether the request counts for the flood breaker: pending, a kubelet's, and not older than ``max_age``."""
    age = _age(request, world)
    return request.pending and request.signer in KUBELET_SIGNERS and (age is None or age <= policy.max_age)


def moved(before: Request, now: Request) -> str | None:
    """Why a request is no longer the one that was checked; None when it is."""
    if not before.uid or before.uid != now.uid:
        return f"it is another object: uid {show(now.uid)}, checked was {show(before.uid)}"
    if before.sha256 != now.sha256 or before.signer != now.signer or before.requestor != now.requestor:
        return "it asks for something else than what was checked"
    if not now.pending:
        return f"it was decided meanwhile: {shown(now.conditions) if now.conditions else 'issued'}"
    return None


def expected_nodes(given: t.Any) -> dict[str, Expected]:
    """The option ``expected_nodes`` as data. Raises ValueError, which names the node and what is wrong with it."""
    if not isinstance(given, dict):
        raise ValueError("must be a dictionary of node names")
    found: dict[str, Expected] = {}
    for name, entry in given.items():
        if not is_dns_name(name):
            raise ValueError(f"{show(name)} is no node name (RFC 1123, lower case)")
        entry = {} if entry is None else entry
        if not isinstance(entry, dict) or set(entry) - {"addresses", "dns_names"}:
            raise ValueError(f"{name}: must be a dictionary of addresses and dns_names")
        addresses, names = entry.get("addresses") or [], entry.get("dns_names") or []
        if not isinstance(addresses, list) or not isinstance(names, list):
            raise ValueError(f"{name}: addresses and dns_names must be lists")
        try:
            parsed = frozenset(ipaddress.ip_address(str(address)) for address in addresses)
        except ValueError as error:
            raise ValueError(f"{name}: addresses: {show(str(error))}") from error
        lowered = [one.lower() if isinstance(one, str) else one for one in names]
        wrong = [one for one in lowered if not is_dns_name(one)]
        if wrong:
            raise ValueError(f"{name}: dns_names: {show(wrong[0])} is no DNS name")
        found[name] = Expected(parsed, frozenset([*lowered, name]))
    return found


def is_dns_name(value: t.Any) -> bool:
    """Whether a text is a DNS-1123 subdomain, which a node's name must be."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 253
        and all(_LABEL.fullmatch(label) is not None for label in value.split("."))
    )


def check(name: str, passed: bool | None, compared: str) -> Data:
    """One check's record."""
    return {"name": name, "passed": passed, "compared": compared}


def show(value: t.Any) -> str:
    """One value for a person: what is not plain ASCII is escaped, so that a look-alike is seen as one."""
    cleaned = text(value if isinstance(value, str) else repr(value), 120) or "none"
    return cleaned.encode("ascii", "backslashreplace").decode().replace("\n", "\\n").replace("\t", "\\t")


def shown(values: t.Iterable[t.Any]) -> str:
    """Some values for a person; a long list is cut."""
    listed = list(values)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return (", ".join(map(show, listed[:_SHOWN])) or "none") + more


def _string(value: t.Any) -> str:
    return value if isinstance(value, str) else ""


def _items(value: t.Any) -> tuple[t.Any, ...]:
    return tuple(value) if isinstance(value, list) else ()


def _decoded(value: t.Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return None


def _parse(pem: bytes) -> tuple[x509.CertificateSigningRequest | None, str | None]:
    """The request of the one block, strictly. Of other texts the first request, so that its key is known, or None with the reason."""
    if len(pem) > MAX_REQUEST_BYTES:
        return None, f"{len(pem)} bytes are not decoded"
    block = _BLOCK.fullmatch(pem)
    try:
        der = base64.b64decode(b"".join(block[1].split()), validate=True) if block else None
        parsed = x509.load_pem_x509_csr(pem) if der is None else x509.load_der_x509_csr(der)
        parsed.public_key(), parsed.subject, parsed.is_signature_valid  # noqa: B018  (what cannot be read raises here)
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm) as error:
        return None, f"cannot be decoded: {show(str(error))}"
    return parsed, None


def _key_digest(parsed: x509.CertificateSigningRequest | None) -> str | None:
    if parsed is None:
        return None
    encoded = parsed.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoded).hexdigest()


def _common_names(parsed: x509.CertificateSigningRequest | None) -> tuple[str, ...]:
    return () if parsed is None else _values(parsed, NameOID.COMMON_NAME)


def _values(parsed: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    found = parsed.subject.get_attributes_for_oid(oid)
    return tuple(one.value if isinstance(one.value, str) else repr(one.value) for one in found)


def _age(request: Request, world: World) -> int | None:
    return None if request.created is None else seconds_between(request.created, world.now)


def _bound(request: Request, policy: Policy) -> Data:
    if policy.bound_to is None:
        return check("bound", True, "no binding was given")
    wanted = policy.bound_to.get(request.name)
    if wanted is None:
        return check("bound", False, "the plan is about other requests")
    same = bool(request.uid) and wanted.get("uid") == request.uid and wanted.get("request_sha256") == request.sha256
    return check(
        "bound",
        same,
        f"uid {show(request.uid)}, sha256 {request.sha256}; wanted: uid {show(wanted.get('uid'))}, sha256 "
        f"{show(wanted.get('request_sha256'))}",
    )


def _size(request: Request) -> Data:
    size = None if request.pem is None else len(request.pem)
    return check(
        "size",
        size is not None and 0 < size <= MAX_REQUEST_BYTES,
        f"{'no' if size is None else size} bytes; wanted: 1 to {MAX_REQUEST_BYTES}",
    )


def _one_block(request: Request) -> Data:
    pem = request.pem or b""
    good = len(pem) <= MAX_REQUEST_BYTES and _BLOCK.fullmatch(pem) is not None
    begins = pem.count(b"-----BEGIN ")
    return check("one_block", good, f"{begins} PEM blocks; wanted: one CERTIFICATE REQUEST and nothing else")


def _signature(parsed: x509.CertificateSigningRequest) -> bool:
    try:
        return parsed.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _key_strength(parsed: x509.CertificateSigningRequest) -> Data:
    key = parsed.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        strong, kind = 2048 <= key.key_size <= 8192 and key.public_numbers().e >= 65537, f"RSA {key.key_size}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        strong, kind = key.curve.name in _CURVES, f"ECDSA {key.curve.name}"
    else:
        strong, kind = isinstance(key, ed25519.Ed25519PublicKey), type(key).__name__.strip("_").replace("PublicKey", "")
    algorithm = parsed.signature_hash_algorithm
    digest = algorithm.name if algorithm else "of the key's own"
    weak = digest in ("md5", "sha1", "sha224")
    return check(
        "key_strength",
        strong and not weak,
        f"{kind}, digest {digest}; wanted: RSA 2048 to 8192, ECDSA P-256, P-384 or P-521, Ed25519; SHA-256 or better",
    )


def _subject(request: Request, parsed: x509.CertificateSigningRequest) -> list[Data]:
    names = request.common_names
    node = request.node
    organizations = _values(parsed, NameOID.ORGANIZATION_NAME)
    others = [
        one.oid.dotted_string
        for one in parsed.subject
        if one.oid not in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    ]
    found = [
        check("common_name", len(names) == 1, f"{len(names)}: {shown(names)}; wanted: one"),
        check(
            "node_prefix", bool(names) and names[0].startswith(NODE_PREFIX), f"{shown(names)}; wanted: {NODE_PREFIX}..."
        ),
        check("node_name", is_dns_name(node), f"{show(node)}; wanted: a name of RFC 1123, lower case"),
        check(
            "organization", organizations == (NODES_GROUP,), f"{shown(organizations)}; wanted: exactly {NODES_GROUP}"
        ),
        check("subject", not others, f"{shown(others)}; wanted: no attribute but O and CN"),
    ]
    encoded = parsed.subject.public_bytes()
    plain = bool(names) and encoded in _plain_subjects(names[0])
    return [*found, check("subject_encoding", plain, "wanted: O and CN, each alone, as UTF8String or PrintableString")]


def _plain_subjects(common_name: str) -> t.Iterator[bytes]:
    """Every plain encoding of ``O=system:nodes, CN=common_name``: another reader of DER must not see another name."""

    def tlv(tag: int, content: bytes) -> bytes:
        size = len(content)
        length = (
            bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
        )
        return bytes([tag]) + length + content

    def relative(last: int, tag: int, value: str) -> bytes:
        oid = b"\x06\x03\x55\x04" + bytes([last])
        return tlv(0x31, tlv(0x30, oid + tlv(tag, value.encode("utf-8", "replace"))))

    if len(common_name) > 512:
        return
    for first in (0x0C, 0x13):
        for second in (0x0C, 0x13):
            organization, name = relative(10, first, NODES_GROUP), relative(3, second, common_name)
            yield tlv(0x30, organization + name)
            yield tlv(0x30, name + organization)


def _requestor(request: Request, policy: Policy) -> Data:
    name = request.common_names[0] if len(request.common_names) == 1 else ""
    if request.requestor and request.requestor == name:
        return check("requestor", True, f"{show(name)} asks for itself")
    told = f"{show(request.requestor)} asks for {show(name)}"
    if request.signer != CLIENT_SIGNER:
        return check("requestor", False, f"{told}; wanted: the node itself")
    allowed = _TOKEN_USER.fullmatch(request.requestor) is not None or request.requestor in policy.bootstrap_users
    return check("requestor", allowed, f"{told}; wanted: the node itself, a bootstrap token, or one of bootstrap_users")


def _groups(request: Request, policy: Policy) -> Data:
    """No group twice, none missing, none more: the groups say what authenticated the requestor."""
    groups = request.groups
    told = shown(groups)
    once = len(set(map(str, groups))) == len(groups) and all(isinstance(group, str) for group in groups)
    if not request.is_bootstrap:
        wanted = {NODES_GROUP, AUTHENTICATED}
        return check(
            "groups",
            once and set(map(str, groups)) == wanted,
            f"{told}; wanted: exactly {NODES_GROUP}, {AUTHENTICATED}",
        )
    if request.requestor in policy.bootstrap_users and request.requestor.startswith("system:serviceaccount:"):
        namespace = request.requestor.split(":")[2]
        exact = {"system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED}
        return check(
            "groups", once and set(map(str, groups)) == exact, f"{told}; wanted: exactly {shown(sorted(exact))}"
        )
    rest = {str(group) for group in groups} - {BOOTSTRAPPERS, AUTHENTICATED}
    good = once and {BOOTSTRAPPERS, AUTHENTICATED} <= set(map(str, groups)) and all(map(_TOKEN_GROUP.fullmatch, rest))
    return check("groups", good, f"{told}; wanted: {BOOTSTRAPPERS}, {AUTHENTICATED}, and {BOOTSTRAPPERS}:... only")


def _usages(request: Request) -> Data:
    purpose = _USAGES.get(request.signer, "none")
    found = sorted(map(str, request.usages))
    allowed = (sorted([_SIGN, purpose]), sorted([_SIGN, purpose, _ENCIPHER]))
    return check("usages", found in allowed, f"{shown(found)}; wanted: {_SIGN}, {purpose}, or with {_ENCIPHER}")


def _expiration(request: Request) -> Data:
    value = request.expiration
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return check(
        "expiration",
        value is None or (is_number and LEAST_EXPIRATION_SECONDS <= value <= MOST_EXPIRATION_SECONDS),
        f"{'none asked for' if value is None else show(str(value))}; wanted: none, or {LEAST_EXPIRATION_SECONDS} to "
        f"{MOST_EXPIRATION_SECONDS} s",
    )


def _extensions(request: Request, parsed: x509.CertificateSigningRequest) -> list[Data]:
    """That the request holds no attribute but the extensions, and no extension that the certificate must not have."""
    try:
        attributes = [one.oid.dotted_string for one in parsed.attributes]
        extensions = {one.oid: one.value for one in parsed.extensions}
    except (
        ValueError,
        TypeError,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
        UnsupportedAlgorithm,
    ) as error:
        return [check("attributes", False, f"cannot be read: {show(str(error))}")]
    only = all(oid == _EXTENSION_REQUEST for oid in attributes) and len(attributes) <= 1
    basic = extensions.pop(ExtensionOID.BASIC_CONSTRAINTS, None)
    usage = extensions.pop(ExtensionOID.KEY_USAGE, None)
    extended = extensions.pop(ExtensionOID.EXTENDED_KEY_USAGE, None)
    extensions.pop(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, None)
    others = [oid.dotted_string for oid in extensions]
    wanted = {CLIENT_SIGNER: ExtendedKeyUsageOID.CLIENT_AUTH, SERVING_SIGNER: ExtendedKeyUsageOID.SERVER_AUTH}
    is_authority = isinstance(basic, x509.BasicConstraints) and basic.ca
    return [
        check("attributes", only, f"{shown(attributes)}; wanted: none, or one extension request"),
        check("no_authority", not is_authority, f"basic constraints: CA {'true' if is_authority else 'false'}"),
        check(
            "key_usage", _usage_fits(usage), "key usage extension; wanted: none, or digital signature, key encipherment"
        ),
        check(
            "extended_key_usage",
            extended is None or list(t.cast("x509.ExtendedKeyUsage", extended)) == [wanted.get(request.signer)],
            f"{'none' if extended is None else shown(one.dotted_string for one in t.cast('x509.ExtendedKeyUsage', extended))}; "
            f"wanted: none, or {_USAGES.get(request.signer)}",
        ),
        check("extensions", not others, f"{shown(others)}; wanted: no others"),
    ]


def _usage_fits(usage: t.Any) -> bool:
    if usage is None:
        return True
    others = ("content_commitment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
    return bool(usage.digital_signature) and not any(getattr(usage, name) for name in others)


def _names(request: Request, parsed: x509.CertificateSigningRequest, policy: Policy) -> list[Data]:
    """The subject alternative names, and that the node is expected."""
    try:
        names = list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        has_extension = True
    except x509.ExtensionNotFound:
        names, has_extension = [], False
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return [check("names", False, f"cannot be read: {show(str(error))}")]
    told = shown(str(name.value) for name in names)
    node = request.node or ""
    expected = policy.expected.get(node)
    is_expected = check(
        "expected_node", expected is not None, f"{show(node)}; {len(policy.expected)} nodes are expected"
    )
    if request.signer == CLIENT_SIGNER:
        return [check("no_names", not has_extension, f"{told}; wanted: none in a client's request"), is_expected]
    kinds = [type(name).__name__ for name in names if not isinstance(name, (x509.DNSName, x509.IPAddress))]
    strange = [str(name.value) for name in names if expected is None or not _is_expected(name, expected)]
    known = [] if expected is None else [*sorted(expected.dns_names), *sorted(map(str, expected.addresses))]
    return [
        check("name_kinds", not kinds, f"{shown(kinds)}; wanted: DNS names and addresses only"),
        check("names", bool(names), f"{told}; wanted: at least one"),
        is_expected,
        check(
            "names_expected",
            expected is not None and not strange,
            f"{shown(strange) if strange else told}; expected: {shown(known)}",
        ),
    ]


def _is_expected(name: x509.GeneralName, expected: Expected) -> bool:
    if isinstance(name, x509.DNSName):
        return name.value.isascii() and is_dns_name(name.value.lower()) and name.value.lower() in expected.dns_names
    return isinstance(name, x509.IPAddress) and name.value in expected.addresses


def _not_alive(request: Request, world: World) -> Data:
    if not request.is_bootstrap:
        return check("not_alive", True, "asked for by the node itself")
    if not request.node:
        return check("not_alive", None, "of no node")
    alive, told = world.alive(request.node)
    return check(
        "not_alive", None if alive is None else not alive, f"{told}; wanted: no such node, or one that is gone"
    )


def _key_of_one(request: Request, world: World) -> Data:
    others = {
        name
        for other in world.requests
        if other.key_sha256 is not None and other.key_sha256 == request.key_sha256 and other.uid != request.uid
        for name in (other.common_names or ("no common name",))
        if other.common_names != request.common_names
    }
    return check("key_of_one", not others, f"its key is also asked for by: {shown(sorted(others))}")


def _uncontested(request: Request, policy: Policy, world: World) -> Data:
    """A bootstrap request says who asks only by its key: two keys for one node, and nobody can tell which is the node's.

    Requests of users that may not bootstrap do not count, or anybody could keep a node from joining."""
    if not request.is_bootstrap:
        return check("uncontested", True, "asked for by the node itself")
    rivals = [
        other.name
        for other in world.requests
        if other.uid != request.uid
        and other.is_bootstrap
        and other.common_names == request.common_names
        and other.key_sha256 != request.key_sha256
        and young(other, policy, world)
        and _requestor(other, policy)["passed"]
        and _groups(other, policy)["passed"]
    ]
    return check("uncontested", not rivals, f"pending for the same node with another key: {shown(rivals)}")


def _made_after(request: Request, policy: Policy) -> Data:
    if policy.created_after is None:
        return check("made_after", True, f"made {request.created}; no time was given")
    after = None if request.created is None else seconds_between(policy.created_after, request.created) >= 0
    return check("made_after", after, f"made {request.created}; wanted: not before {policy.created_after}")


def _fresh(request: Request, policy: Policy, world: World) -> Data:
    age = _age(request, world)
    good = None if age is None else -CLOCK_SLACK_SECONDS <= age <= policy.max_age
    return check("fresh", good, f"made {request.created}, {age} s ago; wanted: at most {policy.max_age} s")

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificate signing requests that must be refused, each with the check that does it, and legitimate ones.

The unit tests feed them through the checks, ``csr_approval.py`` through a real API server. The nodes are made up:
``EXPECTED`` is the inventory, and of these ``LIVING`` is the one that lives.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import ipaddress
import typing as t
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING = "kubernetes.io/kubelet-serving"

NODES = ("system:nodes", "system:authenticated")
TOKEN = ("system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated")
TOKEN_USER = "system:bootstrap:abc123"  # noqa: S105 (a user's name)

LIVING = "node1"
"""A node of the lab."""
RENEWING, JOINING, OTHER, STALE = "trial-renewing", "trial-joining", "trial-other", "trial-stale"

EXPECTED: dict[str, dict[str, list[str]]] = {
    LIVING: {"addresses": ["10.77.0.11"]},
    RENEWING: {"addresses": ["10.99.0.1", "fd00::1"], "dns_names": [f"{RENEWING}.example.com"]},
    JOINING: {"addresses": ["10.99.0.2"]},
    OTHER: {"addresses": ["10.99.0.3"]},
    STALE: {},
    "trial-contested": {},
}
"""The option ``expected_nodes``."""

CLIENT_USAGES = ("digital signature", "client auth")
SERVING_USAGES = ("digital signature", "server auth")


@dataclasses.dataclass(frozen=True)
class Case:
    """A request to make. ``refused_by`` is the check that must refuse it, None for a legitimate one."""

    name: str
    pem: bytes
    signer: str
    user: str
    groups: tuple[str, ...]
    usages: tuple[str, ...]
    refused_by: str | None = None
    expiration: int | None = None
    age: int = 0
    """Seconds since it was made; only a unit test can make an old one."""

    def object(self, name: str) -> dict[str, t.Any]:
        """The CertificateSigningRequest to create, under this name."""
        spec: dict[str, t.Any] = {
            "signerName": self.signer,
            "request": base64.b64encode(self.pem).decode(),
            "usages": list(self.usages),
        }
        if self.expiration is not None:
            spec["expirationSeconds"] = self.expiration
        return {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": spec,
        }


def request(
    *subject: tuple[ObjectIdentifier, str],
    names: t.Iterable[x509.GeneralName] = (),
    extensions: t.Iterable[x509.ExtensionType] = (),
    key: t.Any = None,
    attributes: t.Iterable[tuple[ObjectIdentifier, bytes]] = (),
    name: x509.Name | None = None,
) -> bytes:
    """A PKCS #10 request in PEM, signed with ``key`` (a new one of ECDSA P-256)."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    built = x509.CertificateSigningRequestBuilder().subject_name(
        name or x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    )
    listed = list(names)
    if listed:
        built = built.add_extension(x509.SubjectAlternativeName(listed), critical=False)
    for extension in extensions:
        built = built.add_extension(extension, critical=False)
    for oid, value in attributes:
        built = built.add_attribute(oid, value)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return built.sign(key, digest).public_bytes(serialization.Encoding.PEM)


def _node(name: str) -> tuple[tuple[ObjectIdentifier, str], ...]:
    return (NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, f"system:node:{name}")


def _dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


def _ip(*addresses: str) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]


def _renewal(name: str, pem: bytes, refused_by: str | None = None, **more: t.Any) -> Case:
    given: dict[str, t.Any] = {"user": f"system:node:{RENEWING}", "groups": NODES, "usages": CLIENT_USAGES}
    return Case(name, pem, CLIENT, refused_by=refused_by, **{**given, **more})


def _bootstrap(name: str, pem: bytes, refused_by: str | None = None, **more: t.Any) -> Case:
    given: dict[str, t.Any] = {"user": TOKEN_USER, "groups": TOKEN, "usages": CLIENT_USAGES}
    return Case(name, pem, CLIENT, refused_by=refused_by, **{**given, **more})


def _serving(name: str, pem: bytes, refused_by: str | None = None, **more: t.Any) -> Case:
    given: dict[str, t.Any] = {"user": f"system:node:{RENEWING}", "groups": NODES, "usages": SERVING_USAGES}
    return Case(name, pem, SERVING, refused_by=refused_by, **{**given, **more})


def legitimate() -> list[Case]:
    """What kubelets ask for."""
    return [
        _renewal("client-renewal", request(*_node(RENEWING))),
        _renewal("client-renewal-encipherment", request(*_node(RENEWING)), usages=("key encipherment", *CLIENT_USAGES)),
        _renewal("client-renewal-rsa", request(*_node(RENEWING), key=rsa.generate_private_key(65537, 2048))),
        _renewal("client-renewal-p384", request(*_node(RENEWING), key=ec.generate_private_key(ec.SECP384R1()))),
        _renewal("client-renewal-ed25519", request(*_node(RENEWING), key=ed25519.Ed25519PrivateKey.generate())),
        _renewal("client-renewal-duration", request(*_node(RENEWING)), expiration=86400),
        _bootstrap("bootstrap", request(*_node(JOINING))),
        _serving("serving-name", request(*_node(RENEWING), names=_dns(RENEWING))),
        _serving(
            "serving-all",
            request(*_node(RENEWING), names=_dns(RENEWING, f"{RENEWING}.example.com") + _ip("10.99.0.1", "fd00::1")),
        ),
        _serving("serving-address", request(*_node(RENEWING), names=_ip("10.99.0.1"))),
        _serving(
            "serving-encipherment",
            request(*_node(RENEWING), names=_dns(RENEWING)),
            usages=("key encipherment", *SERVING_USAGES),
        ),
        _serving(
            "serving-lab-node",
            request(*_node(LIVING), names=_dns(LIVING) + _ip("10.77.0.11")),
            user=f"system:node:{LIVING}",
        ),
    ]


def _unknown() -> x509.ExtensionType:
    return x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER)


def _pem(der: bytes) -> bytes:
    text = base64.encodebytes(der).replace(b"\n", b"")
    lines = b"\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + lines + b"\n-----END CERTIFICATE REQUEST-----\n"


def _broken(pem: bytes) -> bytes:
    """The same request with another last byte of its signature."""
    der = _der(pem)
    return _pem(der[:-1] + bytes([der[-1] ^ 1]))


def _swapped() -> bytes:
    """A request whose name was replaced after it was signed."""
    other = RENEWING[:-1] + "h"
    return _pem(_der(request(*_node(other))).replace(other.encode(), RENEWING.encode()))


def _truncated(pem: bytes) -> bytes:
    return _pem(_der(pem)[:-20])


def hostile() -> list[Case]:
    """What must be refused."""
    own, key = _node(RENEWING), ec.generate_private_key(ec.SECP256R1())
    good = request(*own)
    names = _dns(RENEWING)
    cn, organization = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
    nodes = (organization, "system:nodes")
    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    signing = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    any_usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    together = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(organization, "system:nodes"), x509.NameAttribute(cn, f"system:node:{RENEWING}")]
            )
        ]
    )
    odd_type = x509.Name(
        [
            x509.NameAttribute(organization, "system:nodes"),
            x509.NameAttribute(cn, f"system:node:{RENEWING}", _ASN1Type.BMPString),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # longer than X.520 allows
        long_name = x509.NameAttribute(cn, f"system:node:{'a' * 300}", _validate=False)
    too_long = x509.Name([x509.NameAttribute(organization, "system:nodes"), long_name])
    return [
        # The common name. The API server lets a node ask for no name but its own, so most come from a bootstrap token.
        _bootstrap("cn-not-a-node", request(nodes, (cn, "kubernetes-admin")), "node_prefix"),
        _bootstrap("cn-controller-manager", request(nodes, (cn, "system:kube-controller-manager")), "node_prefix"),
        _bootstrap("cn-upper-case-prefix", request(nodes, (cn, f"System:Node:{RENEWING}")), "node_prefix"),
        _bootstrap("cn-missing", request(nodes), "common_name"),
        _bootstrap("cn-of-no-node", request(nodes, (cn, "system:node:")), "node_name"),
        _bootstrap("cn-two", request(*own, (cn, "system:node:trial-other")), "common_name"),
        _renewal("cn-other-node", request(*_node(OTHER)), "requestor"),
        _bootstrap("cn-homoglyph", request(nodes, (cn, "system:node:tri\u0430l-renewing")), "node_name"),
        _bootstrap("cn-full-width", request(nodes, (cn, "system:node:\uff54rial-renewing")), "node_name"),
        _bootstrap("cn-zero-width", request(nodes, (cn, f"system:node:{RENEWING}\u200b")), "node_name"),
        _bootstrap("cn-bidi", request(nodes, (cn, "system:node:\u202egniwener-lairt")), "node_name"),
        _bootstrap("cn-upper-case", request(nodes, (cn, f"system:node:{RENEWING.upper()}")), "node_name"),
        _bootstrap("cn-control-characters", request(nodes, (cn, f"system:node:{RENEWING}\x1b[2J\r\n")), "node_name"),
        _bootstrap("cn-nul", request(nodes, (cn, f"system:node:{RENEWING}\x00.evil")), "node_name"),
        _bootstrap("cn-space", request(nodes, (cn, f"system:node:{RENEWING} ")), "node_name"),
        _bootstrap("cn-template", request(nodes, (cn, "system:node:{{ lookup('pipe','id') }}")), "node_name"),
        _bootstrap("cn-path", request(nodes, (cn, "system:node:../../etc/passwd")), "node_name"),
        _bootstrap("cn-too-long", request(name=too_long), "node_name"),
        _renewal("cn-odd-encoding", request(name=odd_type), "subject_encoding"),
        _renewal("rdn-multi-valued", request(name=together), "subject_encoding"),
        # The organisation and what else is in the subject
        _renewal("o-masters-too", request(*own, (organization, "system:masters")), "organization"),
        _renewal("o-masters-only", request((organization, "system:masters"), own[1]), "organization"),
        _renewal("o-missing", request(own[1]), "organization"),
        _renewal("o-twice", request(*own, nodes), "organization"),
        _renewal("o-lookalike", request((organization, "system:n\u043edes"), own[1]), "organization"),
        _renewal("ou", request(*own, (NameOID.ORGANIZATIONAL_UNIT_NAME, "system:masters")), "subject"),
        _renewal("country", request(*own, (NameOID.COUNTRY_NAME, "XX")), "subject"),
        _renewal("locality", request(*own, (NameOID.LOCALITY_NAME, "here")), "subject"),
        _renewal("serial-number", request(*own, (NameOID.SERIAL_NUMBER, "1")), "subject"),
        _renewal("uid", request(*own, (NameOID.USER_ID, "0")), "subject"),
        # Who asks
        _renewal("asked-by-other-node", good, "requestor", user=f"system:node:{OTHER}"),
        _renewal("asked-by-admin", good, "requestor", user="kubernetes-admin"),
        _renewal("asked-by-masters", good, "groups", groups=("system:masters", *NODES)),
        _renewal("asked-without-nodes-group", good, "groups", groups=("system:authenticated",)),
        _renewal("asked-by-service-account", good, "requestor", user="system:serviceaccount:kube-system:evil"),
        _bootstrap("bootstrap-odd-token-user", request(*_node(JOINING)), "requestor", user="system:bootstrap:abc123:x"),
        _bootstrap("bootstrap-as-node", request(*_node(JOINING)), "groups", groups=("system:nodes", *TOKEN)),
        _bootstrap("bootstrap-no-group", request(*_node(JOINING)), "groups", groups=("system:authenticated",)),
        _bootstrap("bootstrap-living-node", request(*_node(LIVING)), "not_alive"),
        _bootstrap("bootstrap-unexpected-node", request(*_node("trial-unknown")), "expected_node"),
        _bootstrap("bootstrap-contested-1", request(*_node("trial-contested")), "uncontested"),
        _bootstrap("bootstrap-contested-2", request(*_node("trial-contested")), "uncontested"),
        _serving("serving-by-token", request(*own, names=names), "requestor", user=TOKEN_USER, groups=TOKEN),
        _serving("serving-other-node", request(*_node(OTHER), names=_dns(OTHER)), "requestor"),
        _serving(
            "serving-unexpected-node",
            request(*_node("trial-unknown"), names=_dns("trial-unknown")),
            "expected_node",
            user="system:node:trial-unknown",
        ),
        # Usages
        _renewal("usage-server-auth", good, "usages", usages=("digital signature", "server auth")),
        _renewal("usage-both", good, "usages", usages=(*CLIENT_USAGES, "server auth")),
        _renewal("usage-cert-sign", good, "usages", usages=(*CLIENT_USAGES, "cert sign")),
        _renewal("usage-any", good, "usages", usages=("any",)),
        _renewal("usage-code-signing", good, "usages", usages=(*CLIENT_USAGES, "code signing")),
        _renewal("usage-too-few", good, "usages", usages=("client auth",)),
        _serving("serving-client-auth", request(*own, names=names), "usages", usages=CLIENT_USAGES),
        _serving("serving-both", request(*own, names=names), "usages", usages=(*SERVING_USAGES, "client auth")),
        # Extensions and attributes
        _renewal("ca-bit", request(*own, extensions=[is_authority]), "no_authority"),
        _serving("serving-ca-bit", request(*own, names=names, extensions=[is_authority]), "no_authority"),
        _renewal("extension-cert-sign", request(*own, extensions=[signing]), "key_usage"),
        _renewal("extension-server-auth", request(*own, extensions=[server]), "extended_key_usage"),
        _renewal("extension-any-usage", request(*own, extensions=[any_usage]), "extended_key_usage"),
        _serving("extension-both", request(*own, names=names, extensions=[both]), "extended_key_usage"),
        _renewal("extension-unknown", request(*own, extensions=[_unknown()]), "extensions"),
        _renewal(
            "attribute-challenge-password",
            request(*own, attributes=[(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"secret")]),
            "attributes",
        ),
        # Names
        _renewal("client-dns-name", request(*own, names=names), "no_names"),
        _renewal("client-address", request(*own, names=_ip("10.99.0.1")), "no_names"),
        _serving("serving-no-names", request(*own), "names"),
        _serving("serving-extra-name", request(*own, names=_dns(RENEWING, "kubernetes.default.svc")), "names_expected"),
        _serving("serving-other-name", request(*own, names=_dns(OTHER)), "names_expected"),
        _serving("serving-wildcard", request(*own, names=_dns("*.example.com")), "names_expected"),
        _serving("serving-suffix", request(*own, names=_dns(f"{RENEWING}.example.com.evil.org")), "names_expected"),
        _serving("serving-trailing-dot", request(*own, names=_dns(f"{RENEWING}.")), "names_expected"),
        _serving("serving-extra-address", request(*own, names=_ip("10.99.0.1", "10.96.0.1")), "names_expected"),
        _serving("serving-any-address", request(*own, names=_ip("0.0.0.0")), "names_expected"),  # noqa: S104
        _serving("serving-mapped-address", request(*own, names=_ip("::ffff:10.99.0.1")), "names_expected"),
        _serving("serving-address-as-name", request(*own, names=_dns("10.99.0.1")), "names_expected"),
        _serving("serving-mail", request(*own, names=[*names, x509.RFC822Name("a@example.com")]), "name_kinds"),
        _serving(
            "serving-uri",
            request(*own, names=[*names, x509.UniformResourceIdentifier("spiffe://cluster/ns/a")]),
            "name_kinds",
        ),
        _serving(
            "serving-other-kind",
            request(*own, names=[*names, x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a")]),
            "name_kinds",
        ),
        _serving("serving-many-names", request(*own, names=_dns(*(f"n{i}.x" for i in range(300)))), "names_expected"),
        # The key
        _renewal("key-rsa-1024", request(*own, key=rsa.generate_private_key(65537, 1024)), "key_strength"),
        _renewal("key-rsa-exponent-3", request(*own, key=rsa.generate_private_key(3, 2048)), "key_strength"),
        _renewal("key-p224", request(*own, key=ec.generate_private_key(ec.SECP224R1())), "key_strength"),
        _renewal("key-secp256k1", request(*own, key=ec.generate_private_key(ec.SECP256K1())), "key_strength"),
        _renewal("key-replayed-1", request(*own, key=key), "key_of_one"),
        _serving(
            "key-replayed-2",
            request(*_node(OTHER), names=_dns(OTHER), key=key),
            "key_of_one",
            user=f"system:node:{OTHER}",
        ),
        # The text of the request
        _renewal("broken-signature", _broken(good), "signature"),
        _renewal("subject-changed-after-signing", _swapped(), "signature"),
        _renewal("two-blocks", good + request(*_node(OTHER)), "one_block"),
        _renewal("text-before", b"Bag Attributes\n" + good, "one_block"),
        _renewal("text-after", good + b"<script>alert(1)</script>\n", "one_block"),
        _renewal("wrong-label", good.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"), "one_block"),
        _renewal("certificate-label", good.replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"), "one_block"),
        _renewal("pem-headers", good.replace(b"REQUEST-----\n", b"REQUEST-----\nA: b\n\n", 1), "one_block"),
        _renewal("no-pem", b"\x30\x82\x01\x00", "one_block"),
        _renewal("empty", b"", "size"),
        _renewal("truncated", _truncated(good), "decodes"),
        _renewal("huge", request(*own, names=_dns(*(f"n{i}.example.com" for i in range(1000)))), "size"),
        _renewal("padded", good + b"\n" * 40_000, "size"),
        # Lifetime
        _renewal("expiration-one-minute", good, "expiration", expiration=60),
        _renewal("expiration-ten-years", good, "expiration", expiration=315_360_000),
        _renewal("expiration-negative", good, "expiration", expiration=-1),
    ]


def only_old() -> list[Case]:
    """Requests that are refused for their age: a test makes them by the clock."""
    return [
        _renewal("stale", request(*_node(RENEWING)), "fresh", age=3600),
        _renewal("from-the-future", request(*_node(RENEWING)), "fresh", age=-3600),
    ]


def flood(number: int) -> list[Case]:
    """So many requests that each would be approved."""
    key = ec.generate_private_key(ec.SECP256R1())
    return [_renewal(f"flood-{index}", request(*_node(RENEWING), key=key)) for index in range(number)]


def digest(case: Case) -> str:
    """What ``request_sha256`` says of it."""
    return hashlib.sha256(case.pem).hexdigest()

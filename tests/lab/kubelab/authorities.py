# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other CAs than the lab's, what they issue, and a rotation of the cluster's CA as people do it by hand."""

from __future__ import annotations

import base64
import datetime
import json
import pathlib

import yaml
from cryptography import x509

from . import certificates, init, layout, lifecycle, pki, running
from .settings import CONTROL_PLANE, LabError

PKI = "/etc/kubernetes/pki"
MANAGER_CONF = "/etc/kubernetes/controller-manager.conf"


def make(state: pathlib.Path, name: str, same_key: bool, valid: str, expired_for: str | None) -> None:
    """Put a CA of the cluster's name, and its key, into ``/etc/kubernetes/pki`` of the control plane.

    ``same_key``: a certificate of the cluster's own CA key, as a renewal makes it. ``valid``: how long it still is.
    """
    end = pki.now() + datetime.timedelta(seconds=certificates.seconds(valid))
    if expired_for:
        end = pki.now() - datetime.timedelta(seconds=certificates.seconds(expired_for))
    key = pki.Authority.load(state / "pki").key if same_key else None
    authority = pki.Authority.create("kubernetes", key=key, start=end - datetime.timedelta(days=3650), end=end)
    if not same_key:
        authority = pki.Authority.create("kubernetes", end=end)
    certificates.put(state, CONTROL_PLANE, f"{PKI}/{name}.crt", authority.pem.decode(), "644")
    certificates.put(state, CONTROL_PLANE, f"{PKI}/{name}.key", pki.key_pem(authority.key).decode())


def manager_credentials(state: pathlib.Path, expired_for: str | None) -> None:
    """A new certificate in controller-manager.conf; the controller manager reads it at its start."""
    start, end = certificates.validity("365d", 1, expired_for)
    authority = pki.Authority.load(state / "pki")
    user = "system:kube-controller-manager"
    pair = layout.embedded(*authority.issue(user, not_before=start, not_after=end))
    content = layout.kubeconfig(authority, _api_url(state), user, pair)
    certificates.put(state, CONTROL_PLANE, MANAGER_CONF, content)


def api_certificate(state: pathlib.Path, lifetime: str, used: float, authority: pki.Authority | None = None) -> None:
    """A serving certificate of that age for the API server, which reads it again by itself."""
    old = x509.load_pem_x509_certificate((state / "pki/apiserver.crt").read_bytes())
    names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    start, end = certificates.validity(lifetime, used, None)
    issuer = authority or pki.Authority.load(state / "pki")
    certificate, key = issuer.issue(
        "kube-apiserver",
        usages=[pki.SERVER],
        names=[str(name.value) for name in names],
        not_before=start,
        not_after=end,
    )
    certificates.put(state, CONTROL_PLANE, f"{PKI}/apiserver.key", key.decode())
    certificates.put(state, CONTROL_PLANE, f"{PKI}/apiserver.crt", certificate.decode(), "644")


def restore_api_certificate(state: pathlib.Path) -> None:
    """The API server's serving certificate as the lab began with, and wait until it is served."""
    for name, mode in (("apiserver.key", "600"), ("apiserver.crt", "644")):
        certificates.put(state, CONTROL_PLANE, f"{PKI}/{name}", (state / "pki" / name).read_text(), mode)
    wanted = x509.load_pem_x509_certificate((state / "pki/apiserver.crt").read_bytes()).serial_number
    lifecycle.wait("the API server's old certificate", lambda: served_serial(state) == wanted, 90, state)


def served_serial(state: pathlib.Path) -> int | None:
    """The serial number of the certificate that the API server presents; None when there is no handshake."""
    script = f"echo | timeout 5 openssl s_client -connect {layout.API_NAME}:{layout.API_PORT} 2>/dev/null | openssl x509 -noout -serial"
    shown = running.on(state, CONTROL_PLANE, "sh", "-c", script, check=False).strip()
    return int(shown.partition("=")[2], 16) if shown.startswith("serial=") else None


def sign(state: pathlib.Path, node: str, name: str) -> None:
    """Approve the node's waiting request, and sign it with the CA ``name`` of the control plane: another signer than the cluster's."""
    api = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    waiting = [
        request
        for request in lifecycle.objects(state, "csr")
        if request["spec"]["username"] == f"system:node:{node}" and not request["status"].get("conditions")
    ]
    if not waiting:
        raise LabError(f"No request of {node} waits.")
    request_name = waiting[-1]["metadata"]["name"]
    running.kubectl(state, "certificate", "approve", request_name)
    request = json.loads(running.kubectl(state, "get", "csr", request_name, "-o", "json").stdout)
    asked = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    folder = state / "foreign"
    for suffix in ("crt", "key"):
        pki.write(folder / f"ca.{suffix}", running.on(state, CONTROL_PLANE, "cat", f"{PKI}/{name}.{suffix}"), 0o600)
    certificate = pki.Authority.load(folder).sign(asked)
    request["status"]["certificate"] = pki.base64_text(certificate)
    running.kubectl(state, "replace", "--raw", f"{api}/{request_name}/status", "-f", "-", stdin=json.dumps(request))


def rotate(state: pathlib.Path, behind: str) -> None:
    """Rotate the cluster's CA (kubernetes.io, *Manual Rotation of CA Certificates*), and forget one node.

    Everybody but ``behind`` trusts both CAs afterwards; the API server's certificate is of the new one. The controller manager's flags
    are left to the caller: the new CA is ``/etc/kubernetes/pki/ca-new.crt`` and ``.key``.
    """
    old, new = pki.Authority.load(state / "pki"), pki.Authority.create("kubernetes", start=pki.now())
    bundle = new.pem + old.pem
    for path in state.glob("*.conf"):
        content = path.read_text()
        pki.write(path.with_name(f"{path.name}.before"), content, 0o600)
        pki.write(path, _trusting(content, bundle), 0o600)
    conf = running.on(state, CONTROL_PLANE, "cat", MANAGER_CONF)
    certificates.put(state, CONTROL_PLANE, MANAGER_CONF, _trusting(conf, bundle))
    certificates.put(state, CONTROL_PLANE, f"{PKI}/ca-new.crt", new.pem.decode(), "644")
    certificates.put(state, CONTROL_PLANE, f"{PKI}/ca-new.key", pki.key_pem(new.key).decode())
    for machine in init.Plan.load(state).machines:
        if machine.name != behind:
            _give(state, machine.name, bundle)
    api_certificate(state, "365d", 1, new)
    lifecycle.wait("the new certificate of the API server", lambda: _serves(state, new), 90, state)


def undo_rotation(state: pathlib.Path) -> None:
    """The one CA everywhere, as the lab began."""
    for before in state.glob("*.conf.before"):
        before.replace(before.with_suffix(""))
    old = pki.Authority.load(state / "pki")
    for machine in init.Plan.load(state).machines:
        _give(state, machine.name, old.pem)
    manager_credentials(state, None)
    running.on(state, CONTROL_PLANE, "rm", "-f", f"{PKI}/ca-new.crt", f"{PKI}/ca-new.key")
    restore_api_certificate(state)


def _give(state: pathlib.Path, node: str, bundle: bytes) -> None:
    """A machine's kubelet trusts the bundle, as server and as clients' CA."""
    conf = running.on(state, node, "cat", "/etc/kubernetes/kubelet.conf")
    certificates.put(state, node, "/etc/kubernetes/kubelet.conf", _trusting(conf, bundle))
    certificates.put(state, node, f"{PKI}/ca.crt", bundle.decode(), "644")
    certificates.restart_kubelet(state, node)


def _trusting(kubeconfig: str, bundle: bytes) -> str:
    config = yaml.safe_load(kubeconfig)
    config["clusters"][0]["cluster"]["certificate-authority-data"] = pki.base64_text(bundle)
    return yaml.safe_dump(config, sort_keys=False, width=100000)


def _serves(state: pathlib.Path, authority: pki.Authority) -> bool:
    pem = running.on(state, CONTROL_PLANE, "cat", f"{PKI}/apiserver.crt")
    certificate = x509.load_pem_x509_certificate(pem.encode())
    certificate.verify_directly_issued_by(authority.certificate)
    return served_serial(state) == certificate.serial_number


def _api_url(state: pathlib.Path) -> str:
    address = next(machine.address for machine in init.Plan.load(state).machines if machine.is_control_plane)
    return f"https://{address}:{layout.API_PORT}"

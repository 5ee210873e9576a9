# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Files of the node: kubeconfigs, KubeletConfiguration, certificates, the file system they lie on, the control plane's manifests."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils._patterns import DATED_FILE, SHA256
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import Answer, Section, whole_number
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.values import (
    Data,
    certificates,
    epoch,
    log_moment,
)

Missing = t.Callable[[str, str, str], None]
"""Records what was not seen: subject, reason, message."""

_CONFIG_KEYS = {
    "rotateCertificates": "rotate_certificates",
    "serverTLSBootstrap": "server_tls_bootstrap",
    "tlsCertFile": "tls_cert_file",
    "tlsPrivateKeyFile": "tls_private_key_file",
    "authentication.x509.clientCAFile": "client_ca_file",
    "enableServer": "enable_server",
}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_FLOW = ("{", "[", "&", "*", "!", "|", ">")


def file_entry(section: Section) -> Data:
    """One file or link. A private key is only said to be there; ``key_matches`` was found out on the node."""
    entry: Data = {
        "path": section.name,
        "type": section.one("type"),
        "target": section.one("target"),
        "target_exists": section.yes("target_exists"),
        "mode": section.one("mode"),
        "owner": section.one("owner"),
        "group": section.one("group"),
        "size_bytes": section.number("size"),
        "modified": epoch(section.number("modified")),
        "certificates": certificates(section),
        "has_key": bool(section.one("key")),
        "key_matches": section.yes("key_matches"),
        "error": None,
    }
    if section.one("key_matches") == "unreadable":
        entry["key_readable"] = False
    if section.one("key_path"):
        entry["key_path"] = section.one("key_path")
        entry["key_exists"] = section.yes("key_exists")
    if section.one("denied"):
        entry.update(certificates=None, has_key=None, error="may not be read by the user of the probe")
    elif entry["size_bytes"] == 0:
        entry["error"] = "is empty"
    elif section.one("target_exists") == "no":
        entry["error"] = "points to a file that does not exist"
    if _digest(section.one("sha256")):
        entry["sha256"] = section.one("sha256")
    if section.one("more"):
        entry["certificates_dropped"] = section.number("more")
    return entry


def pki(answer: Answer, root: bool | None, missing: Missing) -> Data | None:
    """The certificate directory and every certificate file that was looked at."""
    section = answer.first("pki")
    if section is None:
        return None
    exists = section.yes("exists")
    files: list[Data] | None = None
    if not any(entry["subject"] == "pki.files" for entry in answer.not_seen) and exists is not None:
        found = {s.name: file_entry(s) for s in answer.every("file") if s.yes("exists") is not False}
        files = [found[path] for path in sorted(found)]
        for entry in files:
            if entry["certificates"] is None:
                missing(f"pki.files.{entry['path']}.certificates", "not_permitted", entry["error"])
            elif (
                entry["has_key"]
                and entry["certificates"]
                and entry["key_matches"] is None
                and "key_readable" not in entry
            ):
                missing(
                    f"pki.files.{entry['path']}.key_matches",
                    "missing_tool",
                    "the public keys could not be compared on the node",
                )
    result: Data = {
        "path": section.name,
        "exists": exists,
        "mode": section.one("mode"),
        "owner": section.one("owner"),
        "files": files,
        "filesystem": _filesystem(section),
        "immutable": _immutable(section),
        "history": {
            subject: {
                "files": None if files is None else section.number(f"dated.{kind}"),
                "last_hour": None if files is None else section.number(f"dated.{kind}.hour"),
                "oldest": [name for name in section.all(f"dated.{kind}.old") if DATED_FILE.fullmatch(name)],
            }
            for subject, kind in (("client", "client"), ("serving", "server"))
        },
        "writable": None,
    }
    dropped = sum(whole_number(value) or 0 for value in section.all("files_dropped"))
    if dropped:
        result["files_dropped"] = dropped
    if exists:
        result["writable"] = _writable(section, result["filesystem"], root)
        if result["writable"] is None:
            missing("pki.writable", "not_permitted", "only root can tell whether the kubelet may write there")
    return result


def _filesystem(section: Section) -> Data | None:
    if not section.one("fs.mount_point") and not section.one("fs.stat"):
        return None
    numbers = [whole_number(part) for part in (section.one("fs.stat") or "").split()]
    size = free = inodes = inodes_free = None
    if len(numbers) == 5 and None not in numbers:
        block, blocks, blocks_free, inodes, inodes_free = t.cast("list[int]", numbers)
        size, free = block * blocks, block * blocks_free
    else:
        sizes = [whole_number(part) for part in (section.one("fs.df") or "").split()]
        if len(sizes) == 2 and sizes[0] is not None and sizes[1] is not None:
            size, free = sizes[0] * 1024, sizes[1] * 1024
    return {
        "device": section.one("fs.device"),
        "type": section.one("fs.type"),
        "mount_point": section.one("fs.mount_point"),
        "read_only": _read_only(section, "fs"),
        "read_only_on_host": _read_only(section, "host_fs" if section.one("host_fs.mount_point") else "fs"),
        "size_bytes": size,
        "free_bytes": free,
        "inodes": inodes,
        "inodes_free": inodes_free,
    }


def _read_only(section: Section, view: str) -> bool | None:
    """In the kubelet's mount namespace (``fs``), or in the probe's own where that is another one (``host_fs``)."""
    if not section.one(f"{view}.mount_point"):
        return None
    return "ro" in f"{section.one(f'{view}.options') or ''},{section.one(f'{view}.super') or ''}".split(",")


def _immutable(section: Section) -> bool | None:
    """The attribute that even root cannot write past (``chattr +i``); None where lsattr does not tell."""
    attributes = section.one("fs.attributes")
    return None if attributes is None else "i" in attributes


def _writable(section: Section, filesystem: Data | None, root: bool | None) -> bool | None:
    """Root passes modes, but not a read-only mount nor the immutable attribute. Another user can tell neither yes nor no for root."""
    if filesystem and filesystem["read_only"]:
        return False
    if _immutable(section):
        return False
    return section.yes("fs.access") if root else None


def kubeconfig(section: Section | None, subject: str, missing: Missing) -> Data | None:
    """A kubeconfig: the cluster and the user of its current context. Neither tokens nor embedded keys come this far."""
    if section is None:
        return None
    exists = False if section.one("target_exists") == "no" else section.yes("exists")
    result: Data = {
        "path": section.name,
        "exists": exists,
        "mode": section.one("mode"),
        "owner": section.one("owner"),
        "modified": epoch(section.number("modified")),
        "sha256": _digest(section.one("sha256")),
        "error": section.one("broken"),
        "context": section.one("context"),
        "server": section.one("server"),
        "tls_server_name": section.one("tls_server_name"),
        "proxy_url": section.one("proxy_url"),
        "insecure_skip_tls_verify": None,
        "ca": None,
        "user": None,
    }
    if section.one("denied"):
        result["error"] = "may not be read by the user of the probe"
        missing(subject if exists is None else f"{subject}.user", "not_permitted", result["error"])
    elif section.one("unsupported"):
        result["error"] = f"is written in a form that the probe does not read ({section.one('unsupported')})"
        missing(f"{subject}.user", "unsupported", result["error"])
    elif exists:
        result["insecure_skip_tls_verify"] = section.one("insecure") in ("true", "True", "TRUE")
        result["ca"] = {
            "source": section.one("ca_source") or "none",
            "path": section.one("ca_path") if section.one("ca_source") == "file" else None,
            "certificates": None if section.one("ca_unreadable") else certificates(section, "ca_cert"),
        }
        if section.one("ca_unreadable"):
            missing(f"{subject}.ca.certificates", "not_found", f"{section.one('ca_path')} cannot be read")
        result["user"] = _user(section)
    return result


def _user(section: Section) -> Data:
    if section.one("user_data"):
        kind = "client_certificate_data"
    elif section.one("certificate"):
        kind = "client_certificate_file"
    elif section.one("token_file"):
        kind = "token_file"
    elif section.one("token"):
        kind = "token"
    else:
        kind = "exec" if section.one("exec") else "none"
    embedded = kind == "client_certificate_data"
    return {
        "name": section.one("user"),
        "kind": kind,
        "client_certificate": None if embedded else section.one("certificate"),
        "client_key": section.one("key"),
        "token_id": section.one("token_id"),
        "certificates": certificates(section, "user_cert") if embedded else [],
    }


def config(section: Section | None, flags: dict[str, str] | None, missing: Missing) -> Data | None:
    """The KubeletConfiguration with its drop-ins laid over it. A key that is not written is null and named in ``unset``."""
    if section is None:
        return None
    result: Data = {
        "path": section.name,
        "exists": section.yes("exists"),
        "mode": section.one("mode"),
        "owner": section.one("owner"),
        "modified": epoch(section.number("modified")),
        "error": None,
        "drop_ins": section.all("drop_in"),
        **dict.fromkeys(_CONFIG_KEYS.values()),
        "node_ip": (flags or {}).get("node-ip"),
        "feature_gates": None,
        "layers": _layers(section),
        "misspelled": section.all("odd")[:8],
        "unset": None,
    }
    if section.one("denied") or section.one("drop_in_denied"):
        result["error"] = f"{section.one('drop_in_denied') or section.name} may not be read by the user of the probe"
        missing("config.unset", "not_permitted", result["error"])
        return result
    if section.one("unsupported"):
        result["error"] = "is written in a form that the probe does not read"
        missing("config.unset", "unsupported", result["error"])
        return result
    if not result["exists"]:
        return result
    written = {name: value for name, _space, value in (line.partition(" ") for line in section.all("set"))}
    unset = []
    for name, key in _CONFIG_KEYS.items():
        value = written.get(name)
        if value in (None, "", "null", "~"):
            unset.append(key)
        elif key in ("rotate_certificates", "server_tls_bootstrap", "enable_server"):
            result[key] = _BOOLEANS.get(value)
            if result[key] is None:
                missing(f"config.{key}", "malformed", f"{name} is neither true nor false")
        elif value.startswith(_FLOW):
            missing(f"config.{key}", "unsupported", f"{name} is written in a form that the probe does not read")
        else:
            result[key] = value
    gates = (line.partition(" ") for line in section.all("gate"))
    result["feature_gates"] = {name: _BOOLEANS.get(value) for name, _space, value in gates}
    result["unset"] = unset
    return result


def _layers(section: Section) -> list[Data] | None:
    """What each file says about rotation, the configuration file first, then its drop-ins, each of which goes over those before."""
    columns = [section.all(tag) for tag in ("layer", "layer.modified", "layer.client", "layer.serving", "layer.sha256")]
    if len({len(column) for column in columns}) != 1:
        return None
    return [
        {
            "path": path,
            "modified": epoch(modified),
            "rotate_certificates": _BOOLEANS.get(client),
            "server_tls_bootstrap": _BOOLEANS.get(serving),
            "sha256": _digest(digest),
        }
        for path, modified, client, serving, digest in zip(*columns, strict=True)
    ]


def _digest(text: str | None) -> str | None:
    return text if text and SHA256.fullmatch(text) else None


def client_ca(section: Section | None, missing: Missing) -> Data | None:
    """The CA by which the kubelet knows its clients."""
    if section is None:
        return None
    if section.one("denied"):
        missing(
            "client_ca_file.certificates", "not_permitted", f"{section.name} may not be read by the user of the probe"
        )
    return {
        "path": section.name,
        "exists": section.yes("exists"),
        "sha256": _digest(section.one("sha256")),
        "certificates": None if section.one("denied") else certificates(section),
    }


def control_plane(answer: Answer, missing: Missing) -> Data | None:
    """The manifests' flags and the CA files; None on a worker."""
    manifests = answer.every("manifest")
    if not manifests:
        return None
    result: Data = {
        "manifests": {},
        "files": [],
        "manager_kubeconfig": _identity_of(answer.first("manager_kubeconfig"), missing),
        "manager_log": _manager_log(answer.every("manager_log")),
    }
    for manifest in manifests:
        flags = {name: value for name, _space, value in (line.partition(" ") for line in manifest.all("flag"))}
        if manifest.one("denied"):
            missing(
                f"control_plane.manifests.{manifest.name}.flags",
                "not_permitted",
                "may not be read by the user of the probe",
            )
        result["manifests"][manifest.name] = {
            "path": manifest.one("path"),
            "modified": epoch(manifest.number("modified")),
            "image": manifest.one("image"),
            "flags": None if manifest.one("denied") else flags,
        }
    for section in answer.every("ca_file"):
        entry = file_entry(section)
        if section.yes("exists") is False:
            entry["error"] = "does not exist"
        if entry["certificates"] is None:
            missing(f"control_plane.files.{entry['path']}.certificates", "not_permitted", entry["error"])
        result["files"].append(entry)
    return result


def _identity_of(section: Section | None, missing: Missing) -> Data | None:
    """The controller manager's kubeconfig without its CA, which is the cluster's and told elsewhere."""
    found = kubeconfig(section, "control_plane.manager_kubeconfig", missing)
    if found is not None:
        found["ca"] = None
    return found


def _manager_log(sections: list[Section]) -> list[Data] | None:
    """The controller manager's last words about signing, approving and starting, oldest first; None when no log of it was found."""
    if not sections:
        return None
    lines = [line.partition(" ") for section in sections for line in section.all("line")]
    return [{"time": log_moment(time), "message": message[:400]} for time, _space, message in lines][-6:]

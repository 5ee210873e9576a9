# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lays the worker of some evidence out as another distribution does, by the table ``layouts.yml``."""

from __future__ import annotations

import os
import typing as t

import yaml

Data = dict[str, t.Any]

with open(os.path.join(os.path.dirname(__file__), "layouts.yml"), encoding="utf-8") as _stream:
    LAYOUTS: dict[str, Data] = yaml.safe_load(_stream)


def lay_out(evidence: Data, node: str, name: str) -> None:
    """Changes the evidence of ``node``: its Node object, its kubelet, where its files lie, and how it signs in."""
    layout = LAYOUTS[name]
    listed = next(entry for entry in evidence["cluster"]["node_info"]["nodes"] if entry["name"] == node)
    listed.update(layout.get("node", {}))
    if layout.get("probe") is False:
        del evidence["nodes"][node]
        return
    worker = evidence["nodes"][node]
    kubelet = {key: value for key, value in layout["kubelet"].items() if key != "unit"} if "kubelet" in layout else {}
    worker["kubelet"].update(kubelet)
    worker["kubelet"]["unit"]["name"] = layout.get("kubelet", {}).get("unit", "kubelet.service")
    if "config" in layout:
        worker["config"] = {**worker["config"], **layout["config"]} if layout["config"] else None
    _files(worker, layout)
    kubeconfig = worker["kubeconfig"]
    kubeconfig["path"] = layout.get("kubeconfig", kubeconfig["path"])
    if worker["kubelet"]["binary"] == "kubelet":
        worker["kubelet"]["flags"] = {"kubeconfig": kubeconfig["path"], **worker["kubelet"]["flags"]}
    if layout.get("kubeconfig"):
        bootstrap = layout.get("bootstrap")
        worker["bootstrap_kubeconfig"] = (
            {"path": bootstrap, "exists": True, "user": {"kind": "token"}} if bootstrap else None
        )
    kind = layout.get("user", "client_certificate_file")
    client = worker["pki"]["files"][0]
    kubeconfig["user"] = {
        "kind": kind,
        "client_certificate": client["path"],
        "client_key": client["path"],
        "certificates": [],
    }
    if kind != "client_certificate_file":
        kubeconfig["user"].update(client_certificate=None, client_key=None)
        worker["pki"]["files"].remove(client)
        if kind == "client_certificate_data":
            kubeconfig["user"]["certificates"] = client["certificates"]
        else:
            worker["network"]["authentication"] = None


def _files(worker: Data, layout: Data) -> None:
    folder = worker["pki"]["path"] = layout.get("pki", worker["pki"]["path"])
    names = (layout.get("client", "kubelet-client-current.pem"), layout.get("serving", "kubelet-server-current.pem"))
    for entry, name in zip(worker["pki"]["files"], names, strict=True):
        entry["path"] = name if name.startswith("/") else f"{folder}/{name}"

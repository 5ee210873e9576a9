# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real script over a made-up node: what it finds, in every shell there is."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time
import typing as t

import pytest

from .conftest import b64

if t.TYPE_CHECKING:
    from .conftest import Node

_AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _files(evidence: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {os.path.basename(entry["path"]): entry for entry in evidence["pki"]["files"]}


def test_healthy_node_in_every_shell(node: Node, shell: list[str]) -> None:
    evidence = node.probe(shell)
    assert evidence["reachable"] is True
    assert evidence["kubelet"]["binary"] == "kubelet"
    assert evidence["kubelet"]["pid"] == 812
    assert evidence["kubelet"]["started"] == "2023-11-14T22:15:00Z"
    assert evidence["kubelet"]["flags_source"] == "process"
    assert evidence["kubelet"]["flags"]["cert-dir"] == str(node.pki)
    assert evidence["clock"]["boot_time"] == "2023-11-14T22:13:20Z"
    assert evidence["clock"]["uptime_seconds"] == 5000
    assert abs(evidence["clock"]["offset_seconds"]) <= 1
    config = evidence["config"]
    assert (config["rotate_certificates"], config["server_tls_bootstrap"]) == (True, None)
    assert config["unset"] == ["server_tls_bootstrap", "tls_cert_file", "tls_private_key_file", "enable_server"]
    assert config["feature_gates"] == {"RotateKubeletServerCertificate": True}
    kubeconfig = evidence["kubeconfig"]
    assert (kubeconfig["server"], kubeconfig["context"]) == ("https://127.0.0.1:1", "default-context")
    assert kubeconfig["user"]["kind"] == "client_certificate_file"
    assert kubeconfig["ca"]["source"] == "data"
    assert kubeconfig["ca"]["certificates"][0]["common_name"] == "kubernetes"
    current = _files(evidence)["kubelet-client-current.pem"]
    assert (current["type"], current["target_exists"], current["mode"]) == ("link", True, "0600")
    assert (current["has_key"], current["key_matches"]) == (True, True)
    assert current["certificates"][0]["common_name"] == "system:node:worker-7"
    assert evidence["client_ca_file"]["certificates"][0]["is_ca"] is True
    assert evidence["bootstrap_kubeconfig"] is None
    digests = {
        entry["path"]: entry["sha256"] for entry in (kubeconfig, *config["layers"], evidence["client_ca_file"], current)
    }
    assert digests == {path: hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest() for path in digests}
    assert [name for name, entry in _files(evidence).items() if "sha256" in entry] == ["kubelet-client-current.pem"]
    assert evidence["control_plane"] is None
    assert evidence["pki"]["history"] == {
        "client": {"files": 1, "last_hour": 1, "oldest": []},
        "serving": {"files": 0, "last_hour": 0, "oldest": []},
    }
    filesystem = evidence["pki"]["filesystem"]
    assert filesystem["size_bytes"] >= filesystem["free_bytes"] > 0
    reasons = {entry["subject"]: entry["reason"] for entry in evidence["not_seen"]}
    assert reasons["network"] == "disabled"
    assert reasons["kubelet.unit"] == "error"


def test_nothing_is_written_and_nothing_goes_on_running(
    node: Node, shell: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = node.root / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home))
    before = {path: path.lstat().st_mtime_ns for path in node.root.rglob("*")}
    node.settings["KCP_TIMEOUT"] = seconds = 1000 + os.getpid()  # no other test's guard sleeps as long
    node.probe(shell)
    assert {path: path.lstat().st_mtime_ns for path in node.root.rglob("*")} == before
    time.sleep(0.3)
    running = subprocess.run(["ps", "-eo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert f"sleep {seconds}" not in running.splitlines()


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        pytest.param(
            lambda n: (n.pki / "kubelet-client-2026-01-02-03-04-05.pem").unlink(),
            {"target_exists": False},
            id="dangling",
        ),
        pytest.param(
            lambda n: (n.pki / "kubelet-client-2026-01-02-03-04-05.pem").write_text(""),
            {"certificates": [], "has_key": False, "size_bytes": 0},
            id="empty",
        ),
        pytest.param(
            lambda n: (n.pki / "kubelet-client-2026-01-02-03-04-05.pem").write_text(
                n.leaf.certificate + n.authority.issue("other").key
            ),
            {"has_key": True, "key_matches": False},
            id="another's key",
        ),
        pytest.param(
            lambda n: (n.pki / "kubelet-client-2026-01-02-03-04-05.pem").write_text(
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
            ),
            {"has_key": False, "key_matches": None},
            id="damaged",
        ),
    ],
)
def test_broken_certificate_files(
    node: Node, tools: list[str], break_it: t.Callable[[Node], object], expected: dict[str, t.Any]
) -> None:
    break_it(node)
    current = _files(node.probe(tools))["kubelet-client-current.pem"]
    assert {key: current[key] for key in expected} == expected


def test_thousands_of_dated_files_cost_nothing(node: Node, tools: list[str]) -> None:
    for number in range(3000):
        old = node.pki / f"kubelet-server-2020-01-01-00-00-00.{number}.pem"
        old.touch()
        os.utime(old, (1, 1))
    started = time.monotonic()
    pki = node.probe(tools)["pki"]
    assert time.monotonic() - started < 20
    assert pki["history"]["serving"] == {"files": 3000, "last_hour": 0, "oldest": []}
    assert pki["files_dropped"] == 2998


@pytest.mark.parametrize(
    ("attributes", "immutable"), [("----i---------e-------", True), ("--------------e-------", False)]
)
def test_the_immutable_attribute(node: Node, tools: list[str], attributes: str, immutable: bool) -> None:
    node.tool("lsattr", f"echo '{attributes} '$2")
    pki = node.probe(tools)["pki"]
    assert pki["immutable"] is immutable
    if immutable:
        assert pki["writable"] is False


def test_attributes_that_are_not_told(node: Node) -> None:
    node.tool("lsattr", "exit 1")
    assert node.probe()["pki"]["immutable"] is None


def test_the_kubelets_own_view_of_the_mounts(node: Node, tools: list[str]) -> None:
    line = "36 35 98:0 / {} {} - ext4 /dev/sda1 rw\n"
    (node.proc / "812/mountinfo").write_text(line.format("/", "rw") + line.format(node.pki, "ro"))
    (node.proc / "812/ns").mkdir(exist_ok=True)
    (node.proc / "812/ns/mnt").symlink_to("mnt:[1]")
    pki = node.probe(tools)["pki"]
    assert (pki["filesystem"]["read_only"], pki["filesystem"]["read_only_on_host"]) == (True, False)
    assert (pki["filesystem"]["mount_point"], pki["writable"]) == (str(node.pki), False)


def test_a_key_that_cannot_be_read(node: Node, tools: list[str]) -> None:
    dated = node.pki / "kubelet-client-2026-01-02-03-04-05.pem"
    dated.write_text(node.leaf.certificate + node.leaf.key[: len(node.leaf.key) // 2])
    entry = _files(node.probe(tools))["kubelet-client-current.pem"]
    assert (entry["key_matches"], entry["key_readable"]) == (None, False)


def test_what_the_unit_forbids(node: Node) -> None:
    node.tool(
        "systemctl",
        "echo Id=kubelet.service; echo LoadState=loaded; echo ProtectSystem=full; echo 'ReadOnlyPaths=/a /b'; echo InaccessiblePaths=",
    )
    unit = node.probe()["kubelet"]["unit"]
    assert (unit["protect_system"], unit["read_only_paths"], unit["inaccessible_paths"]) == ("full", ["/a", "/b"], [])


def test_what_a_security_module_denied(node: Node, tools: list[str]) -> None:
    log = node.root / "audit.log"
    node.settings["KCP_AUDIT_LOG"] = str(log)
    denied = 'type=AVC msg=audit(1700000000.1:7): avc:  denied  { write } for  pid=812 comm="kubelet" name="pki" permissive=0'
    log.write_text(f"{denied}\n{denied.replace('kubelet', 'sshd')}\ntype=USER\n")
    node.tool("getenforce", "echo Enforcing")
    assert node.probe(tools)["denials"] == {
        "selinux": "Enforcing",
        "lines": [{"time": "2023-11-14T22:13:20Z", "message": denied}],
    }


def test_a_file_where_a_link_should_be(node: Node) -> None:
    current = node.pki / "kubelet-client-current.pem"
    content = current.read_text()
    current.unlink()
    current.write_text(content)
    assert _files(node.probe())["kubelet-client-current.pem"]["type"] == "file"


def test_only_the_newest_dated_files_are_read(node: Node) -> None:
    for day in range(10, 28):
        (node.pki / f"kubelet-client-2026-02-{day}-00-00-00.pem").write_text(node.leaf.certificate)
    evidence = node.probe()
    dated = [name for name in _files(evidence) if name.startswith("kubelet-client-2")]
    assert dated == ["kubelet-client-2026-02-26-00-00-00.pem", "kubelet-client-2026-02-27-00-00-00.pem"]
    assert evidence["pki"]["files_dropped"] == 17


def test_no_such_files(node: Node, tools: list[str]) -> None:
    shutil.rmtree(node.pki)
    node.kubeconfig.unlink()
    node.config.unlink()
    evidence = node.probe(tools)
    assert evidence["kubeconfig"]["exists"] is False
    assert evidence["kubeconfig"]["user"] is None
    assert evidence["config"]["exists"] is False
    assert evidence["pki"]["files"] == []
    assert evidence["pki"]["exists"] is False


@pytest.mark.parametrize(
    ("user", "kind", "token_id"),
    [
        ("token: abcdef.0123456789abcdef", "token", "abcdef"),
        ("token: eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "token", None),
        ("tokenFile: /var/run/token", "token_file", None),
        ("exec:\n  command: aws\n  args:\n  - eks\n  - get-token\n  env:\n  - name: A\n    value: B", "exec", None),
        ("{}", "none", None),
    ],
)
def test_kinds_of_users(node: Node, tools: list[str], user: str, kind: str, token_id: str | None) -> None:
    node.write_kubeconfig(user)
    if user == "{}":
        node.kubeconfig.write_text(node.kubeconfig.read_text().replace("user:\n    {}", "user: {}"))
    seen = node.probe(tools)["kubeconfig"]["user"]
    assert (seen["kind"], seen["token_id"]) == (kind, token_id)


def test_embedded_certificate_and_bootstrap_kubeconfig(node: Node, shell: list[str]) -> None:
    import base64

    data = base64.b64encode((node.leaf.certificate + node.leaf.key).encode()).decode()
    node.write_kubeconfig(f"client-certificate-data: {data}\nclient-key-data: {data}")
    bootstrap = node.root / "bootstrap.conf"
    node.run_kubelet(
        f"--kubeconfig={node.kubeconfig}", "--bootstrap-kubeconfig", str(bootstrap), f"--cert-dir={node.pki}"
    )
    evidence = node.probe(shell)
    user = evidence["kubeconfig"]["user"]
    assert user["kind"] == "client_certificate_data"
    assert [c["common_name"] for c in user["certificates"]] == ["system:node:worker-7"]
    assert evidence["bootstrap_kubeconfig"]["exists"] is False
    assert evidence["bootstrap_kubeconfig"]["path"] == str(bootstrap)


@pytest.mark.parametrize("folded", ["|", ">-", ""])
def test_data_over_several_lines(node: Node, tools: list[str], folded: str) -> None:
    import base64

    data = base64.b64encode(node.leaf.certificate.encode()).decode()
    lines = "\n".join(f"  {data[at : at + 64]}" for at in range(0, len(data), 64))
    node.write_kubeconfig(f"client-certificate-data: {folded}\n{lines}\nclient-key: /nowhere")
    user = node.probe(tools)["kubeconfig"]["user"]
    assert user["kind"] == "client_certificate_data"
    assert user["certificates"][0]["common_name"] == "system:node:worker-7"
    assert user["client_key"] == "/nowhere"


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nusers: [{name: a, user: {token: abcdef.0123456789abcdef}}]\ncurrent-context: x\n",
        "apiVersion: v1\nusers:\n- name: a\n  user: &u\n    token: abcdef.0123456789abcdef\n",
        "apiVersion: v1\nusers:\n\t- name: a\n",
    ],
)
def test_forms_that_are_not_read_are_said(node: Node, tools: list[str], text: str) -> None:
    node.kubeconfig.write_text(text)
    evidence = node.probe(tools)
    assert evidence["kubeconfig"]["user"] is None
    assert {"kubeconfig.user": "unsupported"}.items() <= {
        e["subject"]: e["reason"] for e in evidence["not_seen"]
    }.items()


@pytest.mark.parametrize("indent", [None, 2])
def test_kubeconfig_as_json(node: Node, shell: list[str], indent: int | None) -> None:
    from .conftest import b64

    user = {"client-certificate-data": b64(node.leaf.certificate), "client-key-data": b64(node.leaf.key)}
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": b64(node.authority.pair.certificate)}
    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "clusters": [{"name": "other", "cluster": {}}, {"name": "c", "cluster": cluster}],
            "users": [{"user": {"token": "abcdef.0123456789abcdef"}, "name": "other"}, {"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": 'a "b", {c}'}}],
            "current-context": "x",
        },
        indent=indent,
    )
    node.kubeconfig.write_text(text.replace("=", "\\u003d").replace("/", "\\/"))
    evidence = node.probe(shell)
    kubeconfig = evidence["kubeconfig"]
    assert (kubeconfig["error"], kubeconfig["context"], kubeconfig["server"]) == (None, "x", "https://127.0.0.1:1")
    assert kubeconfig["ca"]["certificates"][0]["common_name"] == "kubernetes"
    assert kubeconfig["user"]["kind"] == "client_certificate_data"
    assert [c["common_name"] for c in kubeconfig["user"]["certificates"]] == ["system:node:worker-7"]


@pytest.mark.parametrize(
    "text", ["{", "{]", '{"users": [', '{"a": "' + "x" * 5000, "{" * 3000, '{"a":{"b":}}', "[]", '{"a" "b" : : c}']
)
def test_broken_json_ends(node: Node, tools: list[str], text: str) -> None:
    node.kubeconfig.write_text(text)
    assert node.probe(tools)["kubeconfig"]["server"] is None


def test_configuration_as_json_and_its_drop_ins(node: Node, tools: list[str]) -> None:
    node.config.write_text(
        '{\n  "kind": "KubeletConfiguration",\n  "authentication": {\n    "x509": {\n      "clientCAFile": "/ca.crt"\n    }\n  },\n'
        '  "rotateCertificates": true,\n  "serverTLSBootstrap": false\n}\n'
    )
    folder = node.root / "config.d"
    folder.mkdir()
    (folder / "10.conf").write_text("kind: KubeletConfiguration\nserverTLSBootstrap: true\n")
    (folder / "20.conf").write_text("kind: KubeletConfiguration\nRotateCertificates: false\ntlsCertFile: /tls.crt\n")
    node.run_kubelet(
        f"--kubeconfig={node.kubeconfig}", f"--config={node.config}", f"--config-dir={folder}", f"--cert-dir={node.pki}"
    )
    config = node.probe(tools)["config"]
    assert (config["rotate_certificates"], config["server_tls_bootstrap"]) == (True, True)
    assert (config["client_ca_file"], config["tls_cert_file"]) == ("/ca.crt", "/tls.crt")
    assert config["drop_ins"] == [f"{folder}/10.conf", f"{folder}/20.conf"]
    assert config["unset"] == ["tls_private_key_file", "enable_server"]


def test_flags_of_the_unit_when_no_kubelet_runs(node: Node, shell: list[str]) -> None:
    shutil.rmtree(node.proc / "812")
    flags_file = node.root / "kubeadm-flags.env"
    flags_file.write_text(
        f'KUBELET_KUBEADM_ARGS="--hostname-override=w7 --provider-id=aws:///secret-id --cert-dir={node.pki}"\nTOP=x\n'
    )
    shown = node.root / "shown"
    shown.write_text(
        "Id=kubelet.service\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nUnitFileState=enabled\n"
        "NRestarts=41\nActiveEnterTimestamp=Mon 2026-11-23 20:05:00 UTC\nInactiveEnterTimestamp=n/a\nExecMainCode=1\nExecMainStatus=255\n"
        "DropInPaths=/etc/a.conf /etc/b.conf\n"
        f'Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig={node.root}/b.conf --kubeconfig={node.kubeconfig}" '
        "HTTPS_PROXY=http://joe:hunter2pw@proxy:3128 NO_PROXY=10.0.0.0/8,.local API_KEY=topsecret99\n"
        f"EnvironmentFiles={flags_file} (ignore_errors=yes)\n"
        f"ExecStart={{ path=/usr/bin/kubelet ; argv[]=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS --config={node.config} $KUBELET_KUBEADM_ARGS $NONE ; "
        "ignore_errors=no ; start_time=[n/a] ; pid=0 }\n"
    )
    node.tool("systemctl", f"cat {shown}")
    evidence = node.probe(shell)
    kubelet = evidence["kubelet"]
    assert (kubelet["pid"], kubelet["flags_source"]) == (None, "unit")
    assert kubelet["flags"] == {
        "bootstrap-kubeconfig": f"{node.root}/b.conf",
        "kubeconfig": str(node.kubeconfig),
        "config": str(node.config),
        "hostname-override": "w7",
        "cert-dir": str(node.pki),
    }
    assert kubelet["other_flags"] == ["provider-id"]
    unit = kubelet["unit"]
    assert (unit["sub_state"], unit["restarts"], unit["main_exit_code"], unit["main_exit_status"]) == (
        "auto-restart",
        41,
        "exited",
        255,
    )
    assert (unit["active_since"], unit["inactive_since"]) == ("2026-11-23T20:05:00Z", None)
    assert unit["drop_ins"] == ["/etc/a.conf", "/etc/b.conf"]
    assert unit["environment"] == [
        "API_KEY",
        "HTTPS_PROXY",
        "KUBELET_KUBEADM_ARGS",
        "KUBELET_KUBECONFIG_ARGS",
        "NO_PROXY",
        "TOP",
    ]
    assert unit["proxies"] == {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.0/8,.local"}
    text = str(evidence)
    assert "hunter2pw" not in text and "topsecret99" not in text and "secret-id" not in text


def test_control_plane(node: Node, tools: list[str]) -> None:
    ca, key = node.root / "signing.crt", node.root / "signing.key"
    ca.write_text(node.authority.pair.certificate)
    key.write_text(node.authority.issue("other").key)
    (node.manifests / "kube-controller-manager.yaml").write_text(
        "spec:\n  containers:\n  - command:\n    - kube-controller-manager\n"
        f'    - --cluster-signing-cert-file={ca}\n    - "--cluster-signing-key-file={key}"\n    - --service-cluster-ip-range=10.0.0.0/8\n'
    )
    control = node.probe(tools)["control_plane"]
    assert control["manifests"]["kube-controller-manager"]["flags"] == {
        "cluster-signing-cert-file": str(ca),
        "cluster-signing-key-file": str(key),
    }
    entry = next(entry for entry in control["files"] if entry["path"] == str(ca))
    assert (entry["has_key"], entry["key_matches"], entry["key_path"]) == (True, False, str(key))
    assert entry["key_exists"] is True
    assert (control["manager_kubeconfig"], control["manager_log"]) == (None, None)
    key.unlink()
    entry = next(e for e in node.probe(tools)["control_plane"]["files"] if e["path"] == str(ca))
    assert (entry["has_key"], entry["key_matches"]) == (False, None)
    assert entry["key_exists"] is (False if os.geteuid() == 0 else None)


def test_the_controller_managers_certificate_and_last_words(node: Node, tools: list[str]) -> None:
    leaf = node.authority.issue("system:kube-controller-manager", None, end=-1)
    manager, log = (
        node.root / "controller-manager.conf",
        node.root / "pods/kube-system_kube-controller-manager-cp1_x/kube-controller-manager/3.log",
    )
    node.write_kubeconfig(
        f"client-certificate-data: {b64(leaf.certificate)}\nclient-key-data: {b64(leaf.key)}", manager
    )
    (node.manifests / "kube-controller-manager.yaml").write_text(
        f"spec:\n  containers:\n  - command:\n    - kube-controller-manager\n    - --kubeconfig={manager}\n"
        "    image: registry.k8s.io/kube-controller-manager:v1.36.3\n"
    )
    log.parent.mkdir(parents=True)
    refused = "error auto signing csr: the signer has expired"
    log.write_text(
        "2026-11-23T19:00:00.123456789Z stderr F I1123 19:00:00.1 1 shared_informer.go:1] nothing of interest\n"
        + "".join(f'2026-11-23T19:0{n}:00.1Z stderr F E1123 19:0{n}:00.1 1 x.go:1] "Sync csr-{n}a failed: {refused}"\n' for n in range(3))
        + "2026-11-23T19:05:00.1Z stderr F Error: unknown flag: --password=hunter2pw\n"
    )  # fmt: skip
    control = node.probe(tools)["control_plane"]
    (certificate,) = control["manager_kubeconfig"]["user"]["certificates"]
    assert certificate["common_name"] == "system:kube-controller-manager"
    assert control["manifests"]["kube-controller-manager"]["image"].endswith(":v1.36.3")
    assert [(line["time"], line["message"][-len(refused) - 1 : -1]) for line in control["manager_log"][:1]] == [
        ("2026-11-23T19:02:00Z", refused)
    ]
    assert control["manager_log"][1]["message"].startswith("Error: unknown flag") and len(control["manager_log"]) == 2
    text = str(control)
    assert "hunter2pw" not in text and "PRIVATE KEY" not in text and b64(leaf.key)[40:80] not in text


def test_log_is_counted_by_category_and_capped(node: Node, shell: list[str]) -> None:
    now = int(time.time())
    lines = [
        f"{now - 5000 + i}.{i:06d} w7 kubelet[812]: E1123 10:00:00.{i:06d} 812 kubelet_node_status.go:1] noise {i}"
        for i in range(300)
    ]
    lines += [
        f"{now - 3000 + i}.000001 w7 kubelet[812]: E1123 11:00:00.{i:06d}     812 certificate_manager.go:596] "
        f'"Failed while requesting a signed certificate from the control plane" err="cannot create certificate signing request: Unauthorized" n={i}'
        for i in range(700)
    ]
    log = node.root / "log"
    log.write_text("\n".join(reversed(lines)) + "\n")
    node.tool("journalctl", f'case "$*" in *" -n 1"*) ;; *) cat {log} ;; esac')
    seen = node.probe(shell)["log"]
    assert (seen["source"], seen["lines"]) == ("journal", 1000)
    assert set(seen["counts"]) == {"create_failed", "unauthorized"}
    assert seen["counts"]["unauthorized"]["count"] == 700
    assert seen["counts"]["unauthorized"]["first"] < seen["counts"]["unauthorized"]["last"]
    assert 1 <= len(seen["entries"]) <= 40
    assert seen["entries"][-1]["message"].endswith("n=699")
    assert seen["dropped"] == 700 - len(seen["entries"])


def test_log_that_may_not_be_read_or_hangs(node: Node, tools: list[str]) -> None:
    node.tool("journalctl", "echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1")
    evidence = node.probe(tools)
    assert evidence["log"] is None
    assert {"subject": "log", "reason": "not_permitted"}.items() <= next(
        e for e in evidence["not_seen"] if e["subject"] == "log"
    ).items()


def test_a_log_of_the_login_alone_is_not_the_kubelets(node: Node, tools: list[str]) -> None:
    """A user with a journal of its own gets no error, and a hint that ``-q`` suppresses."""
    hint = "Hint: You are currently not seeing messages from other users and the system."
    node.tool("journalctl", f"case \" $* \" in *' -q '*) ;; *) echo '{hint}' >&2 ;; esac")
    evidence = node.probe(tools)
    assert evidence["log"] is None
    assert [e["reason"] for e in evidence["not_seen"] if e["subject"] == "log"] == ["not_permitted"]


def test_a_hung_command_is_ended(node: Node) -> None:
    now = int(time.time())
    line = f"{now}.1 w7 kubelet[1]: E1123 10:00:00.1 1 x.go:1] certificate request was not signed: timed out"
    node.tool("journalctl", f'case "$*" in *" -n 1"*) ;; *) echo "{line}"; exec sleep 100 ;; esac')
    node.settings["KCP_TIMEOUT"] = 8
    started = time.monotonic()
    evidence = node.probe()
    assert time.monotonic() - started < 8
    assert evidence["log"]["counts"]["not_signed"]["count"] == 1
    assert evidence["log"]["lines"] is None


def test_the_whole_probe_is_ended(node: Node, shell: list[str]) -> None:
    node.tool("getconf", "while :; do sleep 1; done # hung")
    node.settings["KCP_TIMEOUT"] = 6  # the questions before the hung one need their time on a busy machine
    started = time.monotonic()
    text = node.answer(shell)
    assert time.monotonic() - started < 20
    assert "finished" not in text
    assert "[ process kubelet" in text
    running = subprocess.run(["ps", "-eo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert str(node.bin) not in running


def test_a_node_without_tools(node: Node, shell: list[str]) -> None:
    for name in (
        "sh",
        "sed",
        "awk",
        "tr",
        "grep",
        "cat",
        "dd",
        "head",
        "tail",
        "cut",
        "date",
        "id",
        "readlink",
        "sleep",
        "hostname",
    ):
        (node.bin / name).unlink(missing_ok=True)
        target = shutil.which(name)
        assert target
        (node.bin / name).symlink_to(target)
    for name in ("systemctl", "journalctl"):
        (node.bin / name).unlink()
    from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import build_script, read_answer

    from .conftest import NONCE

    script = build_script(NONCE, node.settings).splitlines(keepends=True)
    script = [b"PATH=%s\n" % os.fsencode(node.bin) if line.startswith(b"PATH=") else line for line in script]
    done = subprocess.run(
        [shutil.which(shell[0]) or "sh", *shell[1:]],
        input=b"".join(script),
        stdout=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    answer = read_answer(done.stdout.decode(), NONCE)
    assert answer.finished
    subjects = {entry["subject"]: entry["reason"] for entry in answer.not_seen}
    assert subjects["kubelet.unit"] == "missing_tool"
    file = next(s for s in answer.every("file") if s.name.endswith("current.pem"))
    assert len(file.all("cert")) == 1


def _open_the_way(root: pathlib.Path) -> None:
    for path in [root, *root.parents]:
        if path.stat().st_uid == 0 and path != pathlib.Path("/") and not path.stat().st_mode & 1:
            path.chmod(path.stat().st_mode | 0o11)


_NOT_ROOT = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh")


@_AS_ROOT
def test_without_root(node: Node) -> None:
    _open_the_way(node.root)
    node.pki.chmod(0o755)
    node.kubeconfig.chmod(0o600)
    manifest, pods = node.manifests / "kube-controller-manager.yaml", node.root / "pods"
    manifest.write_text("spec:\n  containers:\n  - command:\n    - kube-controller-manager\n")
    manifest.chmod(0o600)
    pods.mkdir(mode=0o700)
    node.settings["KCP_API_PROBE"] = "yes"
    evidence = node.probe(_NOT_ROOT)
    assert evidence["root"] is False
    current = _files(evidence)["kubelet-client-current.pem"]
    assert (current["certificates"], current["has_key"]) == (None, None)
    assert evidence["pki"]["writable"] is None
    reasons = {entry["subject"]: entry["reason"] for entry in evidence["not_seen"]}
    assert reasons["kubeconfig.user"] == "not_permitted"
    assert reasons["network"] == "not_permitted"
    assert reasons["pki.writable"] == "not_permitted"
    assert reasons["control_plane.manifests.kube-controller-manager.flags"] == "not_permitted"
    assert reasons["control_plane.manager_log"] == "not_permitted"


@_AS_ROOT
def test_without_root_a_file_that_is_not_there_is_told_from_one_in_a_closed_folder(node: Node) -> None:
    _open_the_way(node.root)
    closed, kubeconfig = node.root / "closed", node.root / "absent.conf"
    closed.mkdir(mode=0o700)
    node.run_kubelet(f"--kubeconfig={kubeconfig}", f"--config={node.config}", f"--cert-dir={closed}/pki")
    node.settings["KCP_API_PROBE"] = "yes"
    evidence = node.probe(_NOT_ROOT)
    assert evidence["kubeconfig"]["exists"] is False
    assert evidence["pki"]["files"] is None and evidence["pki"]["history"]["client"]["files"] is None
    reasons = {entry["subject"]: entry["reason"] for entry in evidence["not_seen"]}
    assert (reasons["pki"], reasons["network"]) == ("not_permitted", "not_found")
    node.run_kubelet(f"--kubeconfig={closed}/deeper/kubelet.conf", f"--config={node.config}", f"--cert-dir={node.pki}")
    evidence = node.probe(_NOT_ROOT)
    assert evidence["kubeconfig"]["exists"] is None
    reasons = {entry["subject"]: entry["reason"] for entry in evidence["not_seen"]}
    assert (reasons["kubeconfig"], reasons["network"]) == ("not_permitted", "not_permitted")

# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real script, run by real shells over a made-up node: each act done, idle, in check mode, moved, and failing half-way."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shlex
import subprocess
import typing as t

import pytest
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.probe.protocol import read_answer
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.repair import exchange
from ansible_collections.kubecare.kubelet_certs.plugins.plugin_utils.repair.exchange import (
    repair_diff,
    repair_result,
    repair_script,
    repair_settings,
)
from ansible_collections.kubecare.kubelet_certs.tests.unit.plugins.plugin_utils.probe.conftest import (
    SHELLS,
    Authority,
    b64,
)

NONCE = "0123456789abcdef01234567"
TOKEN = "abcdef.0123456789abcdef"
NODE = "worker-7"
OLD, NEW = "kubelet-client-2026-01-02-03-04-05.pem", "kubelet-client-2026-02-02-03-04-05.pem"
SYSTEMCTL = """
echo "$*" >>{root}/calls
case "$*" in
  *is-active*) cat {root}/state ;;
  *show*) echo MainPID=7 ;;
  cat*) echo "ExecStart=/usr/bin/kubelet --bootstrap-kubeconfig={root}/bootstrap.conf" ;;
  *"restart "*) {restart} ;;
esac
"""


def sha(path: pathlib.Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Node:
    """A node as kubeadm leaves it, whose certificate is valid."""

    def __init__(self, root: pathlib.Path, shell: list[str]) -> None:
        self.root, self.shell, self.authority = root, shell, Authority()
        self.functions = ""
        self.bin, self.pki = root / "bin", root / "pki"
        self.bin.mkdir()
        self.pki.mkdir(mode=0o755)
        self.config, self.kubeconfig, self.ca = root / "config.yaml", root / "kubelet.conf", root / "ca.crt"
        self.bootstrap, self.current = root / "bootstrap.conf", self.pki / "kubelet-client-current.pem"
        self.config.write_text(
            "kind: KubeletConfiguration\n# why\nrotateCertificates: false  # once\nx:\n  rotateCertificates: 1\n"
        )
        self.config.chmod(0o640)
        self.ca.write_text(self.authority.pair.certificate)
        self.client(OLD, f"system:node:{NODE}")
        self.current.symlink_to(self.pki / OLD)
        self.write_kubeconfig(f"client-certificate: {self.current}\n    client-key: {self.current}")
        (root / "state").write_text("active\n")
        self.tool("id", "echo 0")
        self.systemctl()

    def systemctl(self, restart: str = ":") -> None:
        """A systemctl that writes down how it is called; ``restart``: what it does then."""
        self.tool("systemctl", SYSTEMCTL.format(root=self.root, restart=restart))

    def tool(self, name: str, body: str) -> None:
        """Puts a tool before those of the machine."""
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def instead(self, name: str, body: str) -> None:
        """Puts a tool in the place of the shell's own: a busybox takes none from elsewhere, but a function, where no timeout is before it."""
        if "busybox" in self.shell[0]:
            self.functions += f"timeout() {{ return 1; }}\n{name}() (\n{body}\n)\n"
        else:
            self.tool(name, f"PATH=/usr/bin:/bin; {body}")

    def client(self, name: str, common_name: str, end: int = 365, folder: pathlib.Path | None = None) -> pathlib.Path:
        """A client certificate with its key."""
        pair = self.authority.issue(common_name, "system:nodes", start=-400, end=end)
        path = (folder or self.pki) / name
        path.write_text(pair.certificate + pair.key)
        path.chmod(0o600)
        return path

    def write_kubeconfig(self, user: str) -> None:
        """A kubeconfig as kubeadm writes it."""
        self.kubeconfig.write_text(
            "apiVersion: v1\nclusters:\n- cluster:\n"
            f"    certificate-authority-data: {b64(self.authority.pair.certificate)}\n    server: https://api:6443\n"
            "  name: c\ncontexts:\n- context:\n    cluster: c\n    user: u\n  name: x\ncurrent-context: x\nkind: Config\n"
            f"users:\n- name: u\n  user:\n    {user}\n"
        )
        self.kubeconfig.chmod(0o600)

    def files(self) -> dict[str, str]:
        """Every file and link: what it is, so that two states can be compared."""
        seen = {}
        for path in sorted(self.root.rglob("*")):
            if path.name in ("calls",) or self.bin in path.parents:
                continue
            what = os.readlink(path) if path.is_symlink() else sha(path) if path.is_file() else ""
            seen[str(path.relative_to(self.root))] = f"{path.lstat().st_mode:o} {what}"
        return seen

    def repair(
        self,
        act: str,
        bound_to: dict[str, t.Any] | None = None,
        check: bool = False,
        timeout: int = 5,
        **parameters: t.Any,
    ) -> dict[str, t.Any]:
        """Does an act; the token must not come back."""
        given = {
            "kubeconfig": str(self.kubeconfig),
            "kubelet_config": str(self.config),
            "pki_path": str(self.pki),
            "bootstrap_kubeconfig": str(self.bootstrap),
            "node": NODE,
            **parameters,
        }
        token = TOKEN if act == "rebootstrap" else None
        script = repair_script(NONCE, repair_settings(act, given, bound_to or {}, token, timeout, check))
        script = script.replace(
            b"PATH=/usr",
            b"%sKCR_NAP=0.05\nPATH=%s:/usr" % (self.functions.encode(), os.fsencode(shlex.quote(str(self.bin)))),
            1,
        )
        done = subprocess.run(
            self.shell, input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
        )
        text = done.stdout.decode("utf-8", "surrogateescape")
        for secret in (TOKEN, "PRIVATE KEY", "LS0tLS1"):
            assert secret not in text
        answer = read_answer(text, NONCE)
        result = repair_result(answer, act, check)
        assert answer.finished, text[-2000:]
        return {**result, "diff": repair_diff(answer)}


@pytest.fixture(params=SHELLS, ids=lambda shell: os.path.basename(shell[0]))
def node(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Node:
    """A node for each shell of this machine."""
    return Node(tmp_path, request.param)


def _spoil_rotation(node: Node) -> dict[str, t.Any]:
    return {}


def _spoil_kubeconfig(node: Node) -> dict[str, t.Any]:
    pair = node.authority.issue(f"system:node:{NODE}", "system:nodes", start=-9, end=-1)
    node.write_kubeconfig(f"client-certificate-data: {b64(pair.certificate)}\n    client-key-data: {b64(pair.key)}")
    return {}


def _spoil_ca(node: Node) -> dict[str, t.Any]:
    return {"ca_file": str(node.ca), "ca_pem": Authority("new").pair.certificate}


def _spoil_modes(node: Node) -> dict[str, t.Any]:
    node.pki.chmod(0o577)
    (node.pki / OLD).chmod(0o644)
    if os.geteuid() == 0:
        os.chown(node.pki, 12, 34)
    return {}


def _spoil_link(node: Node) -> dict[str, t.Any]:
    node.client(NEW, f"system:node:{NODE}")
    node.client("kubelet-client-2026-03-02-03-04-05.pem", f"system:node:{NODE}", end=-1)
    node.client("kubelet-client-2026-03-03-03-04-05.pem", "system:node:other")
    (node.pki / "kubelet-client-2026-03-04-03-04-05.pem").write_text("")
    node.client("kubelet-client-updated.pem", f"system:node:{NODE}")
    node.current.unlink()
    node.current.symlink_to(node.pki / "kubelet-client-2026-01-01-00-00-00.pem")
    return {}


def _expire(node: Node, restart: str = "") -> dict[str, t.Any]:
    """An expired node, whose kubelet gets a certificate when it is restarted with a bootstrap kubeconfig."""
    node.client(OLD, f"system:node:{NODE}", end=-1)
    node.client("issued.pem", f"system:node:{NODE}", folder=node.root)
    issue = (
        f"[ -f {node.bootstrap} ] || exit 0; cp {node.bootstrap} {node.root}/bin/bootstrap-seen; cp -p {node.root}/issued.pem {node.pki}/{NEW};"
        f"ln -s {node.pki}/{NEW} {node.current}; echo made >{node.kubeconfig}"
    )
    node.systemctl(restart or issue)
    return {}


CASES: dict[str, t.Callable[[Node], dict[str, t.Any]]] = {
    "enable_rotation": _spoil_rotation,
    "use_rotating_kubeconfig": _spoil_kubeconfig,
    "refresh_ca": _spoil_ca,
    "repair_modes": _spoil_modes,
    "repair_link": _spoil_link,
    "rebootstrap": _expire,
}
acts = pytest.mark.parametrize("act", CASES)


@acts
def test_done_and_then_nothing_to_do(node: Node, act: str) -> None:
    parameters = CASES[act](node)
    before = node.files()
    result = node.repair(act, **parameters)
    assert (result["status"], result["changed"]) == ("done", True), result
    assert result["changes"]
    assert "failed" not in result
    after = node.files()
    assert after != before
    if act == "repair_modes":
        assert node.pki.stat().st_mode & 0o777 == 0o755
        assert (node.pki.stat().st_uid, (node.pki / OLD).stat().st_mode & 0o777) == (0, 0o600)
    made = {f"pki/{NEW}"} if act == "rebootstrap" else set()
    assert {path for path in after if path not in before} - made <= {
        os.path.relpath(b, node.root) for b in result["backups"]
    }
    again = node.repair(act, **parameters)
    assert (again["status"], again["changed"], again["backups"]) == ("nothing_to_do", False, []), again
    assert node.files() == after


@acts
def test_check_mode_changes_nothing(node: Node, act: str) -> None:
    parameters = CASES[act](node)
    before = node.files()
    result = node.repair(act, check=True, **parameters)
    assert (result["status"], result["changed"], result["backups"]) == ("done", True, []), result
    assert result["changes"]
    assert node.files() == before


@acts
def test_moved(node: Node, act: str) -> None:
    parameters = CASES[act](node)
    before = node.files()
    for bound in (
        {"files": {str(node.config): "0" * 64}},
        {"files": {str(node.kubeconfig): None}},
        {"certificate_sha256": "1" * 64},
        *([] if act == "repair_link" else [{"certificate_sha256": None}]),
    ):
        result = node.repair(act, bound, **parameters)
        assert (result["status"], result["changed"], result["failed"]) == ("moved", False, True), result
        assert result["msg"].startswith("moved: ")
    assert node.files() == before


@acts
def test_bound_and_unmoved(node: Node, act: str) -> None:
    parameters = CASES[act](node)
    seen = node.repair(act, check=True, **parameters)["before"]["certificate_sha256"]
    absent = str(node.root / "absent")
    paths = [path for path in (node.config, node.kubeconfig, node.ca, node.current) if path.exists()]
    bound = {"certificate_sha256": seen, "files": {**{str(path): sha(path) for path in paths}, absent: None}}
    result = node.repair(act, bound, **parameters)
    assert result["status"] == "done"
    assert result["after"]["files"] == {**{str(path): sha(path) for path in paths}, absent: None}
    changed = {"enable_rotation": node.config, "use_rotating_kubeconfig": node.kubeconfig, "refresh_ca": node.ca}
    if act in changed:
        assert result["after"]["files"][str(changed[act])] != bound["files"][str(changed[act])]


@acts
def test_a_failure_half_way_puts_everything_back(node: Node, act: str) -> None:
    parameters = CASES[act](node)
    before = node.files()
    if act == "repair_modes":
        node.instead("chmod", f'[ -e {node.bin}/once ] && exec chmod "$@"; : >{node.bin}/once; exit 1')
    # The first renaming that replaces a file fails after it was done; putting back works.
    node.instead("mv", f'[ -e {node.bin}/once ] && exec mv "$@"; : >{node.bin}/once; mv "$@"; exit 1')
    result = node.repair(act, **parameters)
    assert (result["status"], result["failed"], result["backups"]) == (
        "rolled_back",
        True,
        [],
    )
    assert node.files() == before


def test_only_the_line_of_the_key_changes(node: Node) -> None:
    result = node.repair("enable_rotation")
    assert (
        node.config.read_text()
        == "kind: KubeletConfiguration\n# why\nrotateCertificates: true  # once\nx:\n  rotateCertificates: 1\n"
    )
    assert result["diff"][0]["before"] == "rotateCertificates: false\n"
    assert node.config.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"kind": "KubeletConfiguration"}\n', "is JSON"),
        ("kind: KubeletConfiguration\n---\nkind: KubeletConfiguration\n", "more than one document"),
        ("kind: Pod\n", "no KubeletConfiguration"),
        ("kind: KubeletConfiguration\nrotateCertificates: false\nrotateCertificates: false\n", "more than once"),
        ("kind: KubeletConfiguration\nrotateCertificates:\n  false\n", "cannot be edited"),
        ("kind: KubeletConfiguration\r\n", "carriage returns"),
    ],
)
def test_a_configuration_that_is_refused(node: Node, text: str, says: str) -> None:
    node.config.write_bytes(text.encode())
    before = node.files()
    result = node.repair("enable_rotation")
    assert result["status"] == "failed"
    assert says in result["message"]
    assert node.files() == before


def test_a_missing_key_is_added(node: Node) -> None:
    node.config.write_text("kind: KubeletConfiguration\nrotateCertificate: true")
    assert node.repair("enable_rotation")["status"] == "done"
    assert node.config.read_text() == "kind: KubeletConfiguration\nrotateCertificate: true\nrotateCertificates: true\n"


@pytest.mark.parametrize(
    ("common_name", "end", "says"),
    [(f"system:node:{NODE}", -1, "has ended"), ("system:node:other", 9, "not of this node")],
)
def test_a_certificate_that_the_kubeconfig_must_not_name(node: Node, common_name: str, end: int, says: str) -> None:
    _spoil_kubeconfig(node)
    node.client(OLD, common_name, end)
    before = node.files()
    result = node.repair("use_rotating_kubeconfig")
    assert result["status"] == "failed"
    assert says in result["message"]
    assert node.files() == before


def test_hostile_names(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that no parameter may have: the script stays whole nevertheless."""
    monkeypatch.setattr(exchange, "is_plain_path", lambda _path: True)
    root = tmp_path / 'a $(touch x)` \\;&"'
    root.mkdir()
    node = Node(root, SHELLS[0])
    _spoil_kubeconfig(node)
    for act in ("enable_rotation", "use_rotating_kubeconfig"):
        result = node.repair(act)
        assert result["status"] == "done", result


def test_a_link_out_of_its_folder_is_not_followed(node: Node) -> None:
    folder = node.root / "folder"
    folder.mkdir()
    (folder / "config.yaml").symlink_to(node.config)
    before = node.files()
    assert node.repair("enable_rotation", kubelet_config=str(folder / "config.yaml"))["status"] == "failed"
    assert node.files() == before


@pytest.mark.parametrize(
    "parameters",
    [
        {"kubeconfig": "relative"},
        {"kubeconfig": "/a/../b"},
        {"kubelet_config": "/a\nb"},
        {"kubelet_config": "/a b"},
        {"ca_file": "/a$(id)"},
        {"kubeconfig": "/" + "a" * 600},
        {"pki_path": "/a\0b"},
        {"unit": "a b"},
        {"unit": "--x"},
        {"node": "A;b"},
        {"node": "a" * 254},
        {"server": "http://api"},
        {"server": "https://api:6443/$(id)"},
        {"server": "https://user@api:6443"},
        {"remove": ["../etc/passwd"]},
        {"remove": ["kubelet-client-current.pem"]},
        {"remove": "kubelet-client-2026-01-02-03-04-05.pem"},
        {"ca_pem": "no certificate"},
        {"unknown": 1},
        {"wait_for_new_certificate": "yes"},
    ],
)
def test_parameters_that_are_refused(parameters: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match="parameters"):
        repair_settings("enable_rotation", parameters, {}, None, 5, False)


def test_repair_link_takes_the_newest_usable_file(node: Node) -> None:
    _spoil_link(node)
    assert node.repair("repair_link")["status"] == "done"
    assert os.readlink(node.current) == str(node.pki / NEW)
    assert not (node.pki / "kubelet-client-updated.pem").exists()


def test_repair_link_without_a_usable_file(node: Node) -> None:
    (node.pki / OLD).unlink()
    before = node.files()
    result = node.repair("repair_link")
    assert result["status"] == "failed"
    assert node.files() == before


def test_a_file_in_the_place_of_the_link_keeps_its_content(node: Node) -> None:
    node.current.unlink()
    node.client("kubelet-client-current.pem", f"system:node:{NODE}")
    digest = sha(node.current)
    result = node.repair("repair_link")
    assert result["status"] == "done", result
    assert node.current.is_symlink()
    assert sha(node.current) == digest
    assert node.repair("repair_link")["status"] == "nothing_to_do"


def test_free_space_keeps_the_two_newest_and_the_one_in_use(node: Node) -> None:
    old = [f"kubelet-client-2025-0{month}-02-03-04-05.pem" for month in range(1, 5)]
    for name in old:
        node.client(name, f"system:node:{NODE}")
    node.current.unlink()
    node.current.symlink_to(node.pki / old[0])
    before = node.files()
    for name in (old[0], OLD, old[3]):
        result = node.repair("free_space", remove=[old[1], name])
        assert result["status"] == "failed", name
        assert node.files() == before
    assert node.repair("free_space", check=True, remove=old[1:3])["changed"] is True
    assert node.files() == before
    bound = {"files": {str(node.pki / old[1]): "0" * 64}}
    assert node.repair("free_space", bound, remove=old[1:3])["status"] == "moved"
    assert node.repair("free_space", remove=old[1:3])["status"] == "done"
    assert sorted(path.name for path in node.pki.glob("*-2025-*")) == [old[0], old[3]]
    assert node.repair("free_space", remove=old[1:3])["status"] == "nothing_to_do"


def test_repair_modes_fails_where_nothing_can_be_written_even_so(node: Node) -> None:
    """As on a file system of another machine, whose root is nobody."""
    _spoil_modes(node)
    (node.pki / f".kubecare-try-{NONCE}").mkdir()
    before = node.files()
    result = node.repair("repair_modes")
    assert (result["status"], result["changed"]) == ("rolled_back", False), result
    assert "even so" in result["message"]
    assert node.files() == before


def test_free_space_fails_where_something_else_takes_the_room(node: Node) -> None:
    for day in range(1, 4):
        node.client(f"kubelet-client-2026-03-0{day}-03-04-05.pem", f"system:node:{NODE}")
    node.instead("head", 'case "$*" in "-c 16384 /dev/zero") exit 1 ;; esac\nexec head "$@"')
    result = node.repair("free_space", remove=["kubelet-client-2026-03-01-03-04-05.pem"])
    assert (result["status"], result["changed"]) == ("failed", True)
    assert "something else fills" in result["message"]
    assert not list(node.pki.glob(".kubecare-room*"))


def test_the_bootstrap_kubeconfig_is_there_for_the_kubelet_alone(node: Node) -> None:
    _expire(node)
    old = node.repair("rebootstrap", check=True)["before"]
    result = node.repair("rebootstrap", {"certificate_sha256": old["certificate_sha256"]})
    assert result["status"] == "done", result
    seen = (node.bin / "bootstrap-seen").read_text()
    assert f"token: {TOKEN}" in seen
    assert "server: https://api:6443" in seen
    assert not node.bootstrap.exists()
    assert result["after"]["not_after"] > old["not_after"]
    assert len(result["backups"]) == 2


def test_rebootstrap_without_a_new_certificate(node: Node) -> None:
    """As where nothing approves the request: the kubelet writes its new key, and waits."""
    _expire(node, restart=f"[ ! -f {node.bootstrap} ] || echo key >{node.pki}/kubelet-client.key.tmp")
    before = node.files()
    result = node.repair("rebootstrap")
    assert result["status"] == "rolled_back", result
    assert "no new client certificate" in result["message"]
    assert node.files() == before
    assert "--no-block restart kubelet" in (node.root / "calls").read_text()


def test_rebootstrap_where_the_unit_names_another_file(node: Node) -> None:
    _expire(node)
    before = node.files()
    result = node.repair("rebootstrap", bootstrap_kubeconfig=str(node.root / "other.conf"))
    assert result["status"] == "failed"
    assert "does not name" in result["message"]
    assert node.files() == before


def test_restart_waits_for_a_new_certificate(node: Node) -> None:
    old = node.repair("restart_kubelet", check=True)["before"]["certificate_sha256"]
    assert not (node.root / "calls").read_text().count("restart")
    node.client("issued.pem", f"system:node:{NODE}", end=500, folder=node.root)
    bound = {"certificate_sha256": old}
    assert node.repair("restart_kubelet", bound, wait_for_new_certificate=True)["status"] == "failed"
    node.systemctl(
        f"(sleep 1; cp {node.root}/issued.pem {node.pki}/{NEW}; ln -sf {node.pki}/{NEW} {node.current}) >/dev/null 2>&1 &"
    )
    result = node.repair("restart_kubelet", bound, wait_for_new_certificate=True)
    assert (result["status"], result["changed"]) == ("done", True), result
    assert result["after"]["not_after"] > result["before"]["not_after"]


def test_a_kubelet_that_does_not_stay_active(node: Node) -> None:
    (node.root / "state").write_text("activating\n")
    result = node.repair("restart_kubelet")
    assert (result["status"], result["changed"]) == ("failed", True), result


def test_a_signal_puts_everything_back(node: Node) -> None:
    _expire(
        node, restart='case "$*" in *no-block*) ;; *) kill -TERM "$(sed "s/.*) . //;s/ .*//" /proc/$PPID/stat)" ;; esac'
    )
    before = node.files()
    result = node.repair("rebootstrap")
    assert result["status"] == "rolled_back", result
    assert node.files() == before


class Immutable:
    """``chattr +i`` of paths. Where this machine has no such attribute, or the tests do not run as root, ``chattr``, ``lsattr`` and ``mv``
    are stand-ins that keep it in a file."""

    def __init__(self, node: Node) -> None:
        self.node, self.kept = node, node.bin / "immutable"
        probe = node.bin / "probe"
        probe.write_text("")
        self.real = _chattr("+i", probe) and _chattr("-i", probe)
        if self.real:
            return
        self.kept.write_text("")
        node.tool("lsattr", f'grep -qxF -e "$2" {self.kept} && echo "----i---- $2" || echo "--------- $2"')
        node.tool(
            "chattr",
            f'grep -vxF -e "$2" {self.kept} >{self.kept}.new; [ "$1" = -i ] || echo "$2" >>{self.kept}.new; mv {self.kept}.new {self.kept}',
        )
        node.instead("mv", f'for to; do :; done; if grep -qxF -e "$to" {self.kept}; then exit 1; fi; exec mv "$@"')

    def set(self, *paths: pathlib.Path) -> None:
        for path in paths:
            if self.real:
                assert _chattr("+i", path)
            else:
                self.kept.write_text(self.kept.read_text() + f"{path}\n")

    def get(self) -> list[str]:
        """The paths of the node that are immutable."""
        if not self.real:
            return sorted(self.kept.read_text().split())
        listed = [self.node.config, self.node.pki, *(path for path in self.node.pki.iterdir() if not path.is_symlink())]
        said = subprocess.run(["lsattr", "-d", *listed], capture_output=True, text=True, check=True).stdout
        return sorted(line.split()[1] for line in said.splitlines() if "i" in line.split()[0])

    def clear(self) -> None:
        for path in self.get() if self.real else ():
            _chattr("-i", pathlib.Path(path))


def _chattr(flag: str, path: pathlib.Path) -> bool:
    try:
        return subprocess.run(["chattr", flag, path], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def immutable(node: Node) -> t.Iterator[Immutable]:
    """Takes the attribute away at the end, else nobody could remove the folder."""
    made = Immutable(node)
    yield made
    made.clear()


def test_the_immutable_flag_is_taken_away(node: Node, immutable: Immutable) -> None:
    paths = [node.pki, node.pki / OLD]
    immutable.set(*paths)
    assert node.repair("repair_modes", check=True)["changes"] == [
        f"take the immutable flag from {path}" for path in paths
    ]
    assert immutable.get() == sorted(map(str, paths))
    result = node.repair("repair_modes")
    assert (result["status"], immutable.get()) == ("done", []), result
    assert node.repair("repair_modes")["status"] == "nothing_to_do"


def test_the_immutable_flag_is_put_back_when_the_act_fails(node: Node, immutable: Immutable) -> None:
    (node.pki / OLD).chmod(0o644)
    immutable.set(node.pki, node.pki / OLD)
    before, flags = node.files(), immutable.get()
    node.instead("chmod", "exit 1")
    result = node.repair("repair_modes")
    assert result["status"] in ("rolled_back", "failed"), result
    assert (node.files(), immutable.get()) == (before, flags)


def test_a_file_that_cannot_be_replaced_is_left_as_it_is(node: Node, immutable: Immutable) -> None:
    immutable.set(node.config)
    before = node.files()
    result = node.repair("enable_rotation")
    assert (result["status"], result["changed"], result["backups"]) == ("rolled_back", False, []), result
    assert "cannot be replaced" in result["message"]
    assert node.files() == before

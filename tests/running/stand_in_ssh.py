# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes the place of ``ssh`` before a node that does not exist: ``stand_in_ssh.py BEHAVIOUR FOLDER <ssh's own arguments>``.

The connection plugin runs it as it runs ssh. The "node" is a set of namespaces of this machine: processes, mounts and network of its
own. When it was first asked is kept as the time of the file ``FOLDER/asked``.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import typing as t

EMPTY = "mount -t tmpfs -o size=64k tmpfs /usr/local/sbin; "
SET_UP: dict[str, str] = {
    # Nothing more can be written to what programs use for temporary files.
    "full-tmp": "for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o size=4k tmpfs $d; cat /dev/zero >$d/full; done; ",
    "no-openssl": "for f in /usr/bin/openssl /usr/local/bin/openssl /bin/openssl; do [ -e $f ] && mount --bind /dev/null $f; done; ",
    "journal-corrupt": EMPTY
    + r"printf '#!/bin/sh\nhead -c 300000 /dev/urandom; echo Failed to iterate: Bad message >&2; exit 1\n' >/usr/local/sbin/journalctl; "
    "chmod 755 /usr/local/sbin/journalctl; ",
    "journal-hangs": EMPTY
    + r"printf '#!/bin/sh\nsleep 1000\n' >/usr/local/sbin/journalctl; chmod 755 /usr/local/sbin/journalctl; ",
    # A process named kubelet that comes and goes ten times a second.
    "kubelet-restarting": EMPTY.replace("64k", "4m")
    + "cp /bin/sleep /usr/local/sbin/kubelet; (while :; do /usr/local/sbin/kubelet 0.1; done) >/dev/null 2>&1 & ",
}
"""What makes the node odd, as shell commands run as root in its namespaces before the probe."""


def node(own: pathlib.Path, command: str, behaviour: str, **more: t.Any) -> subprocess.Popen[bytes]:
    """The probe started on the node, with our stdin."""
    shell = "/bin/sh"
    if behaviour == "busybox":
        shell = os.environ["KUBECARE_BUSYBOX"]
        applets = "mount -t tmpfs tmpfs /mnt && " + f"{shell} --install -s /mnt && "
        command = f"PATH=/mnt; export PATH; {shell} sh"
        set_up = applets + "for d in /usr/local/sbin /usr/local/bin; do mount --bind /mnt $d; done; "
        set_up += f"mount --bind {shell} /bin/sh; "
    else:
        set_up = SET_UP.get(behaviour, "")
    namespaces = ["unshare", "--mount", "--pid", "--net", "--uts", "--fork", "--mount-proc", "/bin/sh", "-c"]
    return subprocess.Popen(
        [*namespaces, f"{{ hostname {own.name}; mount --bind {own}/tmp /tmp; {set_up}:; }} </dev/null; {command}"],
        **more,
    )


def main() -> int:
    """Gives the exit status."""
    behaviour, folder, *arguments = sys.argv[1:]
    if arguments == ["-o", "ControlPersist"]:
        return 1  # asked whether ssh knows the option
    asked = pathlib.Path(folder, "asked")
    if not asked.exists():
        asked.touch()
    command = arguments[-1]
    out = sys.stdout.buffer
    if behaviour == "hang":
        time.sleep(1000)
    if behaviour == "trickle":
        while True:
            out.write(b"x")
            out.flush()
            time.sleep(1)
    if behaviour == "flood":
        sys.stdin.buffer.read()
        for _part in range(200):
            out.write((b"y" * 1023 + b"\n") * 1024)
        out.flush()
        return 0
    if behaviour in ("cut", "hang-midway", "cut-at-end"):
        return broken_off(node(asked.parent, command, behaviour, stdout=subprocess.PIPE), behaviour)
    return node(asked.parent, command, behaviour).wait()


def broken_off(process: subprocess.Popen[bytes], behaviour: str) -> int:
    """Passes on the first half of the answer; then the connection breaks, or nothing more is heard."""
    said = (process.stdout.read() if process.stdout else b"").splitlines(keepends=True)
    part = said if behaviour == "cut-at-end" else said[: len(said) // 2]
    sys.stdout.buffer.write(b"".join(part))
    sys.stdout.buffer.flush()
    if behaviour == "hang-midway":
        time.sleep(1000)
    sys.stderr.write("client_loop: send disconnect: Broken pipe\n")
    return 255


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if not shutil.which("unshare"):
        sys.exit("the stand-in needs unshare")
    sys.exit(main())

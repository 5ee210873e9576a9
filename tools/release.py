# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make artefact``: the collection's tarball, the same byte for byte whoever builds it, with an SBOM, digests and signatures.

``ansible-galaxy collection build`` takes the order of files from the file system and the time from the clock. So what it built
is written anew: members and ``FILES.json`` sorted, one time (the commit's, or ``SOURCE_DATE_EPOCH``), no owner, two modes.
The digest of ``FILES.json`` in ``MANIFEST.json`` is made to fit.
"""

from __future__ import annotations

import contextlib
import gzip
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
import tempfile
import time
import typing as t

from common import (
    BUILD,
    IN_COLLECTIONS,
    NAME,
    ROOT,
    ansible_environment,
    base_environment,
    pythons,
    tracked_files,
    user_venv,
    venv,
)
from parts import Log, Result

ARTEFACT = BUILD / "artefact"
# The library that writes the SBOM and holds the schema it is validated against.
SBOM_REQUIREMENTS = ["cyclonedx-python-lib[json-validation]==11.12.0"]
# Without git, as in a tarball of the sources, every file is of this time: the start of 1980, the earliest that all archives know.
NO_COMMIT = 315532800
# Ways to change the tarball, each deeper than the one before, and what ansible-galaxy says of it: the first when it installs,
# the others when it verifies what it installed, as installing does not compare FILES.json with MANIFEST.json.
FORGERIES = (
    ("a file", "Checksum mismatch"),
    ("a file and FILES.json", "modified content"),
    ("a file, FILES.json and MANIFEST.json", "no successful signatures"),
)
Members = dict[str, tuple[tarfile.TarInfo, bytes]]


def commit_time() -> int:
    """Seconds since 1970: ``SOURCE_DATE_EPOCH``, else the last commit's time, else ``NO_COMMIT``. ValueError: it is no number."""
    if os.environ.get("SOURCE_DATE_EPOCH"):
        return int(os.environ["SOURCE_DATE_EPOCH"])
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return int(asked.stdout) if asked.returncode == 0 else NO_COMMIT


def uncommitted() -> list[str]:
    """What differs from the last commit, a line a file; empty without git too."""
    asked = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return asked.stdout.decode(errors="replace").splitlines() if asked.returncode == 0 else []


def read_members(tarball: pathlib.Path) -> Members:
    """Every member of a tarball by its name, with its content."""
    with tarfile.open(tarball, "r:gz") as archive:
        return {
            member.name: (member, t.cast("t.IO[bytes]", archive.extractfile(member)).read() if member.isfile() else b"")
            for member in archive.getmembers()
        }


def write_members(members: Members, tarball: pathlib.Path, when: int) -> None:
    """Write a tarball of which each byte follows from the members' names, contents and executable bits, and from ``when``.

    ``MANIFEST.json`` and ``FILES.json`` come first, as ansible-galaxy has them, so that the signed file is read first.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members, key=lambda name: (name not in ("MANIFEST.json", "FILES.json"), name)):
            member, content = members[name]
            entry = tarfile.TarInfo(name)
            entry.type = member.type
            entry.size = len(content)
            entry.mtime = when
            entry.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
    with tarball.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=when) as packed:
        packed.write(plain.getvalue())


def as_json(content: t.Any) -> bytes:
    """JSON as ansible-galaxy writes it."""
    return json.dumps(content, indent=True).encode() + b"\n"


def normalise(built: pathlib.Path, tarball: pathlib.Path, when: int) -> None:
    """Write what ansible-galaxy built as ``tarball``. LookupError: it holds what is neither a file nor a folder."""
    members = read_members(built)
    odd = [name for name, (member, _content) in members.items() if not (member.isfile() or member.isdir())]
    if odd:
        raise LookupError(f"neither files nor folders: {', '.join(odd)}")
    listing = json.loads(members["FILES.json"][1])
    listing["files"].sort(key=lambda entry: entry["name"])
    replace(members, "FILES.json", as_json(listing))
    manifest = json.loads(members["MANIFEST.json"][1])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(members["FILES.json"][1]).hexdigest()
    replace(members, "MANIFEST.json", as_json(manifest))
    write_members(members, tarball, when)


def replace(members: Members, name: str, content: bytes) -> None:
    """Give one member another content."""
    members[name] = (members[name][0], content)


def build(log: Log, folder: pathlib.Path, output: pathlib.Path, backwards: bool = False) -> pathlib.Path:
    """Build the tracked files once with the Ansible of ``folder``, in a copy of their own; gives the tarball in ``output``.

    ``backwards`` makes the copy's files in the other order, under another umask and time zone: what must make no difference.
    RuntimeError: ansible-galaxy failed.
    """
    with tempfile.TemporaryDirectory(prefix="kubelet-certs-") as name:
        scratch = pathlib.Path(name) / ("another/place" if backwards else "place")
        copy = scratch / IN_COLLECTIONS
        before = os.umask(0o077 if backwards else 0o022)
        try:
            for relative in sorted(tracked_files(), reverse=backwards):
                (copy / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / relative, copy / relative, follow_symlinks=False)
                if not (copy / relative).is_symlink():
                    executable = (ROOT / relative).stat().st_mode & 0o100
                    (copy / relative).chmod((0o700 if backwards else 0o755) if executable else 0o600)
            environment = ansible_environment(folder, scratch / "collections", scratch / "home")
            environment["TZ"] = "Pacific/Kiritimati" if backwards else "UTC"
            command = [folder / "bin/ansible-galaxy", "collection", "build", "--output-path", scratch / "built", copy]
            status = log.run(command, environment, scratch)[0]
        finally:
            os.umask(before)
        if status:
            raise RuntimeError(f"ansible-galaxy collection build ended with {status}")
        built = next((scratch / "built").glob("*.tar.gz"))
        output.mkdir(parents=True, exist_ok=True)
        normalise(built, output / built.name, commit_time())
        return output / built.name


def sha256(path: pathlib.Path) -> str:
    """The digest of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sbom(log: Log, tarball: pathlib.Path) -> pathlib.Path:
    """Write the SBOM beside the tarball, by ``tools/sbom.py``. RuntimeError: it could not, or the schema refuses it."""
    python = next(iter(pythons()))
    folder = venv("release", SBOM_REQUIREMENTS, python)
    output = tarball.with_name(tarball.name.removesuffix(".tar.gz") + ".cdx.json")
    command = [folder / "bin/python", ROOT / "tools/sbom.py", tarball, output, str(commit_time())]
    status = log.run(command, base_environment())[0]
    if status:
        raise RuntimeError(f"tools/sbom.py ended with {status}")
    return output


def make(log: Log, output: pathlib.Path = ARTEFACT) -> list[pathlib.Path]:
    """Build twice, compare, describe: gives the tarball, the SBOM and ``SHA256SUMS``. RuntimeError: the builds differ."""
    shutil.rmtree(output, ignore_errors=True)
    folder = user_venv()
    begun = time.monotonic()
    tarball = build(log, folder, output)
    with tempfile.TemporaryDirectory(prefix="kubelet-certs-") as name:
        again = build(log, folder, pathlib.Path(name), backwards=True)
        log.write(f"{sha256(tarball)}  first build\n{sha256(again)}  second build\n")
        if tarball.read_bytes() != again.read_bytes():
            raise RuntimeError("the two builds differ")
    described = sbom(log, tarball)
    sums = output / "SHA256SUMS"
    sums.write_text("".join(f"{sha256(path)}  {path.name}\n" for path in (tarball, described)), encoding="utf-8")
    log.write(f"{tarball.stat().st_size} bytes, built twice in {time.monotonic() - begun:.1f} s\n")
    return [tarball, described, sums]


def gpg(log: Log, environment: dict[str, str], *arguments: t.Any) -> None:
    """One run of gpg without questions. RuntimeError: it failed."""
    if log.run(["gpg", "--batch", "--yes", *arguments], environment)[0]:
        raise RuntimeError(f"gpg {' '.join(map(str, arguments))} failed")


def sign(log: Log, files: list[pathlib.Path], key: str, environment: dict[str, str]) -> list[pathlib.Path]:
    """Sign with the releaser's own key: ``MANIFEST.json`` for ansible-galaxy, ``SHA256SUMS`` for the artefact as a whole.

    ``files`` is what ``make`` gave; the result is the two signatures beside them. RuntimeError: gpg failed.
    """
    tarball, _described, sums = files
    signatures = [
        tarball.with_name(f"{tarball.name.removesuffix('.tar.gz')}-MANIFEST.json.asc"),
        sums.with_name("SHA256SUMS.asc"),
    ]
    with tempfile.TemporaryDirectory(prefix="kubelet-certs-") as name:
        manifest = pathlib.Path(name) / "MANIFEST.json"
        manifest.write_bytes(read_members(tarball)["MANIFEST.json"][1])
        for signed, signature in zip((manifest, sums), signatures, strict=True):
            gpg(log, environment, "--local-user", key, "--armor", "--detach-sign", "--output", signature, signed)
    return signatures


def used_with(
    log: Log, tarball: pathlib.Path, signature: pathlib.Path, keyring: pathlib.Path, collections: pathlib.Path
) -> str:
    """What a user's ansible-galaxy says of the tarball: all that ``install`` printed if it failed, else all that ``verify`` did.

    ``install`` gets no keyring: for a tarball it crashes with one (ansible/ansible issue 81597, seen up to ansible-core 2.21).
    """
    folder = user_venv()
    environment = ansible_environment(folder, collections, collections.parent / "home")
    environment["GNUPGHOME"] = str(keyring.parent)
    galaxy = [folder / "bin/ansible-galaxy", "collection"]
    shutil.rmtree(collections, ignore_errors=True)
    install = [*galaxy, "install", tarball, "-p", collections, "--offline"]
    status, output = log.run(install, environment, collections.parent)
    if status or not (collections / IN_COLLECTIONS).exists():
        return output
    verify = [*galaxy, "verify", NAME, "-p", collections, "--offline", "--keyring", keyring]
    verify += ["--signature", signature.as_uri(), "--required-valid-signature-count", "+1"]
    status, output = log.run(verify, environment, collections.parent)
    return output if ("Successfully verified" in output) == (status == 0) else f"ended with {status}"


def summed_with(log: Log, folder: pathlib.Path, environment: dict[str, str]) -> bool:
    """What a user types to check a whole artefact in ``folder``: the signature of ``SHA256SUMS``, then the digests."""
    checks = (
        ["gpg", "--batch", "--verify", "SHA256SUMS.asc", "SHA256SUMS"],
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
    )
    return all(log.run(command, environment, folder)[0] == 0 for command in checks)


def forged(tarball: pathlib.Path, output: pathlib.Path, depth: int) -> pathlib.Path:
    """The tarball with one byte more in a plugin; ``depth`` 2 also fits ``FILES.json`` to it, 3 ``MANIFEST.json`` as well."""
    members = read_members(tarball)
    victim = "plugins/filter/diagnose.py"
    replace(members, victim, members[victim][1] + b"\n")
    if depth >= 2:
        listing = json.loads(members["FILES.json"][1])
        next(entry for entry in listing["files"] if entry["name"] == victim)["chksum_sha256"] = hashlib.sha256(
            members[victim][1]
        ).hexdigest()
        replace(members, "FILES.json", as_json(listing))
    if depth >= 3:
        manifest = json.loads(members["MANIFEST.json"][1])
        manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(members["FILES.json"][1]).hexdigest()
        replace(members, "MANIFEST.json", as_json(manifest))
    output.mkdir(parents=True, exist_ok=True)
    write_members(members, output / tarball.name, commit_time())
    return output / tarball.name


@contextlib.contextmanager
def passing_key(log: Log) -> t.Iterator[tuple[str, dict[str, str], pathlib.Path]]:
    """A key for the tests that is gone afterwards: its address, gpg's environment, and a keyring with the public half alone."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as name:  # a short path: it holds a socket
        home = pathlib.Path(name)
        environment = {**base_environment(), "GNUPGHOME": name}
        key = "tests@kubecare.invalid"
        try:
            gpg(log, environment, "--passphrase", "", "--quick-generate-key", key, "ed25519", "sign", "1d")
            keyring = home / "users" / "keyring.gpg"
            keyring.parent.mkdir(mode=0o700)
            gpg(log, environment, "--export", "--output", keyring, key)
            yield key, environment, keyring
        finally:
            log.run(["gpgconf", "--kill", "all"], environment)


def _has_gpg(log: Log) -> str:
    """Install gpg when it is absent, as root; gives why it could not be."""
    if shutil.which("gpg"):
        return ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return "there is no gpg, and only root can install it"
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "--no-install-recommends", "gnupg"]):
        if log.run(command, {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})[0]:
            return "gpg could not be installed"
    return ""


def act(log: Log) -> Result:
    """The part of ``make test``: the artefact is reproducible, described and signed, and one changed byte is refused."""
    absent = _has_gpg(log)
    if absent:
        return Result(skipped=absent)
    outcomes: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(prefix="kubelet-certs-") as name, passing_key(log) as (key, environment, keyring):
        scratch = pathlib.Path(name)
        files = make(log, scratch / "artefact")
        tarball, described, sums = files
        outcomes["two builds are equal"] = True  # else `make` raised
        digest = sha256(described)
        outcomes["the SBOM is the same a second time"] = sha256(sbom(log, tarball)) == digest
        outcomes.update(described_truly(tarball, described))
        manifest_signature, _sums_signature = sign(log, files, key, environment)
        collections = scratch / "collections"
        said = used_with(log, tarball, manifest_signature, keyring, collections)
        outcomes["the signed tarball installs and verifies"] = "Successfully verified" in said
        outcomes["the signed digests verify"] = summed_with(log, sums.parent, environment)
        for depth, (what, refusal) in enumerate(FORGERIES, 1):
            other = forged(tarball, scratch / f"forged-{depth}", depth)
            said = used_with(log, other, manifest_signature, keyring, collections)
            outcomes[f"{what} changed: ansible-galaxy says so"] = refusal in said and "Successfully" not in said
            for path in (described, sums, sums.with_name("SHA256SUMS.asc")):
                shutil.copy(path, other.parent)
            outcomes[f"{what} changed: SHA256SUMS refuses it"] = not summed_with(log, other.parent, environment)
        with passing_key(log) as (_key, _environment, strangers):
            said = used_with(log, tarball, manifest_signature, strangers, collections)
            outcomes["a stranger's keyring: ansible-galaxy says so"] = "no successful signatures" in said
        sums.write_text(sums.read_text(encoding="utf-8").replace("0", "1", 1), encoding="utf-8")
        outcomes["changed digests: their signature refuses them"] = not summed_with(log, sums.parent, environment)
    for what, good in outcomes.items():
        log.write(f"{'ok' if good else 'WRONG'}: {what}\n")
    return Result(passed=sum(outcomes.values()), failed=len(outcomes) - sum(outcomes.values()))


def described_truly(tarball: pathlib.Path, described: pathlib.Path) -> dict[str, bool]:
    """Whether the SBOM lists just the tarball's files with their digests, the tarball's digest, and each requirement."""
    document = json.loads(described.read_text(encoding="utf-8"))
    listed = {
        entry["name"]: entry["hashes"][0]["content"] for entry in document["components"] if entry["type"] == "file"
    }
    held = {
        name: hashlib.sha256(content).hexdigest()
        for name, (member, content) in read_members(tarball).items()
        if member.isfile()
    }
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = {re.split(r"[<>=!~ ]", line, maxsplit=1)[0] for line in lines if line and not line.startswith("#")}
    libraries = {entry["name"] for entry in document["components"] if entry["type"] == "library"}
    return {
        "the SBOM has each file with its digest": listed == held,
        "the SBOM has the tarball's digest": document["metadata"]["component"]["hashes"][0]["content"]
        == sha256(tarball),
        "the SBOM has each requirement": libraries == wanted | {"ansible-core"},
    }


def main() -> None:
    """Make the artefact in ``build/artefact``, signed with ``KEY`` if that is given. Exits with 1 when something is in the way."""
    log = Log(BUILD / "log" / "artefact.log", shown=True)
    key = os.environ.get("KEY", "")
    differing = uncommitted()
    if differing:
        print(f"The work tree differs from its commit, so this is no release: {', '.join(differing[:5])}")
        if key:
            sys.exit("Not signed: commit first, or put the changes aside.")
    try:
        files = make(log)
        files += sign(log, files, key, dict(os.environ)) if key else []
    except RuntimeError as error:
        sys.exit(str(error))
    print("\n".join(str(path.relative_to(ROOT)) for path in files))
    if not key:
        print("Not signed: KEY=<your key's id> signs it.")


if __name__ == "__main__":
    main()

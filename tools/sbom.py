# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what is in the collection's tarball and what it needs as CycloneDX 1.6. ``python sbom.py TARBALL OUTPUT SECONDS``.

Run by ``tools/release.py`` in an environment that has cyclonedx-python-lib. The same tarball and time (seconds since 1970) give
the same bytes: the serial number is made from the tarball's digest. Exits with 1 when the schema refuses the document.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import pathlib
import re
import sys
import tarfile
import typing as t
import uuid

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

LICENCE = LicenseExpression("GPL-3.0-or-later")
CONSTRAINT = "kubecare:version-constraint"


def sha256(content: bytes) -> HashType:
    """A digest as CycloneDX has it."""
    return HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(content).hexdigest())


def library(name: str, constraint: str) -> Component:
    """Something that is needed at run time but is not in the tarball, so which version it is is the user's choice."""
    return Component(
        name=name,
        type=ComponentType.LIBRARY,
        bom_ref=f"needs:{name}",
        purl=PackageURL("pypi", None, name),
        properties=[Property(name=CONSTRAINT, value=constraint)],
    )


def requirements(files: dict[str, bytes]) -> t.Iterator[Component]:
    """What ``requirements.txt`` and ``meta/runtime.yml`` ask for. ValueError: there is a line that says something else."""
    for line in files["requirements.txt"].decode().splitlines():
        if not line or line.startswith("#"):
            continue
        parts = re.fullmatch(r"([A-Za-z0-9._-]+)((?:[<>=!~]=?[0-9.,<>=!~*]+)?)", line)
        if not parts:
            raise ValueError(f"requirements.txt: {line!r}")
        yield library(parts[1], parts[2])
    ansible = re.search(rb"(?m)^requires_ansible: [\"']?([^\"'\n]+)", files["meta/runtime.yml"])
    if not ansible:
        raise ValueError("meta/runtime.yml: no requires_ansible")
    yield library("ansible-core", ansible[1].decode())


def document(tarball: pathlib.Path, seconds: int) -> Bom:
    """The whole description. ValueError: the tarball does not say what it needs."""
    with tarfile.open(tarball) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        files = {member.name: t.cast("t.IO[bytes]", archive.extractfile(member)).read() for member in members}
    about = json.loads(files["MANIFEST.json"])["collection_info"]
    content = tarball.read_bytes()
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{hashlib.sha256(content).hexdigest()}"))
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    bom.metadata.component = Component(
        name=f"{about['namespace']}.{about['name']}",
        type=ComponentType.LIBRARY,
        bom_ref="collection",
        version=about["version"],
        description=about["description"],
        supplier=OrganizationalEntity(name=about["authors"][0]),
        licenses=[LICENCE],
        hashes=[sha256(content)],
        purl=PackageURL("generic", about["namespace"], about["name"], about["version"]),
    )
    for name, held in files.items():
        bom.components.add(
            Component(
                name=name, type=ComponentType.FILE, bom_ref=f"file:{name}", hashes=[sha256(held)], licenses=[LICENCE]
            )
        )
    needed = list(requirements(files))
    bom.components.update(needed)
    bom.register_dependency(bom.metadata.component, needed)
    return bom


def main() -> None:
    """Write the file, if the schema accepts it."""
    tarball, output, seconds = sys.argv[1:]
    bom = document(pathlib.Path(tarball), int(seconds))
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    refused = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if refused is not None:
        sys.exit(f"CycloneDX 1.6 refuses it: {refused}")
    pathlib.Path(output).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What `make` installs is pinned with checksums, and is what requirements.txt asks for."""

from __future__ import annotations

import re
from pathlib import Path

# Its builds share a version but not their files, see requirements.lock.
WITHOUT_SUM = {"torch"}
PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==(\S+)(?: ; [^\\]+)?")


def locked(repository: Path) -> list[tuple[str, str, list[str]]]:
    """Name, version and checksums of each entry; continued lines are joined."""
    lines = (repository / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    entries = []
    for line in (line for line in lines if not line.startswith("#")):
        pin, *sums = line.split(" --hash=")
        name, version = PIN.fullmatch(pin.strip()).groups()
        entries.append((name, version, [text.strip() for text in sums]))
    return entries


def test_every_package_has_checksums_and_no_line_names_a_place_to_get_it_from(repository: Path) -> None:
    entries = locked(repository)
    assert len(entries) > 50
    assert all(sums and all(re.fullmatch(r"sha256:[0-9a-f]{64}", text) for text in sums) for _, _, sums in entries)


def test_the_lock_file_has_the_versions_of_the_direct_dependencies(repository: Path) -> None:
    asked = re.findall(r"^([a-z][\w.-]*)==(\S+)", (repository / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    pinned = {(name, version) for name, version, _ in locked(repository)}
    assert {name for name, _ in asked} >= WITHOUT_SUM
    assert {pair for pair in asked if pair[0] not in WITHOUT_SUM} <= pinned

"""Judges whether this commit can be released as a version, and tags it. Nothing leaves this machine.

    python .ci/release.py check 1.2.3    whether code, changelog and git agree
    python .ci/release.py tag 1.2.3      that again; checksums of what dist/ holds, and the tag v1.2.3

Exit code: 1, and each reason in a line, if it cannot be.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

BUILT = (
    "mi300x_exporter-{}.tar.gz",
    "mi300x_exporter-{}-*.whl",
    "mi300x-exporter_{}-*.deb",
    "mi300x-exporter-report_{}-*.deb",
)
_CODE = Path("exporter/__init__.py")
_CHANGELOG = Path("CHANGELOG.md")
_DIST = Path("dist")


def faults(version: str) -> list[str]:
    """Returns all that is in the way of a release."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [f"VERSION: expected three numbers such as 1.2.3, found {version!r}"]
    found = []
    if (told := _version_of_code()) != version:
        found.append(f"{_CODE}: __version__ is {told!r}, not {version!r}")
    heading, news = _latest()
    dated = re.fullmatch(rf"{re.escape(version)} \((\S+)\)", heading)
    if dated is None or not _is_date(dated[1]):
        found.append(f"{_CHANGELOG}: the first heading must be `## {version} (YYYY-MM-DD)`, found `## {heading}`")
    if not news:
        found.append(f"{_CHANGELOG}: nothing stands below `## {heading}`")
    if changed := _git("status", "--porcelain"):
        found.append(f"git: not committed: {', '.join(line[3:] for line in changed.splitlines())}")
    if _git("tag", "--list", f"v{version}"):
        found.append(f"git: the tag v{version} is there already")
    return found


def tag(version: str) -> list[str]:
    """Writes checksums and sets the tag, whose message is the changelog's; or returns what was not built."""
    files = {pattern: sorted(_DIST.glob(pattern.format(version))) for pattern in BUILT}
    if missing := [pattern.format(version) for pattern, there in files.items() if not there]:
        return [f"{_DIST}: {pattern} is missing: make test-packages" for pattern in missing]
    sums = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for there in files.values() for file in there
    ]
    (_DIST / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")
    message = f"mi300x-exporter {version}\n\n{_latest()[1]}\n"
    _git("tag", "--annotate", "--cleanup=verbatim", "--file=-", f"v{version}", message=message)
    print(*sums, f"tagged v{version}; to publish it: git push origin v{version}", sep="\n")
    return []


def _version_of_code() -> str:
    found = re.search(r'^__version__ = "(.*)"$', _CODE.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def _latest() -> tuple[str, str]:
    """Returns the first heading of the changelog, and what stands below it."""
    _, *sections = re.split(r"^## ", _CHANGELOG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    heading, _, news = (sections or [""])[0].partition("\n")
    return heading.strip(), news.strip()


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _git(*command: str, message: str = "") -> str:
    return subprocess.run(["git", *command], input=message, capture_output=True, text=True, check=True).stdout.rstrip()


def main() -> None:
    """Does what the command line says."""
    action, version = sys.argv[1:]
    found = faults(version) or (tag(version) if action == "tag" else [])
    for fault in found:
        print(fault)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

"""Looks up pinned requirements with pip-audit; where there is no way to the advisories it says so.

    python .ci/audit.py requirements.txt …

Exit code 1: a version has a known hole.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def holes(requirements: Path) -> list[str] | None:
    """Returns what is known against pinned versions, one line each; None if nobody could be asked.

    Args:
        requirements: Each line is `name==version`.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(requirements)),
            *("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip-audit said nothing")
        return None
    if all("skip_reason" in one for one in found):
        return None
    return [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for one in found
        for hole in one.get("vulns", ())
    ]


def main() -> None:
    """Audits the lists that the command line names."""
    is_sound = True
    for path in map(Path, sys.argv[1:]):
        known = holes(path)
        if known is None:
            print(f"{path.name}: NOT AUDITED: no advisories can be had from here")
            continue
        print(f"{path.name}: {len(known)} known holes")
        for line in known:
            print(f"  {line}")
        is_sound = is_sound and not known
    sys.exit(not is_sound)


if __name__ == "__main__":
    main()

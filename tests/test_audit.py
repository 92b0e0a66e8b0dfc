"""`make audit`, with a stand-in for pip-audit, which needs the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "audit.py"
HOLE = {"name": "aiohttp", "version": "3.9.0", "vulns": [{"id": "CVE-2026-69244", "fix_versions": ["3.14.3"]}]}
SOUND = {"name": "click", "version": "8.1.0", "vulns": []}
SKIPPED = {"name": "click", "skip_reason": "not to be had"}


@pytest.mark.parametrize(
    ("dependencies", "code", "words"),
    [
        ([SOUND, HOLE], 1, "aiohttp 3.9.0: CVE-2026-69244, mended in 3.14.3"),
        ([SOUND], 0, "lowest.txt: 0 known holes"),
        ([SKIPPED], 0, "lowest.txt: NOT AUDITED"),
        (None, 0, "lowest.txt: NOT AUDITED"),
    ],
)
def test_a_known_hole_fails_and_advisories_that_cannot_be_had_are_said(
    dependencies: list[dict[str, Any]] | None, code: int, words: str, tmp_path: Path
) -> None:
    answer = "no route" if dependencies is None else json.dumps({"dependencies": dependencies})
    (tmp_path / "pip_audit.py").write_text(f"print({answer!r})")
    (requirements := tmp_path / "lowest.txt").touch()
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(requirements)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert words in done.stdout

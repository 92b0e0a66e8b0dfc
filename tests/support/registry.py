"""How pip is set up on this machine, for a pip elsewhere: where it asks, and whom it trusts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.debian import run

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def demand() -> None:
    """Returns if pip gets packages here.

    Raises:
        UnavailableError: It does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--retries", "1")
        run(*pip, "--dest", folder, "amdsmi")


def setting(name: str) -> str | None:
    """Returns a setting of pip such as `index-url`, of its variable or its files."""
    if value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}"):
        return value
    command = (sys.executable, "-m", "pip", "config", "get", f"global.{name}")
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else None


def certificates() -> Path:
    """Returns the file of those that pip trusts here; /dev/null where it trusts its own."""
    return next(path for path in (Path(setting("cert") or "/"), _CERTIFICATES, Path("/dev/null")) if not path.is_dir())


def configuration(certificates: str) -> str:
    """Returns a pip.conf that asks as this machine does, and trusts this file."""
    known = {name: setting(name) for name in ("index-url", "trusted-host")} | {"cert": certificates}
    return "\n".join(["[global]", *(f"{name} = {value}" for name, value in known.items() if value), ""])

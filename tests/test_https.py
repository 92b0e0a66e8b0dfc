from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.certificates import self_signed

_TRUSTED = "+".join(f"len(aiohttp.connector._SSL_CONTEXT_{kind}.get_ca_certs())" for kind in ("VERIFIED", "UNVERIFIED"))


def test_the_imports_of_a_report_read_no_certificates(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path).with_suffix(".crt")
    for imports, count in ("exporter.report.command, aiohttp", "0"), ("aiohttp", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", f"import {imports}; print({_TRUSTED})"],
            env=os.environ | {"SSL_CERT_FILE": str(certificate)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert printed.strip() == count

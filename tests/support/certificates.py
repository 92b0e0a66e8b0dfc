"""A certificate that no authority of the system signed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.https import system_trust

_COMMAND = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=stand-in"


def self_signed(directory: Path) -> Path:
    """Returns a file of a key and a certificate for 127.0.0.1; beside it, as `.crt`, is the latter alone."""
    path = directory / "server.pem"
    certificate = path.with_suffix(".crt")
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(certificate)]
    subprocess.run([*_COMMAND.split(), *names], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + certificate.read_bytes())
    return path


@contextmanager
def trusting(certificate: Path) -> Iterator[None]:
    """Meanwhile the system has no other authority than who signed this certificate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
        system_trust.cache_clear()
        try:
            yield
        finally:
            system_trust.cache_clear()

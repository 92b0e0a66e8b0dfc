"""Certificates: those of an authority of its own, as a service is given them, and one that nobody signed."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from exporter.https import system_trust

_COMMAND = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=stand-in"


@dataclass
class Files:
    """A certification authority, and the files a service is given."""

    directory: Path
    ca: trustme.CA

    @property
    def cert(self) -> Path:
        return self.directory / "cert.pem"

    @property
    def key(self) -> Path:
        return self.directory / "key.pem"

    @property
    def client_ca(self) -> Path:
        return self.directory / "ca.pem"

    def issue(self, ca: trustme.CA | None = None) -> None:
        """Puts a new certificate in place, as a renewal does."""
        leaf = (ca or self.ca).issue_cert("127.0.0.1")
        replace(self.cert, leaf.cert_chain_pems[0].bytes())
        replace(self.key, leaf.private_key_pem.bytes())

    def listen(self, *, client_ca: bool = False) -> dict[str, str]:
        keys = {"tls_cert": str(self.cert), "tls_key": str(self.key)}
        return keys | ({"client_ca": str(self.client_ca)} if client_ca else {})

    def client(self, ca: trustme.CA | None = None, leaf: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """A client that trusts `ca`, by default this one, and shows `leaf`."""
        context = ssl.create_default_context()
        (ca or self.ca).configure_trust(context)
        if leaf is not None:
            leaf.configure_cert(context)
        return context


def replace(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
        return
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.chmod(0o600)
    new.replace(path)


def made(directory: Path) -> Files:
    """Files with a certificate of 127.0.0.1."""
    files = Files(directory, trustme.CA())
    files.issue()
    files.ca.cert_pem.write_to_path(files.client_ca)
    return files


def self_signed(directory: Path) -> Path:
    """Returns a file of a key and a certificate for 127.0.0.1 of no authority; as `.crt` beside it the latter alone."""
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

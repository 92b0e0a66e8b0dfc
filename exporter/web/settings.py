"""What a web server is told, wherever it was said: in the config, on the command line, in a web configuration file."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from exporter.config import Listen
from exporter.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, and which settings say so."""

    host: str
    port: int
    """0: any that is free."""
    host_setting: str
    port_setting: str

    @property
    def own_host(self) -> str:
        """Where this machine itself reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104  only compared

    @property
    def own_place(self) -> str:
        """The same with its port, as a URL has them."""
        return f"[{self.own_host}]:{self.port}" if ":" in self.own_host else f"{self.own_host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate or key, in a file or given as it is."""

    setting: str
    """The key that gives it, for messages."""
    source: Path | SecretStr
    where: str = ""
    """The file that has the key, for messages; empty: the config."""

    def __str__(self) -> str:
        """Returns how to speak of it without repeating it."""
        return str(self.source) if isinstance(self.source, Path) else "the text given"

    @property
    def path(self) -> Path | None:
        """The file; None where it is given as text."""
        return self.source if isinstance(self.source, Path) else None

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Gives a file that OpenSSL can read; of a text one in memory, which nobody else can open."""
        if isinstance(self.source, Path):
            yield self.source
            return
        descriptor = os.memfd_create(self.setting)
        try:
            os.write(descriptor, self.source.get_secret_value().encode())
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)

    def fault(self, words: str) -> ConfigError:
        """Returns the error that says what is wrong with it."""
        return ConfigError(f"{self.setting}: {words}", where=self.where)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How connections are encrypted, and which clients get one."""

    cert: Pem
    key: Pem
    client_ca: Pem | None = None
    clients: ssl.VerifyMode = ssl.CERT_NONE
    """Whether a client must, may or need not show a certificate that `client_ca` signed."""
    names: frozenset[str] = frozenset()
    """Of which the certificate of a client has to bear one as subject alternative name; empty: any."""
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str | None = None
    """Of TLS 1.2, as OpenSSL names them; None: its own choice."""
    prefers_own: bool = True
    """Whether the order of the ciphers here counts, and not the client's."""
    curve: str | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `burst` requests at once, and one more after each `interval` (seconds)."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where and how to answer."""

    addresses: tuple[Address, ...]
    tls: TlsSettings | None = None
    users: Mapping[str, SecretStr] = field(default_factory=dict)
    """bcrypt hashes by name; empty: no password is asked for."""
    users_setting: str = ""
    """The key that gives the users, for messages."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Set on every answer; an empty one is taken off it."""
    rate_limit: RateLimit | None = None


def of_section(listen: Listen, section: str = "listen") -> WebSettings:
    """Returns what a section of the config says, which messages then name."""
    tls = None
    if listen.tls_cert is not None and listen.tls_key is not None:
        client_ca = None if listen.client_ca is None else Pem(f"{section}.client_ca", listen.client_ca)
        tls = TlsSettings(
            Pem(f"{section}.tls_cert", listen.tls_cert),
            Pem(f"{section}.tls_key", listen.tls_key),
            client_ca,
            ssl.CERT_NONE if client_ca is None else ssl.CERT_REQUIRED,
        )
    return WebSettings(
        (Address(listen.host, listen.port, f"{section}.host", f"{section}.port"),),
        tls,
        listen.basic_auth,
        f"{section}.basic_auth",
    )

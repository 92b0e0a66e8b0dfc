"""TLS from files that may be renewed while the service runs."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final, NoReturn

from exporter.config import Listen
from exporter.errors import ConfigError

_log = logging.getLogger(__name__)

_OTHERS_MAY_READ: Final = 0o004


class Tls:
    """The context for new connections: always that of the newest usable files.

    Asking for the context stats the files, so a renewed certificate serves the next connection without a signal or
    a timer. Files that are not usable leave the last good context in place.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None, section: str) -> None:
        """Reads the files.

        Args:
            cert: PEM, the server's certificate first, then its intermediates.
            key: PEM, not encrypted.
            client_ca: PEM; clients must then show a certificate that one of these signed.
            section: The section of the config that names them, for messages.

        Raises:
            ConfigError: naming the file and its fault.
        """
        self._cert = cert
        self._key = key
        self._client_ca = client_ca
        self._section = section
        self._stamp = self._look()
        self._context = self._loaded()
        if key.stat().st_mode & _OTHERS_MAY_READ:
            _log.warning("%s.tls_key: every user of this machine can read %s; chmod 640 it", section, key)

    @classmethod
    def of(cls, settings: Listen, section: str = "listen") -> Tls | None:
        """TLS as the config asks for it, None if it does not."""
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        return cls(settings.tls_cert, settings.tls_key, settings.client_ca, section)

    @property
    def context(self) -> ssl.SSLContext:
        """The newest usable one."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            self._context = self._loaded()
        except ConfigError as error:
            _log.warning("%s; the certificate read before stays in use", error)
        else:
            _log.info("the TLS files have changed, new connections use them")

    def _loaded(self) -> ssl.SSLContext:
        return _load(self._cert, self._key, self._client_ca, self._section)

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What changes whenever one of the files does."""
        return tuple(_stamp(path) for path in (self._cert, self._key, self._client_ca) if path is not None)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _load(cert: Path, key: Path, client_ca: Path | None, section: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _check_certificates(f"{section}.tls_cert", cert)
    try:
        context.load_cert_chain(cert, key, password=lambda: _refuse_encrypted(key, section))
    except ssl.SSLError as error:
        fault = (
            "is not the key of the certificate" if error.reason == "KEY_VALUES_MISMATCH" else "has no usable PEM key"
        )
        raise ConfigError(f"{section}.tls_key: {key} {fault} in {cert} ({error.reason or error})") from error
    except OSError as error:
        raise ConfigError(f"{section}.tls_key: cannot read {key}: {error.strerror}") from error
    if client_ca is not None:
        _check_certificates(f"{section}.client_ca", client_ca)
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _check_certificates(setting: str, path: Path) -> None:
    """OpenSSL's errors do not name the file; a context of its own for each does."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(f"{setting}: {path} has no usable PEM certificate ({error.reason or error})") from error
    except OSError as error:
        raise ConfigError(f"{setting}: cannot read {path}: {error.strerror}") from error


def _refuse_encrypted(key: Path, section: str) -> NoReturn:
    """Stands in for OpenSSL's own prompt, which would wait at the terminal for ever."""
    raise ConfigError(f"{section}.tls_key: {key} is encrypted, and a service has nobody to ask; give it a plain key")

"""TLS from files that may be renewed while the service runs."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from exporter.errors import ConfigError
from exporter.web.settings import Pem, TlsSettings

_log = logging.getLogger(__name__)

_OTHERS_MAY_READ: Final = 0o004


class Tls:
    """The context for new connections: always that of the newest usable files.

    Asking for the context stats the files, so a renewed certificate serves the next connection without a signal or
    a timer. Files that are not usable leave the last good context in place.
    """

    def __init__(self, settings: TlsSettings) -> None:
        """Reads the files.

        Args:
            settings: Its certificate is PEM, the server's first, then its intermediates; its key PEM, not encrypted.

        Raises:
            ConfigError: naming the file and its fault.
        """
        self._settings = settings
        self._stamp = self._look()
        self._context = _loaded(settings)
        path = settings.key.path
        if path is not None and path.stat().st_mode & _OTHERS_MAY_READ:
            _log.warning("%s: every user of this machine can read %s; chmod 640 it", settings.key.setting, path)

    def admits(self, certificate: Mapping[str, object]) -> bool:
        """Returns whether a client may stay that has shown this certificate, as `SSLSocket.getpeercert` tells it."""
        names = certificate.get("subjectAltName", ())
        assert isinstance(names, tuple)
        return not self._settings.names or any(name in self._settings.names for _, name in names)

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
            self._context = _loaded(self._settings)
        except ConfigError as error:
            _log.warning("%s; the certificate read before stays in use", error)
        else:
            _log.info("the TLS files have changed, new connections use them")

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What changes whenever one of the files does."""
        given = (self._settings.cert, self._settings.key, self._settings.client_ca)
        return tuple(_stamp(pem.path) for pem in given if pem is not None and pem.path is not None)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _loaded(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version, context.maximum_version = settings.minimum, settings.maximum
    _check_certificates(settings.cert)
    _load_chain(context, settings.cert, settings.key)
    if settings.client_ca is not None:
        _check_certificates(settings.client_ca)
        with settings.client_ca.file() as file:
            context.load_verify_locations(file)
        context.verify_mode = settings.clients
    if settings.ciphers is not None:
        context.set_ciphers(settings.ciphers)
    if not settings.prefers_own:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if settings.curve is not None:
        context.set_ecdh_curve(settings.curve)
    return context


def _load_chain(context: ssl.SSLContext, cert: Pem, key: Pem) -> None:
    try:
        with cert.file() as cert_file, key.file() as key_file:
            context.load_cert_chain(cert_file, key_file, password=lambda: _refuse_encrypted(key))
    except ssl.SSLError as error:
        fault = (
            "is not the key of the certificate" if error.reason == "KEY_VALUES_MISMATCH" else "has no usable PEM key"
        )
        raise key.fault(f"{key} {fault} in {cert} ({error.reason or error})") from error
    except OSError as error:
        raise key.fault(f"cannot read {key}: {error.strerror}") from error


def _check_certificates(pem: Pem) -> None:
    """OpenSSL's errors do not name the file; a context of its own for each does."""
    try:
        with pem.file() as file:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file)
    except ssl.SSLError as error:
        raise pem.fault(f"{pem} has no usable PEM certificate ({error.reason or error})") from error
    except OSError as error:
        raise pem.fault(f"cannot read {pem}: {error.strerror}") from error


def _refuse_encrypted(key: Pem) -> NoReturn:
    """Stands in for OpenSSL's own prompt, which would wait at the terminal for ever."""
    raise key.fault(f"{key} is encrypted, and a service has nobody to ask; give it a plain key")

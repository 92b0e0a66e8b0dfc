"""The web configuration file that Prometheus' exporters share (exporter-toolkit's web-configuration.md).

What it asks for is done, or refused with the key: nothing is passed over.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from exporter.config.reading import checked, read
from exporter.config.sections import Section
from exporter.config.values import PasswordHash, expected
from exporter.web.settings import Pem, RateLimit, TlsSettings

_CIPHERS: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""OpenSSL's names of what Go's crypto/tls lists as CipherSuites() up to TLS 1.2."""
_CIPHERS_OF_1_3: Final = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
"""May be listed; as in Go they are always offered, for `cipher_suites` is about the versions before."""
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CURVES: Final = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_CLIENTS: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_GO_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART: Final = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(sorted(_GO_UNITS, key=len, reverse=True))})")


def _cipher(value: str) -> str:
    if value not in _CIPHERS and value not in _CIPHERS_OF_1_3:
        raise expected("the name of a cipher suite as Go's tls.CipherSuites() has it, with ECDHE")
    return value


def _client_auth(value: str) -> str:
    if value in {"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"}:
        raise expected("RequireAndVerifyClientCert or VerifyClientCertIfGiven: no certificate is taken unverified here")
    if value not in _CLIENTS:
        raise expected(" or ".join(_CLIENTS))
    return value


def _version(value: str) -> str:
    if value not in _VERSIONS:
        raise expected("TLS12 or TLS13: no other version is spoken here")
    return value


def _only_http1(value: bool) -> bool:
    if value:
        raise expected("false: HTTP/2 is not spoken here, and Prometheus scrapes over HTTP/1.1 as well")
    return value


def _header_value(value: str) -> str:
    if not value.isascii() or (value and not value.isprintable()):
        raise expected("one line of printable ASCII")
    return value


def _go_duration(value: object) -> float:
    """Returns the seconds of `1s`, `1m30s` and the like."""
    if value in {0, "0"}:
        return 0.0
    parts = _GO_PART.findall(value) if isinstance(value, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise expected("a duration such as 1s or 1m30s")
    return sum(float(number) * _GO_UNITS[unit] for number, unit in parts)


_Header = Annotated[str, AfterValidator(_header_value)]


class _Tls(Section):
    cert: SecretStr | None = None
    key: SecretStr | None = None
    client_ca: SecretStr | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    client_auth_type: Annotated[str, AfterValidator(_client_auth)] = "NoClientCert"
    client_allowed_sans: list[str] = Field(default_factory=list)
    min_version: Annotated[str, AfterValidator(_version)] = "TLS12"
    max_version: Annotated[str, AfterValidator(_version)] = "TLS13"
    cipher_suites: list[Annotated[str, AfterValidator(_cipher)]] = Field(default_factory=list)
    prefer_server_cipher_suites: bool = True
    curve_preferences: list[Literal["CurveP256", "CurveP384", "CurveP521", "X25519"]] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, found: Any) -> Any:
        """An empty value is none, as in Go; templates write such."""
        return (
            {key: value for key, value in found.items() if value not in ("", None)}
            if isinstance(found, dict)
            else found
        )

    @model_validator(mode="after")
    def _complete(self) -> _Tls:
        for text, file in (("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")):
            if getattr(self, text) is not None and getattr(self, file) is not None:
                raise expected(f"either {text} or {file}")
        has_cert, has_key, has_ca = (
            getattr(self, name) is not None or getattr(self, f"{name}_file") is not None
            for name in ("cert", "key", "client_ca")
        )
        if not (has_cert and has_key) and self.model_fields_set:
            raise expected("cert_file and key_file (or cert and key), without which there is no TLS")
        if has_ca == (self.client_auth_type == "NoClientCert"):
            raise expected("client_ca_file together with a client_auth_type that verifies, or neither")
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise expected("client_allowed_sans only with client_auth_type RequireAndVerifyClientCert")
        if _VERSIONS[self.min_version] > _VERSIONS[self.max_version]:
            raise expected("min_version up to max_version")
        if len(self.curve_preferences) > 1:
            raise expected("at most one of curve_preferences: Python's TLS takes one, or chooses itself")
        return self


class _Headers(Section):
    content_security_policy: _Header | None = Field(default=None, alias="Content-Security-Policy")
    x_frame_options: Literal["deny", "sameorigin", ""] | None = Field(default=None, alias="X-Frame-Options")
    x_content_type_options: Literal["nosniff", ""] | None = Field(default=None, alias="X-Content-Type-Options")
    x_xss_protection: _Header | None = Field(default=None, alias="X-XSS-Protection")
    strict_transport_security: _Header | None = Field(default=None, alias="Strict-Transport-Security")


class _Http(Section):
    http2: Annotated[bool, AfterValidator(_only_http1)] = False
    headers: _Headers = _Headers()


class _Rate(Section):
    interval: Annotated[float, BeforeValidator(_go_duration)] = 0.0
    burst: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _lets_pass(self) -> _Rate:
        if self.interval and not self.burst:
            raise expected("burst of 1 at least beside interval: with 0 no request is answered")
        return self


class _File(Section):
    tls_server_config: _Tls = _Tls()
    http_server_config: _Http = _Http()
    basic_auth_users: dict[str, PasswordHash] = Field(default_factory=dict)
    rate_limit: _Rate = _Rate()


class WebConfigFile:
    """What such a file says.

    Args:
        path: The file; paths in it are relative to its folder.

    Raises:
        ConfigError: naming file and key of what cannot be read, or cannot be given.
    """

    def __init__(self, path: Path) -> None:
        where = str(path)
        known = "exporter-toolkit's web-configuration.md and docs/security.md show every key"
        self._path = path
        self._file = checked(_File, read(path), where=where, help_for_unknown=known)
        self.users = self._file.basic_auth_users
        self.users_setting = f"{where}: basic_auth_users"
        given = self._file.http_server_config.headers.model_dump(by_alias=True, exclude_none=True)
        self.headers: dict[str, str] = given
        limit = self._file.rate_limit
        self.rate_limit = RateLimit(limit.interval, limit.burst) if limit.interval else None

    @property
    def tls(self) -> TlsSettings | None:
        """What it says of TLS; None if nothing."""
        given = self._file.tls_server_config
        cert, key = self._pem("cert"), self._pem("key")
        if cert is None or key is None:
            return None
        ciphers = [_CIPHERS[name] for name in given.cipher_suites if name in _CIPHERS]
        # A list of suites of 1.3 alone leaves none to the versions before it.
        only_1_3 = given.cipher_suites and not ciphers
        return TlsSettings(
            cert,
            key,
            self._pem("client_ca"),
            _CLIENTS[given.client_auth_type],
            frozenset(given.client_allowed_sans),
            ssl.TLSVersion.TLSv1_3 if only_1_3 else _VERSIONS[given.min_version],
            _VERSIONS[given.max_version],
            ":".join(ciphers) or None,
            given.prefer_server_cipher_suites,
            next((_CURVES[name] for name in given.curve_preferences), None),
        )

    def _pem(self, name: str) -> Pem | None:
        given, setting = self._file.tls_server_config, f"tls_server_config.{name}"
        if (file := getattr(given, f"{name}_file")) is not None:
            return Pem(f"{setting}_file", self._path.parent / file, str(self._path))
        text = getattr(given, name)
        return None if text is None else Pem(setting, text, str(self._path))

"""What an operator writes for all exporters: the web configuration file, and addresses."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config import Listen
from exporter.errors import ConfigError, UsageError
from exporter.web.flags import WebFlags, address
from exporter.web.tls import Tls
from exporter.web.toolkit import _File
from tests.fuzz.fuzzing import TEXTS, documents, mutated, reads_or_refuses

WHOLE = b"""
tls_server_config: {cert_file: a.pem, key_file: a.key, client_ca_file: ca.pem, min_version: TLS12, max_version: TLS13,
  client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a], prefer_server_cipher_suites: true,
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], curve_preferences: [X25519]}
http_server_config: {http2: false, headers: {X-Frame-Options: deny}}
rate_limit: {interval: 1m30s, burst: 20}
basic_auth_users: {a: "$2y$05$GPjKdF2i1iJX1Lle6hSAaelOCmz1E6Ek4On4V1BnmSyqb7YHsrR8S"}
"""
TOKENS = [b"''", b"null", b"[]", b"{}", b"cert: a", b"TLS10", b"0", b"1e999", b"9" * 400 + b"h", b"\\0", b"*a", b"&a "]
PARTS = _File.model_fields
KEYS = [*PARTS, *(key for part in PARTS.values() for key in getattr(part.annotation, "model_fields", ()))]


@given(
    mutated([WHOLE], TOKENS) | documents(*KEYS).map(lambda found: yaml.dump(found).encode()) | st.binary(max_size=50)
)
@example(WHOLE)
@reads_or_refuses(ConfigError)
def test_web_configuration_files(content: bytes) -> None:
    with TemporaryDirectory() as name:
        file = Path(name, "web.yml")
        file.write_bytes(content)
        settings = WebFlags(file=file).settings(Listen())
        if settings.tls is not None:
            with contextlib.suppress(ConfigError):
                Tls(settings.tls)
        for text in settings.headers.values():
            text.encode("ascii")


@given(TEXTS | st.from_regex(r"\[?[0-9a-z.:%]*\]?:[0-9]{1,6}", fullmatch=True))
@reads_or_refuses(UsageError)
def test_listen_addresses(text: str) -> None:
    assert 0 <= address(text).port <= 65535

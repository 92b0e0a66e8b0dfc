from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from exporter.errors import ConfigError
from exporter.web import listener
from tests.support.certificates import Files, made, replace
from tests.support.endpoint import GET_METRICS, METRICS, Endpoint, answered, endpoint, settings, until_closed

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return made(tmp_path)


async def serial(served: Endpoint, client: ssl.SSLContext) -> str:
    """The serial number of the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=client)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return str(certificate["serialNumber"])


async def test_metrics_over_tls(files: Files) -> None:
    async with endpoint(**files.listen()) as served:
        assert served.server.url == f"https://127.0.0.1:{served.port}/"
        answer = await served.get("/metrics", tls=files.client(), headers={"Accept-Encoding": "identity"})
        assert answer.body == METRICS


async def test_tls_1_1_is_refused(files: Files) -> None:
    async with endpoint(**files.listen()) as served:
        client = files.client()
        client.set_ciphers("DEFAULT@SECLEVEL=0")
        client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            client.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(aiohttp.ClientConnectorError):
            await served.get("/metrics", tls=client)
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (await served.get("/metrics", tls=client)).status == 200


@pytest.mark.parametrize("sent", [GET_METRICS, b"\x16\x03\x01garbage" * 100])
async def test_what_is_not_tls_gets_nothing_and_harms_nobody(
    files: Files, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with endpoint(**files.listen()) as served:
        assert METRICS not in await served.send(sent)
        assert (await served.get("/metrics", tls=files.client())).status == 200
    assert caplog.records == []


async def test_handshakes_that_never_come_are_bounded_and_displaced(files: Files) -> None:
    async with endpoint(**files.listen()) as served, contextlib.AsyncExitStack() as flood:
        for _ in range(2 * listener.MAX_CONNECTIONS):
            await flood.enter_async_context(served.connected())
        assert (await served.get("/metrics", tls=files.client())).status == 200
        assert len(served.server._listener._clients) <= listener.MAX_CONNECTIONS  # type: ignore[union-attr]


async def test_a_handshake_that_stalls_is_given_up(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_HANDSHAKE_SECONDS", 0.1)
    async with endpoint(**files.listen()) as served:
        assert await served.send(b"\x16\x03\x01") == b""


async def test_stop_does_not_wait_for_a_stalled_handshake(files: Files) -> None:
    async with endpoint(**files.listen()) as served, contextlib.AsyncExitStack() as stack:
        reader, _ = await stack.enter_async_context(served.connected())
        assert (await served.get("/metrics", tls=files.client())).status == 200
        await served.server.stop()
        assert await until_closed(reader) == b""


Issue = Callable[[trustme.CA], trustme.LeafCert | None]
BAD_CLIENTS: dict[str, Issue] = {
    "none": lambda _: None,
    "of another authority": lambda _: trustme.CA().issue_cert("prometheus.test"),
    "expired": lambda ca: ca.issue_cert("prometheus.test", not_before=_now() - 2 * HOUR, not_after=_now() - HOUR),
    "not yet valid": lambda ca: ca.issue_cert("prometheus.test", not_before=_now() + HOUR, not_after=_now() + 2 * HOUR),
}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("issue", BAD_CLIENTS.values(), ids=BAD_CLIENTS.keys())
async def test_client_certificates_that_do_not_hold_are_refused(
    files: Files, issue: Issue, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    async with endpoint(**files.listen(client_ca=True)) as served:
        client = files.client(leaf=issue(files.ca))
        client.maximum_version = version
        with pytest.raises(aiohttp.ClientError):
            await served.get("/metrics", tls=client)
        good = files.client(leaf=files.ca.issue_cert("prometheus.test"))
        good.maximum_version = version
        assert (await served.get("/metrics", tls=good)).status == 200
    assert len(served.accepts) == 1
    assert caplog.records == []


async def test_a_renewed_certificate_serves_the_next_connection(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="exporter")
    async with endpoint(**files.listen()) as served:
        before = await serial(served, files.client())
        assert await serial(served, files.client()) == before
        files.issue()
        after = await serial(served, files.client())
        assert after != before
        assert await serial(served, files.client()) == after
    assert [record.levelname for record in caplog.records] == ["INFO"]


async def test_open_connections_outlive_a_renewal(files: Files) -> None:
    async with endpoint(**files.listen()) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=files.client())
        files.issue()
        await serial(served, files.client())
        writer.write(GET_METRICS)
        assert (await answered(reader)).endswith(METRICS)
        writer.close()
        await writer.wait_closed()


async def test_a_broken_renewal_keeps_the_old_certificate_and_is_logged_once(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    async with endpoint(**files.listen()) as served:
        before = await serial(served, files.client())
        replace(files.cert, b"truncated")
        assert [await serial(served, files.client()) for _ in range(3)] == [before] * 3
        assert len(caplog.records) == 1
        assert f"{files.cert} has no usable PEM certificate" in caplog.text
        files.cert.unlink()
        assert await serial(served, files.client()) == before
        assert len(caplog.records) == 2
        files.issue()
        assert await serial(served, files.client()) != before


async def test_a_renewed_client_ca_counts_for_the_next_connection(files: Files) -> None:
    async with endpoint(**files.listen(client_ca=True)) as served:
        client = files.client(leaf=files.ca.issue_cert("prometheus.test"))
        assert (await served.get("/metrics", tls=client)).status == 200
        replace(files.client_ca, trustme.CA().cert_pem.bytes())
        with pytest.raises(aiohttp.ClientError):
            await served.get("/metrics", tls=client)


async def test_tls_turned_on_ends_the_open_connections_without_it(files: Files) -> None:
    async with endpoint() as served, served.connected() as (reader, writer):
        writer.write(GET_METRICS)
        await answered(reader)
        served.server.apply(settings(**files.listen()))
        assert await until_closed(reader) == b""
        assert (await served.get("/metrics", tls=files.client())).status == 200


async def test_a_handshake_under_way_does_not_escape_new_settings(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_HANDSHAKE_SECONDS", 1000.0)
    async with endpoint(**files.listen()) as served, served.connected() as (reader, writer):
        writer.write(b"\x16\x03\x01")
        await serial(served, files.client())
        served.server.apply(settings(**files.listen(client_ca=True)))
        assert await until_closed(reader) == b""


async def test_settings_with_a_bad_file_change_nothing(files: Files) -> None:
    async with endpoint(**files.listen()) as served:
        bad = settings(tls_cert=str(files.cert), tls_key="/nowhere", basic_auth={"u": "$2b$05$" + "." * 53})
        with pytest.raises(ConfigError, match="/nowhere"):
            served.server.apply(bad)
        assert (await served.get("/metrics", tls=files.client())).status == 200


def _encrypted() -> bytes:
    pem = trustme.CA().issue_cert("127.0.0.1").private_key_pem.bytes()
    key = serialization.load_pem_private_key(pem, None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )


BAD_FILES: dict[str, tuple[str, Callable[[], bytes | None], str]] = {
    "no certificate": ("cert", lambda: None, "listen.tls_cert: cannot read {}: No such file"),
    "empty certificate": ("cert", lambda: b"", "listen.tls_cert: {} has no usable PEM certificate"),
    "noise for a certificate": ("cert", lambda: os.urandom(999), "listen.tls_cert: {} has no usable PEM certificate"),
    "no key": ("key", lambda: None, "listen.tls_key: cannot read {}: No such file"),
    "noise for a key": ("key", lambda: os.urandom(999), "listen.tls_key: {} has no usable PEM key"),
    "the key of another": (
        "key",
        trustme.CA().issue_cert("127.0.0.1").private_key_pem.bytes,
        "listen.tls_key: {} is not the key of the certificate",
    ),
    "an encrypted key": ("key", _encrypted, "listen.tls_key: {} is encrypted"),
    "no client_ca": ("client_ca", lambda: None, "listen.client_ca: cannot read {}: No such file"),
    "noise for a client_ca": ("client_ca", lambda: b"x", "listen.client_ca: {} has no usable PEM certificate"),
}


@pytest.mark.parametrize(("which", "content", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
async def test_a_bad_file_is_named_with_its_fault(
    files: Files, which: str, content: Callable[[], bytes | None], words: str
) -> None:
    path: Path = getattr(files, which)
    replace(path, content())
    with pytest.raises(ConfigError) as caught:
        async with endpoint(**files.listen(client_ca=True)):
            pass
    assert words.format(path) in str(caught.value)


async def test_a_key_that_everybody_can_read_is_warned_of(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    files.key.chmod(0o644)
    async with endpoint(**files.listen()):
        assert f"every user of this machine can read {files.key}" in caplog.text

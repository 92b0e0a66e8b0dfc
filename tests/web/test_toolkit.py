"""The web configuration file of exporter-toolkit: what it asks for is done or refused, never passed over."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from exporter.config import Listen
from exporter.errors import ConfigError
from exporter.web.flags import WebFlags
from exporter.web.rate import Bucket
from exporter.web.settings import RateLimit, WebSettings
from exporter.web.tls import Tls
from tests.support.certificates import Files, made
from tests.support.endpoint import METRICS, Endpoint, serving

PASSWORD = "correct horse"
HASH = "$2y$05$GPjKdF2i1iJX1Lle6hSAaelOCmz1E6Ek4On4V1BnmSyqb7YHsrR8S"
"""Of PASSWORD, as `htpasswd -nbBC 5` prints it."""
NO_HANDSHAKE = (ssl.SSLError, ConnectionResetError)
CIPHER = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return made(tmp_path)


def tls(**keys: object) -> dict[str, Any]:
    """Relative to the folder of the file, as in Prometheus."""
    return {"tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem", **keys}}


def told(files: Files, document: object, **listen: object) -> WebSettings:
    file = files.directory / "web.yml"
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return WebFlags(file=file).settings(Listen.model_validate({"host": "127.0.0.1", "port": 0, **listen}))


@contextlib.asynccontextmanager
async def served_by(files: Files, document: object, **listen: object) -> AsyncIterator[Endpoint]:
    async with serving(told(files, document, **listen)) as served:
        yield served


def basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'prometheus:{password}'.encode()).decode()}"}


def refusal(files: Files, document: object) -> str:
    with pytest.raises(ConfigError) as caught:
        told(files, document)
    return str(caught.value).replace(f"{files.directory}/web.yml: ", "")


async def test_an_empty_file_changes_nothing(files: Files) -> None:
    for document in ("", "tls_server_config:\nbasic_auth_users:\n", tls(cert_file="", key_file="")):
        async with served_by(files, document) as served:
            assert served.server.url.startswith("http://")
            assert (await served.get("/metrics")).status == 200


async def test_tls_and_passwords_of_the_file_are_asked_for(files: Files) -> None:
    async with served_by(files, {**tls(), "basic_auth_users": {"prometheus": HASH}}) as served:
        assert served.server.url.startswith("https://")
        refused = await served.get("/metrics", tls=files.client())
        assert (refused.status, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
        assert (await served.get("/metrics", tls=files.client(), headers=basic("wrong"))).status == 401
        answer = await served.get(
            "/metrics", tls=files.client(), headers={**basic(PASSWORD), "Accept-Encoding": "identity"}
        )
        assert answer.body == METRICS


async def test_certificates_may_stand_in_the_file_itself(files: Files) -> None:
    texts = {"cert": files.cert.read_text(), "key": files.key.read_text(), "client_ca": files.client_ca.read_text()}
    document = {"tls_server_config": {**texts, "client_auth_type": "RequireAndVerifyClientCert"}}
    files.key.unlink()
    async with served_by(files, document) as served:
        with pytest.raises(aiohttp.ClientError):
            await served.get("/metrics", tls=files.client())
        shown = files.client(leaf=files.ca.issue_cert("prometheus.test"))
        assert (await served.get("/metrics", tls=shown)).status == 200


async def test_a_certificate_that_is_verified_if_given_need_not_be_given(files: Files) -> None:
    document = tls(client_ca_file="ca.pem", client_auth_type="VerifyClientCertIfGiven")
    async with served_by(files, document) as served:
        assert (await served.get("/metrics", tls=files.client())).status == 200
        foreign = made(files.directory / "..").ca.issue_cert("prometheus.test")
        with pytest.raises(aiohttp.ClientError):
            await served.get("/metrics", tls=files.client(leaf=foreign))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_only_clients_of_the_names_listed_get_an_answer(files: Files, version: ssl.TLSVersion) -> None:
    names = ["prometheus.test", "192.0.2.7"]
    document = tls(client_ca_file="ca.pem", client_auth_type="RequireAndVerifyClientCert", client_allowed_sans=names)
    async with served_by(files, document) as served:
        for name in names:
            client = files.client(leaf=files.ca.issue_cert("another.test", name))
            client.maximum_version = version
            assert (await served.get("/metrics", tls=client)).status == 200
        other = files.client(leaf=files.ca.issue_cert("prometheus.test.example"))
        other.maximum_version = version
        with pytest.raises(aiohttp.ClientError):
            await served.get("/metrics", tls=other)
    assert len(served.accepts) == len(names)


async def shaken(served: Endpoint, client: ssl.SSLContext) -> ssl.SSLObject:
    """What client and server agreed on."""
    _, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=client)
    agreed = writer.get_extra_info("ssl_object")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    assert isinstance(agreed, ssl.SSLObject)
    return agreed


async def test_versions_are_those_between_the_bounds(files: Files) -> None:
    async with served_by(files, tls(min_version="TLS13")) as served:
        old = files.client()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(NO_HANDSHAKE):
            await shaken(served, old)
        assert (await shaken(served, files.client())).version() == "TLSv1.3"
    async with served_by(files, tls(max_version="TLS12")) as served:
        assert (await shaken(served, files.client())).version() == "TLSv1.2"


async def test_ciphers_of_tls_1_2_are_those_listed(files: Files) -> None:
    async with served_by(files, tls(max_version="TLS12", cipher_suites=[CIPHER])) as served:
        agreed = await shaken(served, files.client())
        assert agreed.cipher() == ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", 256)
        other = files.client()
        other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with pytest.raises(NO_HANDSHAKE):
            await shaken(served, other)


@pytest.mark.parametrize(("own", "chosen"), [(True, "AES256"), (False, "AES128")])
async def test_the_order_that_counts_is_the_servers_or_the_clients(files: Files, own: bool, chosen: str) -> None:
    suites = [CIPHER, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    keys = {"max_version": "TLS12", "cipher_suites": suites, "prefer_server_cipher_suites": own}
    async with served_by(files, tls(**keys)) as served:
        client = files.client()
        client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
        agreed = (await shaken(served, client)).cipher()
        assert agreed is not None
        assert chosen in agreed[0]


async def test_suites_of_tls_1_3_alone_leave_none_to_older_versions(files: Files) -> None:
    async with served_by(files, tls(cipher_suites=["TLS_AES_128_GCM_SHA256"])) as served:
        old = files.client()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(NO_HANDSHAKE):
            await shaken(served, old)
        assert (await shaken(served, files.client())).version() == "TLSv1.3"


async def test_one_curve_can_be_chosen(files: Files) -> None:
    async with served_by(files, tls(curve_preferences=["CurveP384"])) as served:
        client = files.client()
        client.set_ecdh_curve("secp384r1")
        await shaken(served, client)
        client.set_ecdh_curve("prime256v1")
        with pytest.raises(NO_HANDSHAKE):
            await shaken(served, client)


async def test_headers_are_on_every_answer_and_a_blank_one_is_taken_off(files: Files) -> None:
    headers = {"X-Frame-Options": "sameorigin", "Strict-Transport-Security": "max-age=60", "X-Content-Type-Options": ""}
    document = {"http_server_config": {"http2": False, "headers": headers}, "basic_auth_users": {"prometheus": HASH}}
    async with served_by(files, document) as served:
        for answer in (
            await served.get("/metrics", headers=basic(PASSWORD)),
            await served.get("/nothing", headers=basic(PASSWORD)),
            await served.get("/metrics"),
            await served.get("/metrics", method="DELETE", skip_auto_headers=["Content-Length"]),
        ):
            assert answer.headers["X-Frame-Options"] == "sameorigin"
            assert answer.headers["Strict-Transport-Security"] == "max-age=60"
            assert "X-Content-Type-Options" not in answer.headers
            assert "Content-Security-Policy" in answer.headers


async def test_more_requests_than_the_rate_allows_are_told_so(files: Files) -> None:
    async with served_by(files, {"rate_limit": {"interval": "1000h", "burst": 2}}) as served:
        answers = [(await served.get("/-/healthy")).status for _ in range(3)]
        assert answers == [200, 200, 429]


def test_a_bucket_fills_up_with_time_and_never_beyond() -> None:
    now = 0.0
    bucket = Bucket(RateLimit(interval=2.0, burst=3), lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now = 3.0
    assert [bucket.take() for _ in range(2)] == [True, False]
    now = 4.0
    assert [bucket.take() for _ in range(2)] == [True, False]
    now = 1000.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


REFUSED = {
    "noise": ("a: [", "expected YAML: "),
    "a list": ("- a", "expected keys and values, found a list"),
    "an unknown part": ({"basic_auth": {}}, "basic_auth: no such key; exporter-toolkit's web-configuration.md"),
    "an unknown key": (tls(ciphers=[]), "tls_server_config.ciphers: no such key"),
    "a cleartext password": ({"basic_auth_users": {"a": "s3cret"}}, "basic_auth_users.a: expected a bcrypt hash such"),
    "half a pair": (
        {"tls_server_config": {"cert_file": "cert.pem"}},
        "tls_server_config: expected cert_file and key_file",
    ),
    "a bound without TLS": (
        {"tls_server_config": {"min_version": "TLS13"}},
        "tls_server_config: expected cert_file and",
    ),
    "both": (tls(cert="s3cret"), "tls_server_config: expected either cert or cert_file"),
    "an old version": (
        tls(min_version="TLS10"),
        "tls_server_config.min_version: expected TLS12 or TLS13: no other version is spoken here",
    ),
    "bounds that cross": (
        tls(min_version="TLS13", max_version="TLS12"),
        "tls_server_config: expected min_version up to",
    ),
    "an authority for nobody": (
        tls(client_ca_file="ca.pem"),
        "tls_server_config: expected client_ca_file together with",
    ),
    "nobody's authority": (
        tls(client_auth_type="RequireAndVerifyClientCert"),
        "tls_server_config: expected client_ca_file",
    ),
    "an unverified client": (
        tls(client_ca_file="ca.pem", client_auth_type="RequireAnyClientCert"),
        "tls_server_config.client_auth_type: expected RequireAndVerifyClientCert or VerifyClientCertIfGiven",
    ),
    "no policy at all": (tls(client_auth_type="Never"), "tls_server_config.client_auth_type: expected NoClientCert or"),
    "names of nobody": (tls(client_allowed_sans=["a"]), "tls_server_config: expected client_allowed_sans only with"),
    "an unsafe cipher": (
        tls(cipher_suites=["TLS_RSA_WITH_AES_128_CBC_SHA"]),
        "tls_server_config.cipher_suites[0]: expected the name of a cipher suite",
    ),
    "two curves": (
        tls(curve_preferences=["X25519", "CurveP256"]),
        "tls_server_config: expected at most one of curve_preferences: Python's TLS takes one, or chooses itself",
    ),
    "another curve": (
        tls(curve_preferences=["secp256k1"]),
        "tls_server_config.curve_preferences[0]: expected 'CurveP256'",
    ),
    "HTTP/2": (
        {"http_server_config": {"http2": True}},
        "http_server_config.http2: expected false: HTTP/2 is not spoken",
    ),
    "another header": (
        {"http_server_config": {"headers": {"Server": "x"}}},
        "http_server_config.headers.Server: no such",
    ),
    "a header of two lines": (
        {"http_server_config": {"headers": {"X-XSS-Protection": "a\nb"}}},
        "http_server_config.headers.X-XSS-Protection: expected one line",
    ),
    "another frame": (
        {"http_server_config": {"headers": {"X-Frame-Options": "ALLOW"}}},
        "http_server_config.headers.X-Frame-Options: expected 'deny', 'sameorigin'",
    ),
    "a rate of nothing": ({"rate_limit": {"interval": "1s"}}, "rate_limit: expected burst of 1 at least"),
    "no duration": (
        {"rate_limit": {"interval": "soon", "burst": 1}},
        "rate_limit.interval: expected a duration such as",
    ),
}


@pytest.mark.parametrize(("document", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_given_is_refused_by_its_key(files: Files, document: object, words: str) -> None:
    said = refusal(files, document)
    assert said.startswith(words)
    assert "s3cret" not in said


def test_every_fault_names_the_file(files: Files) -> None:
    with pytest.raises(ConfigError) as caught:
        told(files, {"http_server_config": {"http2": True}, "basic_auth_users": {"a": "b"}})
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        [f"{files.directory}/web.yml", "http_server_config.http2"],
        [f"{files.directory}/web.yml", "basic_auth_users.a"],
    ]


@pytest.mark.parametrize(
    ("interval", "seconds"), [("1s", 1.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("250ms", 0.25), ("10us", 1e-5)]
)
def test_durations_are_read_as_go_reads_them(files: Files, interval: str, seconds: float) -> None:
    limit = told(files, {"rate_limit": {"interval": interval, "burst": 1}}).rate_limit
    assert limit is not None
    assert limit.interval == pytest.approx(seconds)
    assert limit.burst == 1


def test_a_certificate_that_is_not_there_is_named_with_file_and_key(files: Files) -> None:
    settings = told(files, tls(cert_file="absent.pem"))
    assert settings.tls is not None
    with pytest.raises(ConfigError) as caught:
        Tls(settings.tls)
    absent = files.directory / "absent.pem"
    words = f"{files.directory}/web.yml: tls_server_config.cert_file: cannot read {absent}: No such file or directory"
    assert str(caught.value) == words


def test_no_secret_stands_in_the_settings_repr(files: Files) -> None:
    document = {
        "tls_server_config": {"cert": files.cert.read_text(), "key": files.key.read_text()},
        "basic_auth_users": {"prometheus": HASH},
    }
    shown = repr(told(files, document))
    assert HASH not in shown
    assert "PRIVATE KEY" not in shown


async def test_the_file_wins_over_the_config_and_the_log_says_over_what(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    listen = {"tls_cert": "/nowhere", "tls_key": "/nowhere", "basic_auth": {"prometheus": "$2b$04$" + "." * 53}}
    async with served_by(files, {**tls(), "basic_auth_users": {"prometheus": HASH}}, **listen) as served:
        assert (await served.get("/metrics", tls=files.client(), headers=basic(PASSWORD))).status == 200
    assert [record.getMessage() for record in caplog.records] == [
        f"listen.{key} does not count: --web.config.file says otherwise"
        for key in ("tls_cert", "tls_key", "basic_auth")
    ]


async def test_what_the_file_is_silent_on_the_config_still_says(files: Files) -> None:
    async with served_by(files, tls(), basic_auth={"prometheus": HASH}) as served:
        assert (await served.get("/metrics", tls=files.client())).status == 401
    async with served_by(files, {"basic_auth_users": {"prometheus": HASH}}, **files.listen()) as served:
        assert (await served.get("/metrics", tls=files.client(), headers=basic(PASSWORD))).status == 200

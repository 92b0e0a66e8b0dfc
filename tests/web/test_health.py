"""`exporter health`, against the real endpoint."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import bcrypt
import pytest
import trustme

from exporter.errors import CheckFailedError
from exporter.web import health
from tests.support import command_line
from tests.support.endpoint import PATIENCE_SECONDS, Endpoint, endpoint, settings

_HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


async def ask(served: Endpoint, **listen: object) -> None:
    """As another process would."""
    await asyncio.to_thread(health.ask, settings(**(listen | {"port": served.port})), PATIENCE_SECONDS)


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    authority = trustme.CA()
    issued = authority.issue_cert("gpu1.example.org")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "server.pem").chmod(0o600)
    return {"tls_cert": str(tmp_path / "server.pem"), "tls_key": str(tmp_path / "server.pem")}


async def test_an_endpoint_that_answers_is_healthy() -> None:
    async with endpoint() as served:
        await ask(served)


async def test_one_that_wants_a_password_is_healthy() -> None:
    wanted = {"basic_auth": {"prometheus": _HASH}}
    async with endpoint(**wanted) as served:
        await ask(served, **wanted)


async def test_one_that_refuses_though_no_password_is_configured_is_not() -> None:
    async with endpoint(basic_auth={"prometheus": _HASH}) as served:
        with pytest.raises(CheckFailedError, match="answers 401"):
            await ask(served)


async def test_one_with_a_certificate_of_any_name_and_issuer_is_healthy(tls: dict[str, str]) -> None:
    async with endpoint(**tls) as served:
        await ask(served, **tls)


async def test_one_that_wants_a_clients_certificate_is_healthy(tls: dict[str, str], tmp_path: Path) -> None:
    wanted = {"client_ca": str(tmp_path / "ca.pem"), **tls}
    async with endpoint(**wanted) as served:
        await ask(served, **wanted)


async def test_one_of_another_scheme_is_not(tls: dict[str, str]) -> None:
    async with endpoint() as served:
        with pytest.raises(CheckFailedError, match="does not answer"):
            await ask(served, **tls)


def test_one_that_takes_connections_and_never_answers_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        listen = settings(port=deaf.getsockname()[1])
        with pytest.raises(CheckFailedError, match="does not answer: timed out"):
            health.ask(listen, 0.1)


@pytest.mark.parametrize(("host", "own"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.1", "192.0.2.1")])
def test_an_endpoint_of_every_address_is_asked_on_loopback(host: str, own: str) -> None:
    assert settings(host=host).addresses[0].own_host == own


async def test_the_commands_exit_code_tells_it(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    async with endpoint() as served:
        config.write_text(json.dumps({"listen": {"host": "127.0.0.1", "port": served.port}}))
        found = await asyncio.to_thread(command_line.run, ["health", "--config", str(config)])
    assert found == (0, "", "")
    code, _, words = await asyncio.to_thread(command_line.run, ["health", "--config", str(config)])
    assert code == 1
    assert f"127.0.0.1:{served.port}/-/healthy does not answer" in words


def test_where_it_asked_is_said_as_a_url_has_it() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(CheckFailedError, match=rf"^\[::1\]:{port}/-/healthy does not answer"):
        health.ask(settings(host="::", port=port), PATIENCE_SECONDS)

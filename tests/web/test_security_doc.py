"""docs/security.md: its commands are run, and its figures are those of the code."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest

from exporter.web import auth, connection, listener
from exporter.web.toolkit import WebConfigFile
from tests.support.endpoint import GET_METRICS, METRICS, answered, endpoint

DOCUMENT = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
AUTHORITY, HASH = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
WEB_CONFIG, SCRAPE_CONFIG = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A directory in which the commands for a private authority were run."""
    subprocess.run(["sh", "-eu"], input=AUTHORITY, text=True, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


async def test_the_certificates_it_makes_hold_on_both_sides(made: Path) -> None:
    listen = {"tls_cert": made / "node.pem", "tls_key": made / "node.key", "client_ca": made / "ca.pem"}
    async with endpoint(**{key: str(path) for key, path in listen.items()}) as served:
        client = ssl.create_default_context(cafile=made / "ca.pem")
        client.load_cert_chain(made / "prometheus.pem", made / "prometheus.key")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", served.port, ssl=client, server_hostname="colab-gpu1"
        )
        writer.write(GET_METRICS)
        assert (await answered(reader)).endswith(METRICS)
        writer.close()
        await writer.wait_closed()


def test_prometheus_takes_its_scrape_config(made: Path) -> None:
    (made / "password").write_text("secret", encoding="utf-8")
    (made / "prometheus.yml").write_text(SCRAPE_CONFIG.replace("/etc/prometheus/gpu", str(made)), encoding="utf-8")
    checked = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"], cwd=made, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_its_web_configuration_file_is_one(made: Path) -> None:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (made / "web.yml").write_text(WEB_CONFIG.replace("$2y$12$…", hashed), encoding="utf-8")
    file = WebConfigFile(made / "web.yml")
    assert file.tls is not None
    assert set(file.users) == {"prometheus"}


def test_its_command_prints_a_hash_of_the_password() -> None:
    command = re.sub(r"^\S+", sys.executable, HASH).replace("getpass.getpass()", "input()")
    printed = subprocess.run(["sh", "-eu", "-c", command], input="secret\n", capture_output=True, text=True, check=True)
    assert bcrypt.checkpw(b"secret", printed.stdout.strip().encode())


def test_its_limits_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d+)[^|]* \| [^|]+ \|$", DOCUMENT, re.MULTILINE))
    assert {what: int(value) for what, value in rows.items()} == {
        "open connections, those in a TLS handshake included": listener.MAX_CONNECTIONS,
        "request line, or one header": connection.MAX_LINE_BYTES,
        "headers of a request": connection.MAX_HEADERS,
        "bytes received since the last answer": connection.MAX_UNANSWERED_BYTES,
        "from a request's first byte to its answer's last": connection.REQUEST_SECONDS,
        "TLS handshake": listener._HANDSHAKE_SECONDS,
        "wait for the next request": connection.KEEPALIVE_SECONDS,
        "passwords of one address waiting to be checked": auth._MAX_WAITING,
    }

"""A real Alertmanager with the delivered files, and a mail server that it writes to."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiosmtpd.smtp import SMTP, Envelope, Session

from exporter.demo.process import ServerProcess

ALERTMANAGER = Path(__file__).parents[2] / "deploy" / "alertmanager"
CONFIG = ALERTMANAGER / "alertmanager.yml"
_LISTENING = re.compile(r'msg="Listening on".* address=(\S+)')
_PATIENCE_SECONDS = 120.0
_BESIDE_LABELS = frozenset({"annotations", "startsAt", "endsAt"})


@dataclass
class Mails:
    """A mail server's handler that keeps mail, and tells when there is more."""

    kept: list[EmailMessage] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  as aiosmtpd calls it
        assert isinstance(envelope.content, bytes)
        self.kept.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=default))
        self._more.set()
        return "250 OK"

    async def arrived(self, to: str, subject: str, *words: str, count: int = 1) -> EmailMessage:
        """The first mail with this recipient, subject and text, or the one after so many; now or later."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                found = [mail for mail in self.of(to, subject) if all(word in text(mail) for word in words)]
                if len(found) >= count:
                    return found[count - 1]
                self._more.clear()
                await self._more.wait()

    def of(self, to: str, subject: str) -> list[EmailMessage]:
        """Those with this recipient and subject, so far."""
        return [mail for mail in self.kept if mail["To"] == to and mail["Subject"] == subject]


def text(mail: EmailMessage) -> str:
    content = mail.get_body(("plain",))
    assert content is not None
    return str(content.get_content()).replace("\r\n", "\n")


@asynccontextmanager
async def mail_server(mails: Mails) -> AsyncIterator[int]:
    """The port of a mail server."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(mails), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def delivered(mail_port: int = 1) -> dict[str, Any]:
    """The delivered config, with another mail server."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    config["global"]["smtp_smarthost"] = f"127.0.0.1:{mail_port}"
    return config


@dataclass
class Manager:
    """An Alertmanager that runs."""

    address: str
    file: Path
    """Its config."""

    async def tell(self, **alerts: Mapping[str, Any]) -> None:
        """Tells it alerts as Prometheus does, by their name: labels, and beside them `annotations` and `endsAt`."""
        told = []
        for name, alert in alerts.items():
            beside = {key: value for key, value in alert.items() if key in _BESIDE_LABELS}
            labels = {key: value for key, value in alert.items() if key not in _BESIDE_LABELS}
            told.append({"labels": {"alertname": name.partition("__")[0]} | labels} | beside)
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{self.address}/api/v2/alerts", json=told) as response,
        ):
            assert response.status == 200, await response.text()

    async def take(self, config: Mapping[str, Any]) -> None:
        """Has it read another config."""
        self.file.write_text(yaml.safe_dump(dict(config)))
        async with aiohttp.ClientSession() as session, session.post(f"http://{self.address}/-/reload") as response:
            assert response.status == 200, await response.text()


@asynccontextmanager
async def alertmanager(directory: Path, config: Mapping[str, Any]) -> AsyncIterator[Manager]:
    """Runs one with a config, beside which are the delivered templates."""
    shutil.copytree(ALERTMANAGER, directory)
    file = directory / CONFIG.name
    file.write_text(yaml.safe_dump(dict(config)))
    command = (
        "prometheus-alertmanager",
        f"--config.file={file}",
        f"--storage.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    )
    server = ServerProcess(command, package="prometheus-alertmanager", milestones=(_LISTENING,))
    async with server:
        yield Manager(server.found[0][1], file)


def version() -> tuple[int, ...]:
    """Of the Alertmanager that is run."""
    done = subprocess.run(["prometheus-alertmanager", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", done.stdout + done.stderr)
    assert found is not None, done
    return tuple(map(int, found.groups()))

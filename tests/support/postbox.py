"""Where reports arrive: a mail server and an HTTP server on loopback that keep what they get."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

LOOPBACK = "127.0.0.1"
PASSWORD = "correct-horse"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Postbox:
    """A mail server's handler: keeps mail, refuses some recipients, and tells a test of each mail as it arrives."""

    refused: set[str] = field(default_factory=set)
    received: list[tuple[list[str], bytes]] = field(default_factory=list)
    on_mail: Callable[[], None] = lambda: None
    port: int = 0

    @property
    def mails(self) -> list[EmailMessage]:
        """What arrived, as a mail program reads it."""
        return [message_from_bytes(content, _class=EmailMessage, policy=modern) for _, content in self.received]

    @property
    def recipients(self) -> list[str]:
        """Whom it was for."""
        return [name for names, _ in self.received for name in names]

    def url(self, *recipients: str) -> str:
        """What Apprise sends mail here by, without a password, as loopback has no TLS."""
        to = ",".join(recipients or ("lab@example.org",))
        return f"mailto://{LOOPBACK}:{self.port}?from=reports@example.org&to={to}&mode=insecure"

    async def handle_RCPT(  # noqa: N802  as aiosmtpd calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.received.append((envelope.rcpt_tos, envelope.content))
        await asyncio.to_thread(self.on_mail)
        return "250 OK"


@contextmanager
def mail_server(port: int | None = None) -> Iterator[Postbox]:
    """A mail server that takes mail."""
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # it shares the process, and so the log, with the program
    postbox = Postbox(port=port or free_port())
    controller = Controller(postbox, hostname=LOOPBACK, port=postbox.port)
    controller.start()
    try:
        yield postbox
    finally:
        controller.stop()


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and never says a word; its port."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening.getsockname()[1]


@dataclass
class Sink:
    """An HTTP server that keeps the JSON it is sent."""

    port: int
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)

    def url(self, secret: str = "token") -> str:
        """What Apprise posts here by."""
        return f"json://reporter:{PASSWORD}@{LOOPBACK}:{self.port}/{secret}"


@contextmanager
def http_sink() -> Iterator[Sink]:
    """Serves a sink."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sink.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(sink.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = HTTPServer((LOOPBACK, 0), Handler)
    sink = Sink(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

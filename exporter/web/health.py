"""Whether the service of this machine answers, asked as its config says: `exporter health`.

With the standard library's client: a container's engine asks each minute, and what is imported is its whole cost.
"""

from __future__ import annotations

import http.client
import ssl
from http import HTTPStatus

from exporter.errors import CheckFailedError
from exporter.web.settings import WebSettings

_PATH = "/-/healthy"


def ask(settings: WebSettings, timeout: float) -> None:
    """Returns if the endpoint answers.

    An endpoint that wants a password answers by refusing. One that wants a client's certificate answers with its own
    half of the handshake, which TLS 1.3 completes before it looks at the client's.

    Args:
        settings: Where and how the service listens.
        timeout: Seconds to wait for the connection, and for each part of the answer.

    Raises:
        CheckFailedError: It does not answer, or with a failure.
    """
    address = settings.addresses[0]
    where = address.own_place
    connection = _connection(settings, timeout)
    try:
        connection.connect()
        if _wants_certificate(settings):
            return
        connection.request("GET", _PATH)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise CheckFailedError(f"{where}{_PATH} does not answer: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
    if status != HTTPStatus.OK and not (status == HTTPStatus.UNAUTHORIZED and settings.users):
        raise CheckFailedError(f"{where}{_PATH} answers {status}; the service's log says why")


def _connection(settings: WebSettings, timeout: float) -> http.client.HTTPConnection:
    address = settings.addresses[0]
    if settings.tls is None:
        return http.client.HTTPConnection(address.own_host, address.port, timeout=timeout)
    # This machine's own service, under whatever name its certificate bears; nothing is told to it.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if _wants_certificate(settings):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    return http.client.HTTPSConnection(address.own_host, address.port, timeout=timeout, context=context)


def _wants_certificate(settings: WebSettings) -> bool:
    return settings.tls is not None and settings.tls.clients is ssl.CERT_REQUIRED

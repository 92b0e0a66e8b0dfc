"""aiohttp, without the certificates of the system that it reads at its import, whether anybody speaks https or not.

They take a sixth of the time of all imports of a report. Here they are read when they are needed: who asks over https
says whom to trust, as `system_trust` does. Who forgets it trusts nobody.
"""

from __future__ import annotations

import ssl
from functools import cache

__all__ = ["aiohttp", "system_trust"]


@cache
def system_trust() -> ssl.SSLContext:
    """Returns what trusts the authorities of the system, or those that $SSL_CERT_FILE names; read once."""
    return ssl.create_default_context()


def _trusting_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


_usual = ssl.create_default_context
ssl.create_default_context = _trusting_nobody  # type: ignore[assignment]
try:
    import aiohttp
finally:
    ssl.create_default_context = _usual

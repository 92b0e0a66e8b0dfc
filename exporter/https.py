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


def _read_nothing(_context: ssl.SSLContext) -> None:
    """Stands in for what reads the certificates: even aiohttp's context that verifies nobody has them."""


_usual = ssl.SSLContext.set_default_verify_paths
ssl.SSLContext.set_default_verify_paths = _read_nothing  # type: ignore[assignment]
try:
    import aiohttp
finally:
    ssl.SSLContext.set_default_verify_paths = _usual  # type: ignore[method-assign]

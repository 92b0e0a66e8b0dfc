"""`--web.listen-address` and `--web.config.file`, which every exporter of Prometheus has, beside the config."""

from __future__ import annotations

import logging
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from exporter.config import Listen, changed_keys
from exporter.errors import UsageError
from exporter.web.settings import Address, WebSettings, of_section
from exporter.web.toolkit import WebConfigFile

_log = logging.getLogger(__name__)

LISTEN_ADDRESS: Final = "--web.listen-address"
CONFIG_FILE: Final = "--web.config.file"
_ADDRESS: Final = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]/]*)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class WebFlags:
    """What the command line says of the web server."""

    addresses: tuple[Address, ...] = ()
    """Instead of the config's host and port."""
    file: Path | None = None

    def settings(self, listen: Listen, section: str = "listen") -> WebSettings:
        """Returns what a section of the config and the flags say together; the flags win, and the log says over what.

        Raises:
            ConfigError: The web configuration file is not usable.
        """
        settings, beaten = of_section(listen, section), []
        if self.addresses:
            beaten += [
                (f"{section}.{key}", LISTEN_ADDRESS) for key in ("host", "port") if key in listen.model_fields_set
            ]
            settings = replace(settings, addresses=self.addresses)
        if self.file is not None:
            given = WebConfigFile(self.file)
            if given.tls is not None:
                keys = ("tls_cert", "tls_key", "client_ca")
                beaten += [(f"{section}.{key}", CONFIG_FILE) for key in keys if getattr(listen, key) is not None]
                settings = replace(settings, tls=given.tls)
            if given.users:
                beaten += [(f"{section}.basic_auth", CONFIG_FILE)] if listen.basic_auth else []
                settings = replace(settings, users=given.users, users_setting=given.users_setting)
            settings = replace(settings, headers=given.headers, rate_limit=given.rate_limit)
        for key, flag in beaten:
            _log.warning("%s does not count: %s says otherwise", key, flag)
        return settings

    def moved(self, before: Listen, after: Listen, section: str = "listen") -> list[str]:
        """Returns the keys of a section that would have the server listen elsewhere than it does."""
        if self.addresses:
            return []
        return [key for key in changed_keys(before, after, section) if key in {f"{section}.host", f"{section}.port"}]


def address(text: str) -> Address:
    """Returns the address that `:9100`, `[::1]:9100` or `node:9100` means; without a host all of this machine.

    Raises:
        UsageError: It is none.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise UsageError(
            f"{LISTEN_ADDRESS}: expected an address such as :9942, [::1]:9942 or 192.0.2.1:9942, found {text!r}"
        )
    every = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104  what the flag means
    host = found["v6"] or found["name"] or every
    return Address(host, int(found["port"]), LISTEN_ADDRESS, LISTEN_ADDRESS)

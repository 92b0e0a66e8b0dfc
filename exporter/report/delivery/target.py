"""Where a report goes to: an Apprise URL, which holds secrets."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from exporter import config
from exporter.config import Delivery
from exporter.errors import DeliveryError


def url(target: Delivery) -> SecretStr:
    """Returns the URL of a target, read from its file if it is there, so that a new one needs no restart.

    Raises:
        DeliveryError: The file cannot be read, or holds no URL.
    """
    if target.to is not None:
        return target.to
    assert target.to_file is not None
    try:
        if target.to_file.exists() and not target.to_file.is_file():  # reading a pipe might never end
            raise DeliveryError(f"to_file {target.to_file}: expected a regular file")
        text = target.to_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DeliveryError(f"to_file {target.to_file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # Not chained: the error holds the content of the file.
        raise DeliveryError(f"to_file {target.to_file}: expected an Apprise URL, found what is not text") from None
    try:
        return SecretStr(config.target(text))
    except PydanticCustomError as error:
        raise DeliveryError(f"to_file {target.to_file}: expected {error.message()}") from None

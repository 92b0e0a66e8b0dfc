"""The kinds of values that keys of the config have, each refused with what was expected in its place."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from exporter.speech import languages

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
DURATION_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_SECONDS = 3650 * 86400.0
SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|TiB)")
SIZE_UNITS: Mapping[str, float] = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_MATCHERS = re.compile(
    r'\s*[a-zA-Z_]\w*\s*(=|!=|=~|!~)\s*"(?:[^"\\\n]|\\.)*"\s*'
    r'(,\s*[a-zA-Z_]\w*\s*(=|!=|=~|!~)\s*"(?:[^"\\\n]|\\.)*"\s*)*,?\s*'
)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What RFC 9110 calls a token."""
_TARGET = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!-~]+")


def expected(what: str) -> PydanticCustomError:
    """Returns the error that says what was expected of a value, or of a section as a whole."""
    return PydanticCustomError("expected", "{what}", {"what": what})


def _duration(value: object) -> float:
    """Returns the seconds of `30s`, `1.5h` and the like."""
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise expected("a duration such as 30s (units: ms, s, m, h, d)")
    seconds = float(match[1]) * DURATION_UNITS[match[2]]
    if seconds > _LONGEST_SECONDS:
        raise expected("a duration of at most 3650d")
    return seconds


def _size(value: object) -> int:
    """Returns the bytes of `1GiB` and the like."""
    match = SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise expected("a size such as 1GiB (units: B, KiB, MiB, GiB, TiB)")
    size = float(match[1]) * SIZE_UNITS[match[2]]
    if math.isinf(size):
        raise expected("a size that a computer can have")
    return int(size)


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise expected("a duration above 0")
    return seconds


def _url(value: str) -> str:
    wanted = expected("a URL such as http://192.0.2.1:9090")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise wanted from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or any(map(is_surrogate, value)):
        raise wanted
    if parts.username or parts.password:
        raise expected("a URL without user and password: a token_file keeps secrets out of the config")
    return value.rstrip("/")


def target(value: str) -> str:
    """Returns an Apprise URL as it is.

    Raises:
        PydanticCustomError: It is none, as far as that can be told without Apprise.
    """
    if not _TARGET.fullmatch(value):
        raise expected("an Apprise URL such as mailto://… or slack://…, without blanks")
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise expected("a time zone of the tz database such as Asia/Taipei") from None
    return value


def _language(value: str) -> str:
    if value not in languages():
        raise expected(" or ".join(repr(language) for language in languages()))
    return value


def _bcrypt(value: str) -> str:
    if not _BCRYPT.fullmatch(value):
        raise expected("a bcrypt hash such as `htpasswd -nBC 12 USER` prints after the colon")
    return value


def _matchers(value: str) -> str:
    if value.strip() and not _MATCHERS.fullmatch(value):
        raise expected('PromQL label matchers such as cluster="a"')
    return value.strip().rstrip(",")


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise expected("the name of an HTTP header such as X-Scope-OrgID")
    return value


def _path(value: Path) -> Path:
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise expected("a path that a file can have") from None
    if "\0" in str(value):
        raise expected("a path, in which no NUL can be")
    return value


def _label(value: str) -> str:
    if not value:
        raise expected("a name that is not empty, or null")
    return value


def is_surrogate(character: str) -> bool:
    """Returns whether a character is half of one, which no output can encode."""
    return "\ud800" <= character <= "\udfff"


_IS_DURATION = WithJsonSchema({"type": "string", "pattern": f"^{DURATION.pattern}$"})
_IS_SIZE = WithJsonSchema({"type": "string", "pattern": f"^{SIZE.pattern}$"})

Duration = Annotated[float, BeforeValidator(_duration), _IS_DURATION]
PositiveDuration = Annotated[float, BeforeValidator(_duration), AfterValidator(_positive), _IS_DURATION]
Size = Annotated[int, BeforeValidator(_size), _IS_SIZE]
Url = Annotated[str, AfterValidator(_url)]
Zone = Annotated[str, AfterValidator(_timezone)]
Language = Annotated[str, AfterValidator(_language)]
Matchers = Annotated[str, AfterValidator(_matchers)]
HeaderName = Annotated[str, AfterValidator(_header)]
Label = Annotated[str, AfterValidator(_label)]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(_path)]
PasswordHash = Annotated[SecretStr, AfterValidator(lambda s: SecretStr(_bcrypt(s.get_secret_value())))]
Target = Annotated[SecretStr, AfterValidator(lambda s: SecretStr(target(s.get_secret_value())))]
Ratio = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=0, le=1024)]
"""Of GPUs of one host."""
Money = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
"""A year of a cluster at more would pass what sums hold exactly."""

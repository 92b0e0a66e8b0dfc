"""The config file: its keys, defaults and checks. config.example.yaml shows every key.

Durations are seconds (float) once read, sizes bytes (int).
"""

from __future__ import annotations

import math
import os
import re
import socket
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from exporter.errors import ConfigError
from exporter.speech import SOURCE, languages

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_SECONDS = 3650 * 86400.0
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|TiB)")
_SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_MATCHERS = re.compile(
    r'\s*[a-zA-Z_]\w*\s*(=|!=|=~|!~)\s*"(?:[^"\\\n]|\\.)*"\s*'
    r'(,\s*[a-zA-Z_]\w*\s*(=|!=|=~|!~)\s*"(?:[^"\\\n]|\\.)*"\s*)*,?\s*'
)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What RFC 9110 calls a token."""
_USERINFO = re.compile(r"//[^/@]*@")
_TARGET = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!-~]+")
_SECRET_KEYS = {"basic_auth", "headers", "deliver"}


def _expected(what: str) -> PydanticCustomError:
    return PydanticCustomError("expected", "{what}", {"what": what})


def _duration(value: object) -> float:
    """Returns the seconds of `30s`, `1.5h` and the like."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _expected("a duration such as 30s (units: ms, s, m, h, d)")
    seconds = float(match[1]) * _DURATION_UNITS[match[2]]
    if seconds > _LONGEST_SECONDS:
        raise _expected("a duration of at most 3650d")
    return seconds


def _size(value: object) -> int:
    """Returns the bytes of `1GiB` and the like."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _expected("a size such as 1GiB (units: B, KiB, MiB, GiB, TiB)")
    size = float(match[1]) * _SIZE_UNITS[match[2]]
    if math.isinf(size):
        raise _expected("a size that a computer can have")
    return int(size)


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise _expected("a duration above 0")
    return seconds


def _url(value: str) -> str:
    wanted = _expected("a URL such as http://192.0.2.1:9090")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise wanted from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or any(map(_is_surrogate, value)):
        raise wanted
    if parts.username or parts.password:
        raise _expected("a URL without user and password: a token_file keeps secrets out of the config")
    return value.rstrip("/")


def target(value: str) -> str:
    """Returns an Apprise URL as it is.

    Raises:
        PydanticCustomError: It is none, as far as that can be told without Apprise.
    """
    if not _TARGET.fullmatch(value):
        raise _expected("an Apprise URL such as mailto://… or slack://…, without blanks")
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise _expected("a time zone of the tz database such as Asia/Taipei") from None
    return value


def _language(value: str) -> str:
    if value not in languages():
        raise _expected(" or ".join(repr(language) for language in languages()))
    return value


def _bcrypt(value: str) -> str:
    if not _BCRYPT.fullmatch(value):
        raise _expected("a bcrypt hash such as `htpasswd -nBC 12 USER` prints after the colon")
    return value


def _matchers(value: str) -> str:
    if value.strip() and not _MATCHERS.fullmatch(value):
        raise _expected('PromQL label matchers such as cluster="a"')
    return value.strip().rstrip(",")


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise _expected("the name of an HTTP header such as X-Scope-OrgID")
    return value


def _path(value: Path) -> Path:
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise _expected("a path that a file can have") from None
    if "\0" in str(value):
        raise _expected("a path, in which no NUL can be")
    return value


def _label(value: str) -> str:
    if not value:
        raise _expected("a name that is not empty, or null")
    return value


Duration = Annotated[float, BeforeValidator(_duration)]
PositiveDuration = Annotated[float, BeforeValidator(_duration), AfterValidator(_positive)]
Size = Annotated[int, BeforeValidator(_size)]
Url = Annotated[str, AfterValidator(_url)]
Zone = Annotated[str, AfterValidator(_timezone)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=1024)]
"""Of GPUs of one host."""
Money = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
"""A year of a cluster at more would pass what sums hold exactly."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, defer_build=True)


FilePath = Annotated[Path, Field(strict=False), AfterValidator(_path)]


class Listen(_Section):
    """Where and how the service answers."""

    host: str = "0.0.0.0"  # noqa: S104  Prometheus comes from another machine
    port: Annotated[int, Field(ge=0, le=65535)] = 9942
    tls_cert: FilePath | None = None
    tls_key: FilePath | None = None
    client_ca: FilePath | None = None
    basic_auth: dict[str, Annotated[SecretStr, AfterValidator(lambda s: SecretStr(_bcrypt(s.get_secret_value())))]] = (
        Field(default_factory=dict)
    )

    @model_validator(mode="after")
    def _complete(self) -> Listen:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise _expected("tls_cert and tls_key together, or neither")
        if self.client_ca is not None and self.tls_cert is None:
            raise _expected("client_ca only together with tls_cert and tls_key")
        return self


class Simulated(_Section):
    """The simulated GPUs of `devices.source: simulated`."""

    gpus: Annotated[int, Field(ge=1, le=1024)] = 8
    seed: int = 0


class Devices(_Section):
    """Where readings come from."""

    source: Literal["auto", "amdsmi", "sysfs", "simulated"] = "auto"
    interval: PositiveDuration = 1.0
    timeout: PositiveDuration = 5.0
    expected: Count | None = None
    processes: bool = True
    simulated: Simulated = Simulated()

    @property
    def max_gap(self) -> float:
        """Seconds for which a reading is fresh, and across which two are joined."""
        return max(self.timeout, 3 * self.interval)


class Metering(_Section):
    """How readings become counters."""

    idle_threshold: Ratio = 0.05
    vram_held: Size = 2**30
    birth: Duration = 90.0


class Slurm(_Section):
    """How a node asks its own Slurm controller: `tasks.source: slurm`."""

    scontrol: Annotated[str, AfterValidator(_label)] = "scontrol"
    node: Annotated[str, AfterValidator(_label)] | None = None
    gres_conf: FilePath | None = None
    type: Literal["partition", "qos"] = "partition"


class Tasks(_Section):
    """Who says which task holds which GPU: the consumption API, Slurm or a file."""

    source: Literal["consumption", "slurm", "file"] = "consumption"
    url: Url | None = None
    token_file: FilePath | None = None
    refresh: PositiveDuration = 30.0
    timeout: PositiveDuration = 10.0
    settle: Duration = 5.0
    expire_after: PositiveDuration = 600.0
    timezone: Zone = "UTC"
    ca_file: FilePath | None = None
    slurm: Slurm = Slurm()
    file: FilePath | None = None

    @property
    def has_source(self) -> bool:
        """Whether there is anybody to ask."""
        return self.source != "consumption" or self.url is not None

    @model_validator(mode="after")
    def _one_source(self) -> Tasks:
        if self.source != "consumption" and self.url is not None:
            raise _expected(f"url only with source: consumption, as source: {self.source} asks no server")
        if (self.source == "file") != (self.file is not None):
            raise _expected("file, the path of the bookings, with source: file and only then")
        return self

    @model_validator(mode="after")
    def _patient(self) -> Tasks:
        if self.expire_after < self.refresh + self.settle:
            raise _expected("expire_after of at least refresh + settle: sooner, no answer could arrive")
        return self


class Prometheus(_Section):
    """The scrape history, for the report."""

    url: Url = "http://127.0.0.1:9090"
    matchers: Annotated[str, AfterValidator(_matchers)] = ""
    token_file: FilePath | None = None
    headers: dict[Annotated[str, AfterValidator(_header)], SecretStr] = Field(default_factory=dict)
    timeout: PositiveDuration = 60.0


class Price(_Section):
    """What a GPU-hour costs, and for whom: globs, of which one left out fits all."""

    user: str | None = None
    task_type: str | None = None
    project: str | None = None
    node: str | None = None
    per_gpu_hour: Money
    idle_per_gpu_hour: Money | None = None


class Budget(_Section):
    """What a project or a user may use in a month."""

    gpu_hours: Money | None = None
    cost: Money | None = None

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if (self.gpu_hours is None) == (self.cost is None):
            raise _expected("either gpu_hours or cost, for a month")
        return self


class Delivery(_Section):
    """Who gets which report, and how."""

    to: Annotated[SecretStr, AfterValidator(lambda s: SecretStr(target(s.get_secret_value())))] | None = None
    to_file: FilePath | None = None
    format: Literal["brief", "html"] = "brief"
    language: Annotated[str, AfterValidator(_language)] | None = None
    when: Literal["daily", "weekly", "monthly", "on-fault"] = "daily"
    attach: list[Literal["html", "json", "text", "csv", "xlsx", "markdown"]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _possible(self) -> Delivery:
        if (self.to is None) == (self.to_file is None):
            raise _expected("either to, or to_file that holds it")
        if self.when in {"weekly", "monthly"} and "csv" in self.attach:
            raise _expected("attach without csv: a week or month has none")
        return self


class Report(_Section):
    """How a report looks, and what it assumes."""

    timezone: Zone = "UTC"
    language: Annotated[str, AfterValidator(_language)] = SOURCE
    directory: FilePath = Path("reports")
    nodes: dict[str, Count] = Field(default_factory=dict)
    min_coverage: Ratio = 0.99
    cache: FilePath | None = None
    prices: list[Price] = Field(default_factory=list)
    price_per_gpu_hour: Money | None = None
    currency: str | None = None
    projects: dict[str, Annotated[str, AfterValidator(_label)]] = Field(default_factory=dict)
    budgets: dict[str, Budget] = Field(default_factory=dict)
    pue: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    url: Url | None = None
    deliver: list[Delivery] = Field(default_factory=list)

    @property
    def has_prices(self) -> bool:
        """Whether anything costs."""
        return bool(self.prices) or self.price_per_gpu_hour is not None

    @model_validator(mode="after")
    def _affordable(self) -> Report:
        if not self.has_prices and any(budget.cost is not None for budget in self.budgets.values()):
            raise _expected("prices or price_per_gpu_hour beside budgets in money")
        return self


class Portal(Listen):
    """Where and how the cluster's pages are."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9943
    grafana_url: Url | None = None


class Log(_Section):
    """What the service writes to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Config(_Section):
    """The whole file."""

    hostname: Annotated[str, AfterValidator(_label)] | None = None
    listen: Listen = Listen()
    devices: Devices = Devices()
    metering: Metering = Metering()
    tasks: Tasks = Tasks()
    prometheus: Prometheus = Prometheus()
    report: Report = Report()
    portal: Portal = Portal()
    log: Log = Log()

    @property
    def node_name(self) -> str:
        """The value of the label `hostname`."""
        return self.hostname or socket.gethostname()


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


class _StrictLoader(yaml.SafeLoader):
    """YAML lets a second key win silently, and text be what no output can encode; here both are refused."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and any(map(_is_surrogate, value)):
            raise yaml.constructor.ConstructorError(None, None, "half of a surrogate pair is no text", node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is not plain text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load(path: Path | None) -> Config:
    """Reads and checks a config file; without one, every default.

    Raises:
        ConfigError: naming the file and, for each fault, the key, what was expected and what was found.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text, found byte {error.object[error.start]:#04x}") from error
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  a SafeLoader underneath
    # The last two: a date or number that is none, and endless nesting.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected YAML: {' '.join(str(error).split())}") from error
    return parse(document, where=str(path))


def parse(document: object, *, where: str) -> Config:
    """Checks a parsed document; `where` names it in errors.

    Raises:
        ConfigError: as `load` does.
    """
    if document is None:
        return Config()
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: expected keys and values, found {_found(document)}")
    sections = {key: value for key, value in document.items() if not (value is None and key != "hostname")}
    try:
        return Config.model_validate(sections)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise ConfigError("\n".join(_explain(where, document, detail) for detail in details)) from None


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "path_type": "a path",
    "dict_type": "keys and values",
    "list_type": "a list",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}
"""By pydantic's type of error; the others say it well themselves."""


def _explain(where: str, document: dict[Any, Any], detail: ErrorDetails) -> str:
    """Returns one fault as `file: key: expected …, found …`."""
    known: list[str] = []
    value: Any = document
    for key in detail["loc"]:
        if isinstance(value, dict) and key in value:
            known.append(_name(key))
            value = value[key]
        elif isinstance(value, list) and isinstance(key, int):
            known[-1] += f"[{key}]"
            value = value[key]
    name = ".".join(known)
    if detail["type"] == "extra_forbidden":
        return f"{where}: {name}: no such key; config.example.yaml shows every key"
    if detail["type"] == "missing":
        return f"{where}: {name}.{detail['loc'][-1]}: expected a value, found nothing"
    wanted = _EXPECTED.get(detail["type"], detail["msg"].removeprefix("Input should be "))
    if detail["loc"][-1] == "[key]":
        return f"{where}: {name}: expected {wanted} as the key"
    is_about_a_whole_section = detail["type"] == "expected" and isinstance(value, dict)
    if is_about_a_whole_section or _SECRET_KEYS.intersection(key.split("[")[0] for key in known):
        return f"{where}: {name}: expected {wanted}"
    return f"{where}: {name}: expected {wanted}, found {_found(value)}"


def _name(key: object) -> str:
    text = str(key)
    return text if text.isprintable() and text else repr(text)


def _found(value: object) -> str:
    match value:
        case dict():
            return "keys and values"
        case list():
            return "a list"
        case str():
            text = _USERINFO.sub("//…@", value)
            return f'"{text}"' if text.isprintable() else repr(text)
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case _:
            return str(value)

"""The sections of the config file: their keys, defaults and what must hold among them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from exporter.config.values import (
    Count,
    Duration,
    FilePath,
    HeaderName,
    Label,
    Language,
    Matchers,
    Money,
    PasswordHash,
    Port,
    PositiveDuration,
    Ratio,
    Size,
    Target,
    Url,
    Zone,
    expected,
)
from exporter.speech import SOURCE


class Section(BaseModel):
    """Keys and values that are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, defer_build=True)


class Listen(Section):
    """Where and how the service answers."""

    host: str = "0.0.0.0"  # noqa: S104  Prometheus comes from another machine
    port: Port = 9942
    tls_cert: FilePath | None = None
    tls_key: FilePath | None = None
    client_ca: FilePath | None = None
    basic_auth: dict[str, PasswordHash] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Listen:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise expected("tls_cert and tls_key together, or neither")
        if self.client_ca is not None and self.tls_cert is None:
            raise expected("client_ca only together with tls_cert and tls_key")
        return self


class Simulated(Section):
    """The simulated GPUs of `devices.source: simulated`."""

    gpus: Annotated[int, Field(ge=1, le=1024)] = 8
    seed: int = 0


class Devices(Section):
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


class Metering(Section):
    """How readings become counters."""

    idle_threshold: Ratio = 0.05
    vram_held: Size = 2**30
    birth: Duration = 90.0


class Slurm(Section):
    """How a node asks its own Slurm controller: `tasks.source: slurm`."""

    scontrol: Label = "scontrol"
    node: Label | None = None
    gres_conf: FilePath | None = None
    type: Literal["partition", "qos"] = "partition"


class Tasks(Section):
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
            raise expected(f"url only with source: consumption, as source: {self.source} asks no server")
        if (self.source == "file") != (self.file is not None):
            raise expected("file, the path of the bookings, with source: file and only then")
        return self

    @model_validator(mode="after")
    def _patient(self) -> Tasks:
        if self.expire_after < self.refresh + self.settle:
            raise expected("expire_after of at least refresh + settle: sooner, no answer could arrive")
        return self


class Prometheus(Section):
    """The scrape history, for the report."""

    url: Url = "http://127.0.0.1:9090"
    matchers: Matchers = ""
    token_file: FilePath | None = None
    headers: dict[HeaderName, SecretStr] = Field(default_factory=dict)
    timeout: PositiveDuration = 60.0


class Price(Section):
    """What a GPU-hour costs, and for whom: globs, of which one left out fits all."""

    user: str | None = None
    task_type: str | None = None
    project: str | None = None
    node: str | None = None
    per_gpu_hour: Money
    idle_per_gpu_hour: Money | None = None


class Budget(Section):
    """What a project or a user may use in a month."""

    gpu_hours: Money | None = None
    cost: Money | None = None

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if (self.gpu_hours is None) == (self.cost is None):
            raise expected("either gpu_hours or cost, for a month")
        return self


class Delivery(Section):
    """Who gets which report, and how."""

    to: Target | None = None
    to_file: FilePath | None = None
    format: Literal["brief", "html"] = "brief"
    language: Language | None = None
    when: Literal["daily", "weekly", "monthly", "on-fault"] = "daily"
    attach: list[Literal["html", "json", "text", "csv", "xlsx", "markdown"]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _possible(self) -> Delivery:
        if (self.to is None) == (self.to_file is None):
            raise expected("either to, or to_file that holds it")
        if self.when in {"weekly", "monthly"} and "csv" in self.attach:
            raise expected("attach without csv: a week or month has none")
        return self


class Report(Section):
    """How a report looks, and what it assumes."""

    timezone: Zone = "UTC"
    language: Language = SOURCE
    directory: FilePath = Path("reports")
    nodes: dict[str, Count] = Field(default_factory=dict)
    min_coverage: Ratio = 0.99
    cache: FilePath | None = None
    prices: list[Price] = Field(default_factory=list)
    price_per_gpu_hour: Money | None = None
    currency: str | None = None
    projects: dict[str, Label] = Field(default_factory=dict)
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
            raise expected("prices or price_per_gpu_hour beside budgets in money")
        return self


class Portal(Listen):
    """Where and how the cluster's pages are."""

    host: str = "127.0.0.1"
    port: Port = 9943
    url: Url | None = None
    grafana_url: Url | None = None


class Log(Section):
    """What the service writes to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Config(Section):
    """The whole file."""

    hostname: Label | None = None
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

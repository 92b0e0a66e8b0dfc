"""What an operator writes: the config file, options of the command line, prices and names."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st
from yarl import URL

from exporter import cli, config, speech
from exporter.config import Config
from exporter.errors import ConfigError, TasksAuthError, UsageError
from exporter.report.accounting.prices import Holder, Prices, Rule
from exporter.report.costs import costs
from exporter.report.history.client import PrometheusClient, _headers
from exporter.report.history.queries import any_of
from exporter.report.period import Period, month, week
from exporter.report.window import Window, window
from exporter.tasks.consumption.client import ConsumptionClient
from exporter.tasks.consumption.credentials import TokenReader
from exporter.web.settings import of_section
from exporter.web.tls import Tls
from tests.fuzz.fuzzing import NUMBERS, SCALARS, TEXTS, dear, documents, mutated, reads_or_refuses

EXAMPLE = Path("config.example.yaml").read_bytes()
SECTIONS = Config.model_fields
KEYS = [*SECTIONS, *(key for section in SECTIONS.values() for key in getattr(section.annotation, "model_fields", ()))]
TOKENS = [b"!!python/object:os.system ", b"&a [*a]", b"*a", b"<<: ", b"? ", b"- ", b": ", b"\t", b"{", b"[" * 500,
    b".inf", b".nan",
          b"2025-02-30", b"1e999", b"9" * 5000, b"\\ud800", b'"\\0"', b"0x", b"!!binary ", b"%YAML 9", b"---",
          b"null"]  # fmt: skip
VALUES = SCALARS | st.sampled_from(
    ["1s", "9" * 400 + "d", "1GiB", "Asia/Taipei", "..", "/etc", "http://[::1", "http://a\nb", "http://a:99999",
    "//", "a\0b",
     "http://\ud800", "https://xn--a", "TWD", "XXX", "zh-TW", 'a=~"("', ".", "$2b$12$"]
)  # fmt: skip
OPTIONS = ["--date", "--to", "--week", "--month", "--user", "--node", "--format", "--lang", "--timezone", "--no-cache",
           "--user-report", "--skip-task-info", "--json", "report", "tasks", "--config", "--prometheus",
           "--"]  # fmt: skip
WORDS = TEXTS | st.sampled_from(
    ["2025-07-22", "2025-02-30", "2999-01-01", "2026-W53", "2026-W00", "2025-13", "9999-12-31", "0001-01-01",
    "UTC", "text", "json",
     "brief", "zh-TW", "/nowhere", "http://127.0.0.1:9"]
)  # fmt: skip
PRICE = Decimal("1.5")
NOW = datetime(2026, 1, 2, 3, tzinfo=UTC).timestamp()
GLOBS = TEXTS | st.text("*?[]!-ab\\^", max_size=60)


def use(settings: Config) -> None:
    """What the parts make of settings that are accepted, as they start."""
    assert settings.devices.max_gap > 0
    float(settings.devices.expected or 0)
    costs(settings.report)
    assert PrometheusClient(settings.prometheus).scope('gpu="0"').startswith("gpu=")
    URL(settings.prometheus.url + "/api/v1/query")
    with contextlib.suppress(ConfigError):
        _headers(settings.prometheus)
    if settings.tasks.url is not None:
        with contextlib.suppress(ConfigError):
            ConsumptionClient(settings.tasks.url, settings.tasks)
    with contextlib.suppress(ConfigError):
        if (tls := of_section(settings.listen).tls) is not None:
            Tls(tls)
    with contextlib.suppress(TasksAuthError):
        TokenReader(settings.tasks.token_file).read()
    with contextlib.suppress(OSError):
        settings.report.directory.stat()
    assert math.isfinite(settings.report.pue)
    speech.speech(settings.report.language)


@given(
    mutated([EXAMPLE], TOKENS) | documents(*KEYS).map(lambda found: yaml.dump(found).encode()) | st.binary(max_size=50)
)
@reads_or_refuses(ConfigError)
def test_config_files(content: bytes) -> None:
    with TemporaryDirectory() as name:
        file = Path(name, "config.yaml")
        file.write_bytes(content)
        use(config.load(file))


@given(st.data())
@reads_or_refuses(ConfigError)
def test_any_value_of_any_key(data: st.DataObject) -> None:
    section = data.draw(st.sampled_from(list(SECTIONS)))
    fields = list(getattr(SECTIONS[section].annotation, "model_fields", ()))
    assume(fields)
    key = data.draw(st.sampled_from(fields))
    default = getattr(getattr(Config(), section), key)
    value = data.draw(
        VALUES | st.dictionaries(VALUES, VALUES, max_size=2) | st.lists(VALUES, max_size=2)
        if isinstance(default, dict)
        else VALUES
    )
    use(config.parse({section: {key: value}}, where="file.yaml"))


@given(
    st.sampled_from([week, month]),
    WORDS | st.from_regex(r"[12]\d{3}-W?\d\d", fullmatch=True),
    st.sampled_from(["UTC", "Asia/Taipei"]),
)
@reads_or_refuses(UsageError)
def test_weeks_and_months(read: Callable[[str, str, float], Period], text: str, zone: str) -> None:
    found = read(text, zone, NOW)
    assert 1 <= len(found.days()) <= 31
    assert found.before().last < found.first


@given(WORDS | st.none(), WORDS | st.none(), st.sampled_from(["UTC", "America/Sao_Paulo", "Pacific/Apia"]))
@reads_or_refuses(UsageError)
def test_dates_of_reports(first: str | None, last: str | None, zone: str) -> None:
    found: Window = window(first, last, zone, NOW)
    assert found.start < found.end
    assert len(found.edges) < 200_000


@dear
@given(st.lists(st.sampled_from(OPTIONS) | WORDS, max_size=6))
@reads_or_refuses()
def test_command_lines(arguments: list[str]) -> None:
    assume(not {"serve", "demo", "check", "--output"}.intersection(arguments))
    assume(not any(word.startswith(("http", "--o", "--pr")) for word in arguments))
    code: Any = 0
    command = [*(["report"] if arguments[:1] not in (["report"], ["tasks"]) else []), *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            cli.main([*command, "--prometheus", "http://127.0.0.1:9"] if command[0] == "report" else command)
        except SystemExit as end:
            code = end.code
    assert code in {0, 1, 2, 3}


@given(
    st.lists(GLOBS, min_size=4, max_size=4),
    st.lists(GLOBS, min_size=4, max_size=4),
    st.dictionaries(GLOBS, GLOBS, max_size=2),
)
@reads_or_refuses()
def test_globs_of_prices(globs: list[str], names: list[str], projects: dict[str, str]) -> None:
    user, task_type, project, node = globs
    rule = Rule(PRICE, None, user, task_type, project, node)
    assert Prices([rule], projects).rule(Holder(*names)) in (rule, None)


@given(st.integers(1, 40), st.sampled_from(["*a", "?*", "[ab]*", "*" * 5]))
@reads_or_refuses()
def test_globs_that_backtrack(count: int, piece: str) -> None:
    Prices([Rule(PRICE, user=piece * count + "b")]).rule(Holder("a" * 256, "", "", ""))


@given(NUMBERS, NUMBERS, TEXTS | st.sampled_from(["TWD", "USD", "JPY", "XXX"]), st.sampled_from(["en", "zh-TW"]))
@reads_or_refuses(ConfigError)
def test_money(price: object, pue: object, currency: str, language: str) -> None:
    found = config.parse({"report": {"price_per_gpu_hour": price, "pue": pue, "currency": currency}}, where="file.yaml")
    amount = costs(found.report).tariff.prices.rules[0].per_gpu_hour * 24
    assert speech.speech(language).money(float(amount), currency)


@example(["a\nb", "\ufffd"])
@given(st.lists(TEXTS, min_size=1, max_size=3))
@reads_or_refuses()
def test_names_in_queries(names: list[str]) -> None:
    """Neither quote nor line end leaves the string of PromQL that the names stand in."""
    matcher = any_of("hostname", names)
    inner = matcher.removeprefix('hostname=~"').removesuffix('"')
    assert not {"\n", "\ufffd"} & set(inner)
    assert '"' not in inner.replace("\\\\", "").replace('\\"', "")


@given(st.dictionaries(TEXTS, TEXTS, max_size=2), st.binary(max_size=30))
@reads_or_refuses(ConfigError)
def test_headers_and_token_of_prometheus(headers: dict[str, str], token: bytes) -> None:
    with TemporaryDirectory() as name:
        file = Path(name, "token")
        file.write_bytes(token)
        found = config.parse({"prometheus": {"headers": headers, "token_file": str(file)}}, where="file.yaml")
        for key, value in _headers(found.prometheus).items():
            assert key.isascii()
            assert key.isprintable()
            assert not set(key) & set(' :"(),/;<=>?@[\\]{}')
            assert key
            assert value.isascii()
            assert value.isprintable()

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter import config
from exporter.errors import ConfigError

EXAMPLE = Path(__file__).parents[1] / "config.example.yaml"
HASH = "$2b$12$" + "a" * 53


def refusal(text: str, tmp_path: Path) -> str:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    return str(caught.value).replace(f"{file}: ", "")


def test_the_example_shows_every_key_with_its_default() -> None:
    shown = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))

    assert config.load(EXAMPLE) == config.Config()
    assert set(shown) == set(config.Config.model_fields)
    for name, section in shown.items():
        if name != "hostname":
            assert list(section) == list(type(getattr(config.Config(), name)).model_fields), name


@pytest.mark.parametrize("text", ['"\\ud800": 1', 'hostname: "a\\udfff"', 'report: {nodes: {"\\ud800": 1}}'])
def test_half_a_surrogate_pair_is_refused_wherever_it_stands(tmp_path: Path, text: str) -> None:
    assert "half of a surrogate pair" in refusal(text, tmp_path)


def test_without_a_file_every_default_holds() -> None:
    assert config.load(None) == config.Config()


@pytest.mark.parametrize("text", ["", "# nothing\n", "tasks:\n", "listen: {}\n"])
def test_an_empty_file_or_section_means_its_defaults(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")

    assert config.load(file) == config.Config()


DURATION = "a duration such as 30s (units: ms, s, m, h, d)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tasks: {refresh: fast}", f'tasks.refresh: expected {DURATION}, found "fast"'),
        ("tasks: {refresh: 30}", f"tasks.refresh: expected {DURATION}, found 30"),
        ("devices: {interval: 0s}", 'devices.interval: expected a duration above 0, found "0s"'),
        (
            "metering: {vram_held: 1GB}",
            'metering.vram_held: expected a size such as 1GiB (units: B, KiB, MiB, GiB, TiB), found "1GB"',
        ),
        (
            f"metering: {{vram_held: {'9' * 400}GiB}}",
            f'metering.vram_held: expected a size that a computer can have, found "{"9" * 400}GiB"',
        ),
        ("tasks: {refresh: 3651d}", 'tasks.refresh: expected a duration of at most 3650d, found "3651d"'),
        ("listen: {port: 99999}", "listen.port: expected less than or equal to 65535, found 99999"),
        ("listen: {port: '9942'}", 'listen.port: expected a whole number, found "9942"'),
        (
            "devices: {source: nvml}",
            "devices.source: expected 'auto', 'amdsmi', 'sysfs' or 'simulated', found \"nvml\"",
        ),
        (
            "report: {timezone: Mars/Olympus}",
            'report.timezone: expected a time zone of the tz database such as Asia/Taipei, found "Mars/Olympus"',
        ),
        ("report: {nodes: {a: -1}}", "report.nodes.a: expected greater than or equal to 0, found -1"),
        ("report: {pue: 0.9}", "report.pue: expected greater than or equal to 1, found 0.9"),
        ("report: {prices: 3}", "report.prices: expected a list, found 3"),
        (
            "report: {prices: [{per_gpu_hour: 1.0}, {user: a}]}",
            "report.prices[1].per_gpu_hour: expected a value, found nothing",
        ),
        ("report: {prices: [{per_gpu_hour: x}]}", 'report.prices[0].per_gpu_hour: expected a number, found "x"'),
        (
            "report: {prices: [{per_gpu_hour: -1.5}]}",
            "report.prices[0].per_gpu_hour: expected greater than or equal to 0, found -1.5",
        ),
        (
            "report: {prices: [{per_gpu_hour: 1.0, users: a}]}",
            "report.prices[0].users: no such key; config.example.yaml shows every key",
        ),
        ("report: {budgets: {a: {}}}", "report.budgets.a: expected either gpu_hours or cost, for a month"),
        (
            "report: {budgets: {a: {cost: 1.0}}}",
            "report: expected prices or price_per_gpu_hour beside budgets in money",
        ),
        ("report: {projects: {a: ''}}", 'report.projects.a: expected a name that is not empty, or null, found ""'),
        ("report: {deliver: [{}]}", "report.deliver[0]: expected either to, or to_file that holds it"),
        (
            "report: {deliver: [{to: 'json://s3cret', to_file: /x}]}",
            "report.deliver[0]: expected either to, or to_file that holds it",
        ),
        (
            "report: {deliver: [{to_file: /x, when: hourly}]}",
            "report.deliver[0].when: expected 'daily', 'weekly', 'monthly' or 'on-fault'",
        ),
        ("report: {deliver: [{to_file: /x, language: fr}]}", "report.deliver[0].language: expected 'en' or 'zh-TW'"),
        (
            "report: {deliver: [{to_file: /x, when: weekly, attach: [csv]}]}",
            "report.deliver[0]: expected attach without csv: a week or month has none",
        ),
        (
            "report: {url: 'https://user:pass@x'}",
            'report.url: expected a URL without user and password: a token_file keeps secrets out of the config, found "https://…@x"',
        ),
        ("tasks: {url: 'ftp://x'}", 'tasks.url: expected a URL such as http://192.0.2.1:9090, found "ftp://x"'),
        ("tasks: 5", "tasks: expected keys and values, found 5"),
        ("nodes: 3", "nodes: no such key; config.example.yaml shows every key"),
        (
            "tasks: {source: slurm, url: 'http://192.0.2.1'}",
            "tasks: expected url only with source: consumption, as source: slurm asks no server",
        ),
        ("tasks: {source: file}", "tasks: expected file, the path of the bookings, with source: file and only then"),
        (
            "tasks: {file: /etc/bookings.yaml}",
            "tasks: expected file, the path of the bookings, with source: file and only then",
        ),
        ("tasks: {source: pbs}", "tasks.source: expected 'consumption', 'slurm' or 'file', found \"pbs\""),
        ("tasks: {slurm: {type: account}}", "tasks.slurm.type: expected 'partition' or 'qos', found \"account\""),
        ("tasks: {urll: x}", "tasks.urll: no such key; config.example.yaml shows every key"),
        ("hostname: ''", 'hostname: expected a name that is not empty, or null, found ""'),
        ("listen: {tls_cert: /x}", "listen: expected tls_cert and tls_key together, or neither"),
        ("listen: {client_ca: /x}", "listen: expected client_ca only together with tls_cert and tls_key"),
        (
            "tasks: {expire_after: 10s}",
            "tasks: expected expire_after of at least refresh + settle: sooner, no answer could arrive",
        ),
        (
            "prometheus: {matchers: 'cluster='}",
            'prometheus.matchers: expected PromQL label matchers such as cluster="a", found "cluster="',
        ),
        (
            "prometheus: {headers: {X Y: z}}",
            "prometheus.headers.X Y: expected the name of an HTTP header such as X-Scope-OrgID as the key",
        ),
        (
            'tasks: {token_file: "/a\\0b"}',
            r"tasks.token_file: expected a path, in which no NUL can be, found '/a\x00b'",
        ),
        ("report: {pue: .inf}", "report.pue: expected a finite number, found inf"),
        (
            "report: {price_per_gpu_hour: 1.0e+13}",
            "report.price_per_gpu_hour: expected less than or equal to 1000000000000, found 10000000000000.0",
        ),
        ("report: {nodes: {a: 1000000000}}", "report.nodes.a: expected less than or equal to 1024, found 1000000000"),
        ("- a", "expected keys and values, found a list"),
    ],
)
def test_a_fault_names_key_expected_and_found(text: str, words: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path) == words


@pytest.mark.parametrize(
    "text",
    [
        "report: {deliver: [{to: 'json s3cret'}]}",
        "report: {deliver: [{to: 's3cret'}]}",
        "report: {deliver: [{to: ['json://s3cret']}]}",
        "report: {deliver: ['json://s3cret']}",
        "report: {deliver: 'json://s3cret'}",
        "report: {deliver: [{to: 'json://s3cret', format: 'json://s3cret'}]}",
        "report: {deliver: [{to: 'json://s3cret', url: 'json://s3cret'}]}",
    ],
)
def test_a_refused_target_is_not_repeated(text: str, tmp_path: Path) -> None:
    words = refusal(text, tmp_path)

    assert words.startswith("report.deliver")
    assert "s3cret" not in words


def test_a_target_is_no_part_of_what_a_config_shows(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("report: {deliver: [{to: 'json://s3cret'}]}")
    loaded = config.load(path)

    assert loaded.report.deliver[0].to is not None
    assert loaded.report.deliver[0].to.get_secret_value() == "json://s3cret"
    assert "s3cret" not in repr(loaded) + str(loaded) + loaded.model_dump_json()


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    words = refusal("tasks: {refresh: fast, timeout: slow}\nfoo: 1", tmp_path)

    assert [line.split(":")[0] for line in words.splitlines()] == ["tasks.refresh", "tasks.timeout", "foo"]


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert "key 'url' stands twice" in refusal("tasks:\n  url: http://a\n  url: http://b\n", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "tasks: [",
        "a: b: c",
        "\x00",
        "[a]: 1",
        "? {a: b}\n: c",
        "hostname: 2025-13-45",
        "hostname: 0b_",
        "a: " + "[" * 3000,
    ],
)
def test_what_is_no_yaml_is_refused(text: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path).startswith("expected YAML: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read: No such file"):
        config.load(tmp_path / "missing.yaml")
    (tmp_path / "latin").write_bytes(b"hostname: \xe9")
    with pytest.raises(ConfigError, match="latin: expected UTF-8 text, found byte 0xe9"):
        config.load(tmp_path / "latin")


@pytest.mark.parametrize(
    "text",
    [
        "listen: {basic_auth: {admin: hunter2}}",
        "listen: {basic_auth: {admin: 17}}",
        "prometheus: {headers: {Authorization: [hunter2]}}",
        "prometheus: {url: 'http://admin:hunter2@host'}",
        "tasks: {url: 'http://admin:hunter2@host'}",
    ],
)
def test_no_secret_stands_in_an_error(text: str, tmp_path: Path) -> None:
    assert "hunter2" not in refusal(text, tmp_path)


def test_no_secret_stands_in_the_settings_repr() -> None:
    settings = config.parse(
        {"listen": {"basic_auth": {"admin": HASH}}, "prometheus": {"headers": {"Authorization": "Bearer hunter2"}}},
        where="test",
    )

    assert "hunter2" not in repr(settings)
    assert HASH not in repr(settings)
    assert settings.listen.basic_auth["admin"].get_secret_value() == HASH


def test_durations_are_seconds_and_sizes_bytes() -> None:
    settings = config.parse(
        {
            "devices": {"interval": "250ms", "timeout": "1.5m"},
            "tasks": {"expire_after": "1d"},
            "metering": {"vram_held": "1.5GiB"},
        },
        where="test",
    )

    assert (settings.devices.interval, settings.devices.timeout, settings.tasks.expire_after) == (0.25, 90.0, 86400.0)
    assert settings.metering.vram_held == 1.5 * 2**30


@pytest.mark.parametrize(("interval", "timeout", "gap"), [("1s", "5s", 5.0), ("10s", "5s", 30.0)])
def test_a_reading_is_fresh_for_the_timeout_or_three_intervals(interval: str, timeout: str, gap: float) -> None:
    assert config.parse({"devices": {"interval": interval, "timeout": timeout}}, where="t").devices.max_gap == gap


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
names = st.sampled_from([*config.Config.model_fields, "url", "refresh", "port", "nodes", "basic_auth"]) | st.text(
    max_size=5
)
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.integers(), inner, max_size=4)
)


@given(documents)
def test_any_document_is_accepted_or_refused_with_words(document: object) -> None:
    words = ""
    try:
        config.parse(document, where="file.yaml")
    except ConfigError as error:
        words = str(error)
    assert all(line.startswith("file.yaml: ") for line in words.splitlines())

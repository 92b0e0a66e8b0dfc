"""`exporter config`: the schema for editors, and whether a file is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from exporter import cli

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> int:
    try:
        cli.main(["config", *arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run("schema") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_the_example_fits_the_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(yaml.safe_load((ROOT / "config.example.yaml").read_text()), schema)


def test_the_schema_tells_the_defaults_that_the_example_tells(schema: dict[str, Any]) -> None:
    def defaults(part: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name, kept in part["properties"].items():
            refs = [choice["$ref"] for choice in kept.get("anyOf", ()) if "$ref" in choice]
            if refs:
                found[name] = defaults(schema["$defs"][refs[0].rpartition("/")[2]])
            elif "default" in kept:
                found[name] = kept["default"]
        return found

    def known(part: dict[str, Any]) -> dict[str, Any]:
        return {name: known(value) if isinstance(value, dict) and value else value for name, value in part.items()}

    def within(told: dict[str, Any], example: dict[str, Any]) -> None:
        for name, value in told.items():
            if isinstance(value, dict):
                within(value, example[name])
            else:
                spelled = {"1m": "60s"}.get(value, value) if isinstance(value, str) else value
                assert spelled == example[name], name

    within(defaults(schema), known(yaml.safe_load((ROOT / "config.example.yaml").read_text())))


@pytest.mark.parametrize(
    "document",
    [
        {"devices": {"intervall": "1s"}},
        {"devices": {"interval": 1}},
        {"devices": {"source": "nvml"}},
        {"listen": {"port": "9942"}},
        {"report": {"deliver": [{"when": "hourly"}]}},
    ],
)
def test_what_the_config_refuses_the_schema_does_not_fit(schema: dict[str, Any], document: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_a_section_without_keys_is_right_for_both(schema: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("listen:\nreport:\n")
    jsonschema.validate(yaml.safe_load(file.read_text()), schema)
    assert run("check", str(file)) == 0


@pytest.mark.parametrize("named", [("FILE",), ("--config", "FILE")])
def test_a_file_that_is_right_is_told_so(
    named: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("hostname: colab-gpu1")
    assert run("check", *(str(file) if word == "FILE" else word for word in named)) == 0
    assert capsys.readouterr().out == f"{file}: right\n"


def test_each_fault_is_told_with_file_and_whole_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("devices: {interval: fast}\nlisten: {prot: 1}\n")
    assert run("check", str(file)) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"exporter: {file}: listen.prot: no such key; config.example.yaml shows every key",
        f'exporter: {file}: devices.interval: expected a duration such as 30s (units: ms, s, m, h, d), found "fast"',
    ]


@pytest.mark.parametrize(("service", "section"), [("serve", "listen"), ("portal", "portal")])
def test_for_a_service_its_certificates_are_read_too(
    service: str, section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"{section}: {{tls_cert: /nowhere, tls_key: /nowhere}}\n")
    assert run("check", str(file)) == 0
    assert run("check", "--for", service, str(file)) == 2
    said = f"exporter: {file}: {section}.tls_cert: cannot read /nowhere: No such file or directory\n"
    assert capsys.readouterr().err == said


def test_a_web_configuration_file_is_checked_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, web = tmp_path / "config.yaml", tmp_path / "web.yml"
    file.write_text("")
    web.write_text("tls_server_config: {cert_file: absent.pem, key_file: absent.pem}")
    assert run("check", "--web.config.file", str(web), str(file)) == 0
    assert run("check", "--web.config.file", str(web), "--for", "serve", str(file)) == 2
    assert f"exporter: {web}: tls_server_config.cert_file: cannot read " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("a", "--config", "b"), ("--for", "report", "a")])
def test_what_is_not_asked_for_in_full_exits_2(arguments: tuple[str, ...]) -> None:
    assert run("check", *arguments) == 2


def test_the_units_check_before_they_reload() -> None:
    for name, service in (("exporter", "serve"), ("portal", "portal")):
        unit = (ROOT / f"deploy/systemd/mi300x-{name}.service").read_text().splitlines()
        reloads = [line for line in unit if line.startswith("ExecReload=")]
        start = next(line for line in unit if line.startswith("ExecStart="))
        program, _, options = start.removeprefix("ExecStart=").partition(f" {service} ")
        assert reloads == [
            f"ExecReload={program} config check --for {service} {options}",
            "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'",
        ]

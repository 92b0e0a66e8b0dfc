"""The image of the Dockerfile, built and run as docs/operations.md runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme

from exporter.speech import languages, speech
from tests.image.conftest import ContainerMaker, until
from tests.image.engine import BASE, IMAGE, Container, Engine, contents

pytestmark = pytest.mark.image

_GET = """
import sys, urllib.request as http
asked = http.Request(sys.argv[1], headers={"Accept-Language": sys.argv[2]})
print(http.urlopen(asked).read().decode())
"""
_CONFIG = "/etc/mi300x-exporter"
_TLS = {"tls_cert": f"{_CONFIG}/cert.pem", "tls_key": f"{_CONFIG}/key.pem"}
_HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


def got(container: Container, path: str, language: str = "en") -> str:
    answer = container.run("python3", "-c", _GET, f"http://127.0.0.1:9942{path}", language)
    return answer.output if answer.code == 0 else ""


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("gpu1.example.org")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return [folder / name for name in ("cert.pem", "key.pem", "ca.pem")]


def test_it_serves_as_nobody_without_a_capability_on_a_root_it_cannot_write(container: ContainerMaker) -> None:
    running = container()
    until(lambda: got(running, "/metrics").count("\namdgpu_up{") == 8, running)
    status = dict(re.findall(r"^(\w+):\s+(.*)$", running.run("cat", "/proc/1/status").output, re.MULTILINE))
    assert status["Uid"].split() == status["Gid"].split() == ["64642"] * 4
    assert {int(status[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert running.run("touch", "/x").code != 0


def test_its_page_speaks_every_language(container: ContainerMaker) -> None:
    running = container()
    for language in languages():
        assert f'<html lang="{speech(language).tag}">' in got(running, "/", language)


@pytest.mark.parametrize(
    "listen",
    [
        {},
        {"port": 8000},
        {"host": "127.0.0.1", "port": 8000},
        {"basic_auth": {"prometheus": _HASH}},
        _TLS,
        {"port": 8443, "basic_auth": {"prometheus": _HASH}} | _TLS,
        {"client_ca": f"{_CONFIG}/ca.pem"} | _TLS,
    ],
    ids=["default", "port", "host", "password", "TLS", "TLS, port and password", "client certificates"],
)
def test_its_health_check_finds_it_wherever_and_however_it_listens(
    container: ContainerMaker, certificates: list[Path], listen: dict[str, Any]
) -> None:
    running = container(*certificates, listen=listen)
    assert running.is_healthy()


@pytest.mark.parametrize("listen", [{}, {"client_ca": f"{_CONFIG}/ca.pem"} | _TLS], ids=["HTTP", "client certificates"])
def test_a_service_that_stands_still_is_not_healthy(
    container: ContainerMaker, certificates: list[Path], listen: dict[str, Any]
) -> None:
    running = container(*certificates, listen=listen)
    running.signal("STOP")
    assert not running.is_healthy()
    running.signal("CONT")
    until(running.is_healthy, running)


def test_it_ends_by_the_engines_signal_before_it_is_killed(container: ContainerMaker, engine: Engine) -> None:
    running = container()
    until(lambda: got(running, "/-/ready").strip() == "ready", running)
    stopped = engine.podman("stop", "--time", "120", running.name)
    assert stopped.code == 0, stopped.output
    assert engine.inspected("container", running.name)["State"]["ExitCode"] == 0
    assert running.log().rstrip().endswith("stopped")


def test_it_holds_what_a_node_needs_and_no_more(container: ContainerMaker, sizes: dict[str, int]) -> None:
    assert sizes[IMAGE] - sizes[BASE] < 100e6
    running = container()
    program = contents(running, ["/opt/mi300x-exporter"])["/opt/mi300x-exporter"]
    assert program < 60e6
    for absent in ("pip", "setuptools", "numpy", "pytest", "hatchling", "tests"):
        assert running.run("python3", "-c", f"import {absent}").code != 0, absent
    left = running.run("sh", "-c", "find /var/lib/apt/lists /var/cache/apt /var/log /tmp -type f -size +0 2>/dev/null")
    assert left.output == ""


def test_the_certificates_of_a_build_stay_out_of_the_image(container: ContainerMaker) -> None:
    running = container()
    assert running.run("test", "-s", "/etc/pip.conf").code != 0
    assert running.run("test", "-e", "/run/secrets/ca.pem").code != 0

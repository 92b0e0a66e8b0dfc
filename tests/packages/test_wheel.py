"""The wheel and the sdist, and a virtual environment that has nothing but the wheel and what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from packaging.metadata import Metadata

from exporter import __version__
from tests.packages.conftest import ROOT, Distribution
from tests.support.exporter import exporter

pytestmark = pytest.mark.packages


@pytest.fixture(scope="module")
def installed(released: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, of a fresh environment."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    pip = (folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, released.wheel], check=True)
    return folder / "bin/exporter"


def test_what_the_wheel_says_of_itself_is_valid(released: Distribution) -> None:
    with zipfile.ZipFile(released.wheel) as wheel:
        (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        said = Metadata.from_email(wheel.read(path), validate=True)
    assert (said.name, str(said.version), said.license_expression) == ("mi300x-exporter", __version__, "Apache-2.0")
    assert said.description_content_type == "text/markdown"


def test_every_file_of_the_program_is_in_the_wheel_and_no_other(released: Distribution) -> None:
    tracked = subprocess.run(["git", "ls-files", "exporter"], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {name for name in tracked.stdout.split("\n") if name and not name.endswith(".po")}
    with zipfile.ZipFile(released.wheel) as wheel:
        assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted


def test_the_sdist_has_what_packages_are_built_of(released: Distribution) -> None:
    with tarfile.open(released.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "Makefile",
        "deploy/debian/rules",
        "deploy/install.sh",
        "config.example.yaml",
        "docs/operations.md",
    } <= names


def test_the_tree_and_the_sdist_build_the_same_wheel_byte_for_byte(released: Distribution, tmp_path: Path) -> None:
    """`make dist` builds the wheel of the sdist."""
    with zipfile.ZipFile(released.wheel) as wheel:
        dated = datetime(*wheel.infolist()[0].date_time, tzinfo=UTC)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path))
    env = os.environ | {"SOURCE_DATE_EPOCH": str(int(dated.timestamp()))}
    subprocess.run(build, cwd=ROOT, env=env, capture_output=True, check=True)
    assert (tmp_path / released.wheel.name).read_bytes() == released.wheel.read_bytes()


@pytest.mark.parametrize("command", [(), ("serve",), ("report",)])
def test_help_needs_no_extra(installed: Path, command: tuple[str, ...]) -> None:
    shown = subprocess.run([installed, *command, "--help"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("Usage: exporter")


def test_a_report_says_which_extra_it_needs(installed: Path) -> None:
    refused = subprocess.run([installed, "report"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "mi300x-exporter[report]" in refused.stderr


async def test_the_service_runs_and_has_its_page_and_its_translations(installed: Path, tmp_path: Path) -> None:
    settings = {"devices": {"source": "simulated"}}
    async with exporter(tmp_path, settings, program=(str(installed),)) as running:
        shown = await running.shows(lambda metrics: metrics.values("amdgpu_up") == [1.0] * 8)
        assert shown.labels("amdgpu_exporter_build_info") == [{"version": __version__}]
        async with aiohttp.ClientSession(headers={"Accept-Language": "zh-TW"}) as session:
            page = await (await session.get(running.url)).text()
    assert '<html lang="zh-Hant-TW">' in page
    assert "使用率" in page

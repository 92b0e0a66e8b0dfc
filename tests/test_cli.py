from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import cli
from exporter.cli import cli as root


def run(*arguments: str) -> int:
    try:
        cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def simulated(tmp_path: Path) -> str:
    file = tmp_path / "config.yaml"
    file.write_text("devices: {source: simulated, interval: 100ms, timeout: 500ms}\nhostname: colab-gpu1")
    return str(file)


COMMANDS = [name for name in root.commands if name != "config"] + ["config schema", "config check"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*name.split(), "--help") == 0
    help_text = capsys.readouterr().out
    assert "Examples:\n    exporter " in help_text
    assert "--config FILE" in help_text
    assert max(map(len, help_text.splitlines())) <= 100


@pytest.mark.parametrize("arguments", [["--help"], ["report", "--help"], ["--version"], []])
@pytest.mark.parametrize("completing", [False, True])
def test_help_and_completion_load_only_what_they_print_with(arguments: list[str], completing: bool) -> None:
    typed = {"_EXPORTER_COMPLETE": "bash_complete", "COMP_WORDS": "exporter report --for", "COMP_CWORD": "2"}
    program = (
        "import sys, atexit; from exporter import cli\n"
        "atexit.register(lambda: print({name.split('.')[0] for name in sys.modules}, file=sys.stderr))\n"
        f"cli.main({arguments!r})"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | (typed if completing else {}),
        check=False,
        capture_output=True,
        text=True,
    )
    loaded = set(ast.literal_eval(run.stderr.splitlines()[-1]))
    assert "--format" in run.stdout if completing else run.stdout or run.stderr
    assert not loaded & {"aiohttp", "asyncio", "babel", "jinja2", "numpy", "pydantic", "rich", "xlsxwriter", "yaml"}


def test_no_library_starts_a_thread_for_each_core() -> None:
    threads = "import numpy, os; print(len(os.listdir('/proc/self/task')))"
    program = f"from exporter.cli import main; main(['--version']); {threads}"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "1"


def test_what_is_no_command_or_option_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reprot") == 2
    assert run("serve", "--port", "1") == 2
    assert "No such option" in capsys.readouterr().err


def test_a_config_that_is_not_there_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("serve", "check", "tasks", "report"):
        assert run(name, "--config", "/nowhere.yaml") == 2
    assert capsys.readouterr().err.count("exporter: /nowhere.yaml: cannot be read: No such file or directory") == 4


def test_a_message_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--config", "/\x1b[2J.yaml") == 2
    assert "/\N{REPLACEMENT CHARACTER}[2J.yaml" in capsys.readouterr().err


def test_check_finds_no_fault_in_simulated_gpus(simulated: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--config", simulated) == 0
    out = capsys.readouterr().out
    assert out.count("ok     devices     GPU ") == 8
    assert "note   tasks       tasks.url is not set" in out


def test_check_names_a_fault_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "devices: {source: simulated, interval: 100ms, timeout: 500ms, expected: 9}\n"
        "tasks: {url: 'http://127.0.0.1:1'}\nprometheus: {url: 'http://127.0.0.1:1'}"
    )

    assert run("check", "--config", str(file)) == 1
    out = capsys.readouterr().out
    assert "FAULT  devices     8 GPUs found, devices.expected says 9" in out
    assert "FAULT  tasks " in out
    assert "FAULT  prometheus " in out


def test_check_tries_the_files_that_the_config_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "devices: {source: simulated, interval: 100ms, timeout: 500ms}\n"
        "listen: {tls_cert: /nowhere, tls_key: /nowhere}\n"
        "tasks: {url: 'http://127.0.0.1:1', ca_file: /nowhere}"
    )

    assert run("check", "--config", str(file)) == 1
    out = capsys.readouterr().out
    assert f"FAULT  config      {file}: listen.tls_cert: cannot read /nowhere" in out
    assert f"FAULT  tasks       {file}: tasks.ca_file: /nowhere" in out
    assert " prometheus " in out


def test_a_missing_library_is_a_fault_with_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROCM_HOME", str(tmp_path))
    result = subprocess.run(
        [sys.executable, "-m", "exporter", "check"], capture_output=True, text=True, check=False, timeout=60
    )

    assert result.returncode == 1
    assert "FAULT  devices     libamd_smi.so cannot be loaded" in result.stdout
    assert "Traceback" not in result.stderr


def test_a_reader_that_goes_away_early_is_no_crash(simulated: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "exporter", "check", "--config", simulated],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 1
        assert "Traceback" not in process.stderr.read()


def test_a_shell_can_complete_commands() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "exporter"],
        env={"_EXPORTER_COMPLETE": "bash_complete", "COMP_WORDS": "exporter re", "COMP_CWORD": "1"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert result.stdout == "plain,report\n"


@pytest.mark.parametrize("arguments", [["--help"], ["config.yaml"]])
def test_output_that_cannot_be_written_is_one_line_and_exits_1(simulated: str, arguments: list[str]) -> None:
    command = arguments if arguments == ["--help"] else ["check", "--config", simulated]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "exporter", *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "exporter: the output cannot be written: No space left on device\n")


def test_a_complaint_that_cannot_be_written_changes_no_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "exporter", "check", "--config", "/nowhere"], stderr=full, check=False
        )
    assert done.returncode == 2


def test_a_stdout_that_is_closed_is_no_crash(simulated: str) -> None:
    line = f'exec "{sys.executable}" -m exporter check --config "{simulated}" >&-'
    done = subprocess.run(["/bin/sh", "-c", line], stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_a_character_set_without_chinese_is_no_crash() -> None:
    code = "from exporter.cli import _open_streams; _open_streams(); print('使用率 ok')"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONIOENCODING": "latin-1"}, capture_output=True, check=True
    )
    assert done.stdout == b"??? ok\n"

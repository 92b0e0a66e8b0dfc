from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from exporter.errors import TasksAuthError
from exporter.tasks.consumption.credentials import Token, TokenReader


@pytest.fixture(autouse=True)
def no_token_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORTER_TASKS_TOKEN", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("from-file\n")
    path.chmod(0o600)
    return path


def refusal(reader: TokenReader) -> str:
    with pytest.raises(TasksAuthError) as caught:
        reader.read()
    return str(caught.value)


def test_the_file_goes_before_the_variable_and_that_before_the_credential(
    token_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks-token").write_text("from-systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert TokenReader(None).read() == Token("from-systemd", f"token file {tmp_path / 'tasks-token'}")
    monkeypatch.setenv("EXPORTER_TASKS_TOKEN", " from-variable ")
    assert TokenReader(None).read() == Token("from-variable", "$EXPORTER_TASKS_TOKEN")
    assert TokenReader(token_file).read() == Token("from-file", f"token file {token_file}")


def test_a_configured_file_that_is_missing_is_named_and_nothing_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_TASKS_TOKEN", "from-variable")
    path = tmp_path / "absent"
    assert refusal(TokenReader(path)) == f"token file {path}: cannot be read: No such file or directory"


def test_there_need_not_be_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("EXPORTER_TASKS_TOKEN", "")
    assert TokenReader(None).read() is None
    (tmp_path / "tasks-token").touch()
    assert TokenReader(None).read() is None


def test_a_credential_that_cannot_be_looked_at_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / ("a" * 300)))
    assert "cannot be read: File name too long" in refusal(TokenReader(None))


def test_an_empty_file_is_named(token_file: Path) -> None:
    token_file.write_text(" \n")
    assert refusal(TokenReader(token_file)).startswith(f"token file {token_file}: is empty")


@pytest.mark.parametrize("content", [b"Bearer abc", b"abc\r\nX-Evil: 1", b"abc\0", b"\xffabc", "abcé".encode()])
def test_what_could_not_be_a_token_is_refused_and_not_repeated(token_file: Path, content: bytes) -> None:
    token_file.write_bytes(content)
    words = refusal(TokenReader(token_file))
    assert words.startswith(f"token file {token_file}: expected ")
    assert "abc" not in words


def test_a_new_token_needs_no_restart(token_file: Path) -> None:
    reader = TokenReader(token_file)
    reader.read()
    token_file.write_text("renewed")
    assert reader.read() == Token("renewed", f"token file {token_file}")


def test_a_file_that_everybody_may_read_is_warned_of_once_until_that_changes(
    token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    reader = TokenReader(token_file)
    for mode, warnings in [(0o640, 0), (0o644, 1), (0o644, 1), (0o600, 1), (0o604, 2)]:
        token_file.chmod(mode)
        reader.read()
        assert len(caplog.records) == warnings
    assert caplog.messages[0] == f"token file {token_file} is readable by every user of this machine: chmod o-r it"


def test_a_token_is_not_in_its_repr() -> None:
    assert "secret" not in repr(Token("secret", "somewhere"))


def test_a_pipe_or_a_device_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(TasksAuthError, match=f"{path}: expected a regular file"):
            TokenReader(path).read()

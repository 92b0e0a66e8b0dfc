"""The token of the consumption API: where it comes from, and that it goes nowhere else."""

from __future__ import annotations

import logging
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from exporter.errors import TasksAuthError

_log = logging.getLogger(__name__)

_VARIABLE = "EXPORTER_TASKS_TOKEN"
_CREDENTIAL = "tasks-token"
_TOKEN = re.compile(r"[!-~]+")
PLACES = f"tasks.token_file, ${_VARIABLE} or the systemd credential {_CREDENTIAL}"
"""Where a token can be set, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, and where it was found."""

    value: str = field(repr=False)
    origin: str


class TokenReader:
    """Reads the token afresh each time, so that a new one needs no restart.

    The first of these that is set is the one, even if it turns out unusable: `tasks.token_file`,
    `$EXPORTER_TASKS_TOKEN`, the systemd credential `tasks-token` (an empty one is none). There need
    not be any: a proxy in between may hold the token.
    """

    def __init__(self, token_file: Path | None) -> None:
        self._token_file = token_file
        self._exposed = False

    def read(self) -> Token | None:
        """Returns the token as it is now; None if none of the places is set.

        Raises:
            TasksAuthError: naming the file or variable that is missing, empty or holds no token.
        """
        if self._token_file is not None:
            return self._from_file(self._token_file)
        if value := os.environ.get(_VARIABLE, "").strip():
            return _checked(value, f"${_VARIABLE}")
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if directory and _is_set(path := Path(directory, _CREDENTIAL)):
            return self._from_file(path)
        return None

    def _from_file(self, path: Path) -> Token:
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # reading a pipe or a device might never end
                raise TasksAuthError(f"token file {path}: expected a regular file, found a pipe or a device")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise TasksAuthError(f"token file {path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            # Not chained: the error holds the content of the file.
            raise TasksAuthError(f"token file {path}: expected one token, found something that is not text") from None
        self._warn(path, exposed=bool(mode & stat.S_IROTH))
        return _checked(text.strip(), f"token file {path}")

    def _warn(self, path: Path, *, exposed: bool) -> None:
        if exposed and not self._exposed:
            _log.warning("token file %s is readable by every user of this machine: chmod o-r it", path)
        self._exposed = exposed


def _is_set(credential: Path) -> bool:
    try:
        return credential.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError:
        return True  # whoever reads it learns why it cannot be


def _checked(value: str, origin: str) -> Token:
    if not value:
        raise TasksAuthError(f"{origin}: is empty: put the token of the consumption API there")
    if not _TOKEN.fullmatch(value):
        # Whatever else it holds could end the header and begin another one.
        raise TasksAuthError(f'{origin}: expected the token alone, without "Bearer", spaces or control characters')
    return Token(value, origin)

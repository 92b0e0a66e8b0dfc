"""Runs `scontrol`, bounded in time and bytes; every way in which that can fail has its own words."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from exporter.errors import TasksAuthError, TasksError, TasksNetworkError, TasksPayloadError, TasksServerError

ARGUMENTS = ("show", "job", "-d", "--json")
MAX_BYTES = 256 * 2**20
"""Some 25,000 jobs; they are read as they come, and those of other nodes dropped."""
_MAX_WORDS = 4096
_PIECE_BYTES = 2**16
_PASSED_ON = ("PATH", "SLURM_CONF", "LD_LIBRARY_PATH")
"""Of the environment: no token of ours is another program's business."""
_AUTH = ("authentication", "munge", "credential", "permission denied", "invalid user")
_UNREACHABLE = (
    "unable to contact",
    "no controller answered",
    "connect failure",
    "connection refused",
    "timed out",
    "no route",
    "not resolve",
)


def run(program: str, timeout: float, take: Callable[[bytes], None]) -> str:
    """Hands on what `scontrol` prints, piece by piece; returns what it says on stderr.

    It exits with 0 when no controller answered, so the caller has to judge by what was printed.

    Args:
        program: Its name, or path.
        timeout: In seconds.
        take: Takes each piece of stdout; what it raises ends the program.

    Raises:
        TasksNetworkError: There is no such program, or it does not end in time.
        TasksPayloadError: It prints without end.
        TasksError: It failed, as `failure` says.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"LC_ALL": "C"}
    try:
        process = subprocess.Popen(  # noqa: S603  no shell; the operator's program
            [program, *ARGUMENTS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a program"
        raise TasksNetworkError(
            f"{program} cannot be run ({reason}): install Slurm's client commands, or set tasks.slurm.scontrol"
        ) from error
    with process:
        try:
            words = _read(process, time.monotonic() + timeout, timeout, take)
        except BaseException:
            # The whole session, lest a wrapper's child goes on.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise failure(words, f"it ended with status {process.returncode}")
    return words


def failure(words: str, otherwise: str) -> TasksError:
    """Returns the error that the words of `scontrol` mean."""
    said = " ".join(words.split())[:300] or otherwise
    told = said.lower()
    if any(word in told for word in _AUTH):
        return TasksAuthError(f"scontrol: {said}: is munge running with the cluster's key, and may this user ask?")
    if any(word in told for word in _UNREACHABLE):
        return TasksNetworkError(f"scontrol: {said}: is slurmctld running, and slurm.conf that of its cluster?")
    return TasksServerError(f"scontrol: {said}: try `scontrol {' '.join(ARGUMENTS)}` as the user of this service")


def _read(process: subprocess.Popen[bytes], deadline: float, timeout: float, take: Callable[[bytes], None]) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    size, words = 0, bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise _late(timeout)
            for key, _ in ready:
                piece = os.read(key.fd, _PIECE_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    words += piece[: _MAX_WORDS - len(words)]
                else:
                    size += len(piece)
                    if size > MAX_BYTES:
                        raise TasksPayloadError(f"scontrol prints more than {MAX_BYTES // 2**20} MiB")
                    take(piece)
            if time.monotonic() > deadline:
                raise _late(timeout)
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _late(timeout) from None
    return words.decode(errors="replace")


def _late(timeout: float) -> TasksNetworkError:
    return TasksNetworkError(
        f"scontrol did not end in {timeout:g} s (tasks.timeout): is slurmctld overloaded, or a firewall in between?"
    )

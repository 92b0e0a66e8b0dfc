"""Basic authentication against bcrypt hashes, without letting guesses cost the node much.

bcrypt takes a good part of a second by design. A pair of name and password that was right once is therefore known by a
keyed digest from then on, wrong ones for a while, and everything else waits for one thread: in a short queue for each
address, of which one check is made in turn, so that guessers hold up nobody but themselves.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from enum import Enum, auto
from functools import partial
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

import bcrypt
from pydantic import SecretStr

_MAX_WAITING: Final = 8
"""Checks under way or queued for one address; at the customary cost of 12 about two seconds of one core."""
_REMEMBERED_REFUSALS: Final = 64


class Verdict(Enum):
    """What to do with a request."""

    WELCOME = auto()
    REFUSED = auto()
    BUSY = auto()
    """Too many unknown passwords from there are being checked already."""


class Turns:
    """A lock that goes round among addresses: each lets one of its requests pass, then it is the next one's turn."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """Those who wait, by address, in the order of their turns."""
        self._holder: str | None = None

    def waiting(self, address: str) -> int:
        """Returns how many of an address wait or have their turn."""
        return len(self._queues.get(address, ())) + (self._holder == address)

    @asynccontextmanager
    async def of(self, address: str) -> AsyncIterator[None]:
        """Waits for a turn, and holds it until the block is left."""
        if self._holder is not None:
            turn = asyncio.get_running_loop().create_future()
            self._queues.setdefault(address, deque()).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._pass_on()
                raise
        self._holder = address
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        before, self._holder = self._holder, None
        if before is not None and (queue := self._queues.pop(before, None)):
            self._queues[before] = queue  # last in the round
        while self._queues:
            address, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            if not queue:
                del self._queues[address]
            if not turn.done():
                self._holder = address
                turn.set_result(None)
                return


class Authenticator:
    """Decides on the header Authorization; without users everybody is welcome."""

    def __init__(self) -> None:
        """Knows no users yet."""
        self._secret = secrets.token_bytes(32)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bcrypt")
        self._turns = Turns()
        self.apply({})

    def apply(self, users: Mapping[str, SecretStr]) -> None:
        """Takes other users, as bcrypt hashes by name; what was accepted before counts no longer."""
        self._hashes = {name: secret.get_secret_value().encode() for name, secret in users.items()}
        self._accepted: dict[str, bytes] = {}
        self._refused: deque[bytes] = deque(maxlen=_REMEMBERED_REFUSALS)
        cost = max((int(hashed[4:6]) for hashed in self._hashes.values()), default=4)
        self._nobody = b"$2b$%02d$" % cost + bcrypt.gensalt(4)[7:] + b"." * 31
        """Stands in for unknown names: the hash of a password nobody has, as costly as the costliest."""

    def close(self) -> None:
        """Lets the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def judge(self, authorization: str | None, address: str) -> Verdict:
        """Checks the value of a header Authorization, None where the request has none, from an address."""
        if not self._hashes:
            return Verdict.WELCOME
        try:
            name, password = _decode(authorization or "")
        except ValueError:
            return Verdict.REFUSED
        hashed = self._hashes.get(name)
        digest = self._digest(name, password, hashed)
        known = self._remembered(name, digest)
        if known is not None:
            return known
        network = _network(address)
        if self._turns.waiting(network) >= _MAX_WAITING:
            return Verdict.BUSY
        async with self._turns.of(network):
            known = self._remembered(name, digest)  # by one who asked the same and came first
            return known or await self._check(name, password, hashed, digest)

    async def _check(self, name: str, password: str, hashed: bytes | None, digest: bytes) -> Verdict:
        check = partial(_matches, password.encode(), hashed or self._nobody)
        if await asyncio.get_running_loop().run_in_executor(self._thread, check) and hashed is not None:
            self._accepted[name] = digest
            return Verdict.WELCOME
        self._refused.append(digest)
        return Verdict.REFUSED

    def _remembered(self, name: str, digest: bytes) -> Verdict | None:
        if hmac.compare_digest(self._accepted.get(name, b""), digest):
            return Verdict.WELCOME
        return Verdict.REFUSED if digest in self._refused else None

    def _digest(self, name: str, password: str, hashed: bytes | None) -> bytes:
        """Tells what was checked against which hash; worthless outside this process."""
        return hashlib.blake2b(repr((name, password, hashed)).encode(), key=self._secret, digest_size=32).digest()


def _network(address: str) -> str:
    """Returns whose an address is: of IPv6, one host has 2^64."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, IPv4Address):
        return address
    return str(known.ipv4_mapped or ip_network((known, 64), strict=False))


def _decode(authorization: str) -> tuple[str, str]:
    """Name and password; ValueError for anything but basic authentication."""
    scheme, _, encoded = authorization.partition(" ")
    name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    if scheme.lower() != "basic" or not colon:
        raise ValueError("not basic authentication")
    return name, password


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # longer than the 72 bytes that bcrypt takes
        return False

from __future__ import annotations

import asyncio
import base64
import logging
import threading
from typing import Any

import bcrypt
import pytest
from pydantic import SecretStr

from exporter.web import auth
from exporter.web.auth import Authenticator, Verdict
from tests.support.endpoint import GET_METRICS, METRICS, Endpoint, answered, endpoint, settings

COST = 5
PASSWORD = "geheim: 王小明"
SALT = b"$2b$%02d$CCCCCCCCCCCCCCCCCCCCC." % COST
"""Always the same, so that tests have the same names in every process."""
HASH = bcrypt.hashpw(PASSWORD.encode(), SALT).decode()
USERS = {"prometheus": HASH}
PATHS = ("/", "/metrics", "/-/healthy", "/-/ready", "/nothing")


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def wrong(number: int = 0, name: str = "prometheus") -> str:
    return basic(name, f"guess {number}")


GOOD = basic("prometheus", PASSWORD)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that bcrypt was given, while it really checks them."""
    seen: list[bytes] = []
    check = bcrypt.checkpw

    def watched(password: bytes, hashed: bytes) -> bool:
        seen.append(hashed)
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", watched)
    return seen


async def get(served: Endpoint, path: str = "/metrics", authorization: str | None = None, **options: Any) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    return (await served.get(path, headers=headers, **options)).status


@pytest.mark.parametrize("path", PATHS)
async def test_without_credentials_nothing_is_told(path: str) -> None:
    async with endpoint(basic_auth=USERS) as served:
        answer = await served.get(path)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.body == b"a valid user name and password are needed\n"


@pytest.mark.parametrize(
    "authorization",
    [
        wrong(),
        wrong(name="root"),
        basic("prometheus", ""),
        basic("", ""),
        basic("prometheus", "x" * 73),
        basic("prometheus", PASSWORD + "\0"),
        "Basic",
        "Basic !!!!",
        "Basic /////w==",
        "Bearer " + HASH,
        basic("prometheus", HASH),
    ],
)
async def test_wrong_credentials_are_refused(authorization: str) -> None:
    async with endpoint(basic_auth=USERS) as served:
        assert await get(served, authorization=authorization) == 401


async def test_the_right_password_opens_every_page() -> None:
    async with endpoint(basic_auth=USERS) as served:
        assert [await get(served, path, GOOD) for path in PATHS] == [200, 200, 200, 200, 404]


async def test_without_users_everybody_is_welcome() -> None:
    assert await Authenticator().judge(None, "127.0.0.1") is Verdict.WELCOME


async def test_a_password_is_checked_once_and_then_known(seen: list[bytes]) -> None:
    async with endpoint(basic_auth=USERS) as served:
        assert [await get(served, authorization=GOOD) for _ in range(5)] == [200] * 5
        assert len(seen) == 1


async def test_a_wrong_password_sent_again_costs_nothing(seen: list[bytes]) -> None:
    async with endpoint(basic_auth=USERS) as served:
        assert [await get(served, authorization=wrong()) for _ in range(5)] == [401] * 5
        assert len(seen) == 1


async def test_wrong_passwords_never_push_out_a_known_right_one(seen: list[bytes]) -> None:
    async with endpoint(basic_auth=USERS) as served:
        await get(served, authorization=GOOD)
        for number in range(auth._REMEMBERED_REFUSALS + 1):
            await get(served, authorization=wrong(number))
        seen.clear()
        assert await get(served, authorization=GOOD) == 200
        assert seen == []


async def test_an_unknown_user_costs_as_much_as_a_known_one(seen: list[bytes]) -> None:
    async with endpoint(basic_auth=USERS) as served:
        await get(served, authorization=wrong(name="prometheus"))
        await get(served, authorization=wrong(name="nobody"))
    known, unknown = seen
    assert known == HASH.encode()
    assert unknown != known
    assert unknown[:7] == known[:7] == b"$2b$05$"


async def test_guesses_wait_in_a_short_queue_while_known_users_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(basic_auth=USERS) as served, served.connected() as (reader, writer):
        scrape = GET_METRICS[:-2] + f"Authorization: {GOOD}\r\n\r\n".encode()
        writer.write(scrape)
        await answered(reader)

        check, go_on, concurrent, most = bcrypt.checkpw, threading.Event(), 0, 0

        def held(password: bytes, hashed: bytes) -> bool:
            nonlocal concurrent, most
            concurrent += 1
            most = max(most, concurrent)
            go_on.wait()
            concurrent -= 1
            return check(password, hashed)

        monkeypatch.setattr(bcrypt, "checkpw", held)
        guesses = [asyncio.create_task(get(served, authorization=wrong(number))) for number in range(20)]
        try:
            refused, _ = await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
            assert {guess.result() for guess in refused} == {503}
            writer.write(scrape)
            assert (await answered(reader)).endswith(METRICS)
        finally:
            go_on.set()
        results = await asyncio.gather(*guesses)
        assert results.count(401) == auth._MAX_WAITING
        assert results.count(503) == 20 - auth._MAX_WAITING
        assert most == 1


async def test_guessers_of_one_address_hold_up_nobody_at_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(basic_auth=USERS) as served:
        check, go_on, begun, checked = bcrypt.checkpw, threading.Semaphore(0), asyncio.Event(), list[bytes]()
        loop = asyncio.get_running_loop()

        def held(password: bytes, hashed: bytes) -> bool:
            loop.call_soon_threadsafe(begun.set)
            go_on.acquire()
            checked.append(password)
            return check(password, hashed)

        monkeypatch.setattr(bcrypt, "checkpw", held)
        guesses = [asyncio.create_task(get(served, authorization=wrong(number))) for number in range(16)]
        await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)  # their queue is full
        await begun.wait()
        request = GET_METRICS[:-2] + f"Authorization: {GOOD}\r\n\r\n".encode()
        async with served.connected(local="127.0.0.2") as (reader, writer):
            writer.write(request)
            while not served.server._auth._turns.waiting("127.0.0.2"):
                await asyncio.sleep(0)
            go_on.release(2)
            assert (await answered(reader)).endswith(METRICS)
        assert checked.index(PASSWORD.encode()) == 1
        go_on.release(16)
        assert (await asyncio.gather(*guesses)).count(401) == auth._MAX_WAITING


async def test_the_same_right_password_is_checked_once_however_many_send_it(seen: list[bytes]) -> None:
    async with endpoint(basic_auth=USERS) as served:
        assert await asyncio.gather(*(get(served, authorization=GOOD) for _ in range(6))) == [200] * 6
        assert len(seen) == 1


async def test_a_turn_that_nobody_waits_for_any_more_goes_to_the_next() -> None:
    turns, passed = auth.Turns(), list[str]()

    async def take(address: str) -> None:
        async with turns.of(address):
            passed.append(address)

    async with turns.of("holder"):
        waiting = [asyncio.create_task(take(address)) for address in ("a", "a", "b", "c")]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[3].cancel()
        await asyncio.sleep(0)
    await asyncio.wait(waiting)
    assert passed == ["a", "b"]
    async with asyncio.timeout(120), turns.of("d"):
        assert turns.waiting("d") == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_host_has_one_queue_for_all_its_addresses(address: str, network: str) -> None:
    assert auth._network(address) == network


async def test_users_change_without_a_restart_and_at_once() -> None:
    async with endpoint(basic_auth=USERS) as served:
        assert await get(served, authorization=GOOD) == 200
        other = bcrypt.hashpw(b"other", bcrypt.gensalt(COST)).decode()
        served.server.apply(settings(basic_auth={"prometheus": other}))
        assert await get(served, authorization=GOOD) == 401
        assert await get(served, authorization=basic("prometheus", "other")) == 200
        served.server.apply(settings())
        assert await get(served) == 200


async def test_a_password_found_right_after_it_was_changed_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(basic_auth=USERS) as served:
        check, begun, go_on = bcrypt.checkpw, asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def held(password: bytes, hashed: bytes) -> bool:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait()
            return check(password, hashed)

        monkeypatch.setattr(bcrypt, "checkpw", held)
        running = asyncio.create_task(get(served, authorization=GOOD))
        await begun.wait()
        other = bcrypt.hashpw(b"other", bcrypt.gensalt(COST)).decode()
        served.server.apply(settings(basic_auth={"prometheus": other}))
        go_on.set()
        assert await running == 200
        assert await get(served, authorization=GOOD) == 401


async def test_no_password_and_no_hash_is_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with endpoint(basic_auth=USERS) as served:
        await get(served, authorization=GOOD)
        await get(served, authorization=wrong())
        shown = caplog.text + repr(served.server.__dict__) + repr(served.server._settings)
    for secret in (PASSWORD, HASH, "guess", GOOD):
        assert secret not in shown


async def test_passwords_without_tls_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async with endpoint(basic_auth=USERS) as served:
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "readable" in caplog.text
        served.server.apply(settings(basic_auth=USERS))
        assert len(caplog.records) == 1


def test_secrets_stay_out_of_the_authenticators_repr() -> None:
    authenticator = Authenticator()
    authenticator.apply({"prometheus": SecretStr(HASH)})
    assert HASH not in repr(authenticator)

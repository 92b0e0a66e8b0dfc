from __future__ import annotations

import pytest

from exporter.config import Listen
from exporter.errors import ListenError, UsageError
from exporter.web.flags import WebFlags, address
from tests.support.endpoint import serving


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9100", "127.0.0.1", 9100),
        ("[::1]:9100", "::1", 9100),
        ("[fe80::1%eth0]:0", "fe80::1%eth0", 0),
        ("node-7.example.org:65535", "node-7.example.org", 65535),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    found = address(text)
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "9100", "localhost", "::1:9100", "127.0.0.1:http", "127.0.0.1:65536", "vsock://:9", "[::1]", "a:-1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--web\.listen-address: expected an address such as :9942"):
        address(text)


async def test_without_a_host_every_address_of_the_machine_answers() -> None:
    flags = WebFlags((address(":0"),))
    async with serving(flags.settings(Listen())) as served:
        for host in ("127.0.0.1", "127.0.0.2"):
            assert (await served.get("/-/healthy", host=host)).status == 200


async def test_every_address_that_is_given_answers_and_the_config_names_none() -> None:
    flags = WebFlags((address("127.0.0.1:0"), address("[::1]:0")))
    async with serving(flags.settings(Listen(port=1))) as served:
        first, second = served.server.urls
        assert first.startswith("http://127.0.0.1:")
        assert second.startswith("http://[::1]:")
        for url in (first, second):
            assert (await served.get("/-/healthy", url=url)).status == 200


async def test_if_one_address_is_not_to_be_had_none_stays_open() -> None:
    taken = WebFlags((address("127.0.0.1:0"),))
    async with serving(taken.settings(Listen())) as other:
        flags = WebFlags((address("127.0.0.2:0"), address(f"127.0.0.1:{other.port}")))
        with pytest.raises(ListenError, match=r"--web\.listen-address chooses another"):
            async with serving(flags.settings(Listen())):
                pass


def test_the_log_says_which_keys_do_not_count(caplog: pytest.LogCaptureFixture) -> None:
    flags = WebFlags((address(":9100"),))
    assert flags.settings(Listen(port=1), "portal").addresses == flags.addresses
    assert [record.getMessage() for record in caplog.records] == [
        "portal.port does not count: --web.listen-address says otherwise"
    ]


def test_only_without_the_flag_a_moved_port_waits_for_a_restart() -> None:
    assert WebFlags().moved(Listen(), Listen(port=1, host="::")) == ["listen.host", "listen.port"]
    assert WebFlags((address(":9100"),)).moved(Listen(), Listen(port=1)) == []

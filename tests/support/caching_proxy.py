"""deploy/nginx/consumption-cache.conf under the real nginx."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.engines import free_port

CONF = Path(__file__).parents[2] / "deploy/nginx/consumption-cache.conf"


@asynccontextmanager
async def caching_proxy(directory: Path, api: str, token: str, *command: str) -> AsyncIterator[str]:
    """The URL of the proxy before an API.

    Args:
        directory: For its files.
        api: The URL of the API.
        token: The one the API accepts; the proxy alone has it.
        command: Runs nginx, such as `faketime` with its arguments.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    _write_conf(directory, api.removeprefix("http://"), token, port)
    process = await asyncio.create_subprocess_exec(
        *command, "nginx", "-c", directory / "nginx.conf", start_new_session=True
    )
    try:
        await reachable(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            await process.wait()


def _write_conf(directory: Path, api: str, token: str, port: int) -> None:
    """The shipped file, with the addresses and paths of this test."""
    (directory / "token.conf").write_text(f'proxy_set_header Authorization "Bearer {token}";\n')
    conf = CONF.read_text()
    for shipped, ours in {
        "192.0.2.10:80": api,
        "listen 9944;": f"listen 127.0.0.1:{port};",
        "/etc/nginx/consumption-token.conf": f"{directory}/token.conf",
        "/var/cache/nginx-consumption": f"{directory}/cache",
    }.items():
        assert shipped in conf
        conf = conf.replace(shipped, ours)
    (directory / "cache.conf").write_text(conf)
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        f"{user} daemon off; pid {directory}/pid; error_log {directory}/error.log; worker_processes 2;\n"
        "events { }\n"
        f"http {{ access_log {directory}/access.log; client_body_temp_path {directory}; proxy_temp_path {directory};\n"
        f"  fastcgi_temp_path {directory}; scgi_temp_path {directory}; uwsgi_temp_path {directory};\n"
        f"  include {directory}/cache.conf; }}\n"
    )


async def reachable(port: int, process: asyncio.subprocess.Process) -> None:
    """Waits until nginx takes connections."""
    while True:
        assert process.returncode is None, "nginx has ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return

"""With keys, nobody who reads the server's histories reads our texts; through the codec server the Web UI and the CLI do."""

import base64
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Page, expect

from outlast.storage.payload_codec import new_key
from tests.browser.conftest import chromium
from tests.conftest import binary
from tests.processes import (
    PROJECT,
    RealProcess,
    clean_environment,
    dev_server,
    free_port,
    messages_api,
    stack_environment,
    starter,
    wait_for,
    worker,
)

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(180)]

SECRET = "Write about the merger of Quillon and Brambe"
REFUSED = "Say no to Hollowell"


def shown(run: str, address: str, *options: str) -> str:
    """Export a history, its payloads in words."""
    command = [binary("temporal"), "workflow", "show", "-w", run, "--output", "json", "--address", address, *options]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return re.sub(r'"data": "([A-Za-z0-9+/=]*)"', lambda found: readable(found[1]), done.stdout)


def readable(data: str) -> str:
    """Undo the base64 in which an exported history holds its payloads."""
    return base64.b64decode(data).decode(errors="replace")


def codec_server(directory: Path, keys: str, port: int, origin: str) -> RealProcess:
    """Start a codec server and wait until it serves."""
    command = [sys.executable, str(PROJECT / "starter.py"), "codec-server", "--port", str(port), "--origin", origin]
    serving = RealProcess(command, log=directory / "codec.log", env=clean_environment(PAYLOAD_KEYS=keys))
    serving.start()
    serving.wait_until(lambda: "codec server ready" in serving.output, "the codec server is ready")
    return serving


async def test_histories_are_sealed_and_the_codec_server_opens_them(page: Page, tmp_path: Path) -> None:
    assert chromium()
    keys = new_key("2026")
    port = free_port()
    # It keeps the port until the Web UI, whose address it must know, has one.
    serving = codec_server(tmp_path, keys, port, "http://127.0.0.1")
    endpoint = f"http://127.0.0.1:{port}"
    with (
        ExitStack() as ending,
        dev_server(tmp_path, ui=True, options=("--ui-codec-endpoint", endpoint)) as server,
        messages_api(tmp_path) as api,
        worker(tmp_path, server, api, PAYLOAD_KEYS=keys),
    ):
        ending.callback(serving.stop)
        env = stack_environment(tmp_path, server, api, PAYLOAD_KEYS=keys)

        def done(*arguments: str) -> str:
            ended = starter(*arguments, env=env)
            assert ended.returncode == 0, f"{arguments}\n{ended.stdout}\n{ended.stderr}"
            return ended.stdout

        plan = tmp_path / "plan.json"
        plan.write_text(f'{{"steps": [{{"step": "tell", "agent": "writer", "input": "{SECRET}", "confirm": true}}]}}')
        done("plan", "--plan", str(plan), "--id", "sealed", "--detach")
        api.script(rules=[{"status": 400, "error_type": "invalid_request_error", "message": REFUSED, "times": 1}])
        wait_for(lambda: SECRET in done("inbox"), "the gate in the inbox")
        done("approve", "sealed", "--as", "ann")
        starter("result", "sealed", env=env)  # its one step fails, and so does the run
        assert SECRET in done("why", "sealed", "tell", "--full")
        assert REFUSED in done("why", "sealed")
        done("report", "sealed", "-o", str(tmp_path / "sealed.html"))
        assert SECRET in (tmp_path / "sealed.html").read_text()
        assert "ann" in done("audit", "sealed")

        raw = shown("sealed", server.address)
        assert SECRET not in raw
        assert "Quillon" not in raw
        assert REFUSED not in raw
        assert "Encoded failure" in raw

        origin = f"http://127.0.0.1:{server.ui_port}"
        serving.stop()
        serving = codec_server(tmp_path, keys, port, origin)
        ending.callback(serving.stop)
        assert SECRET in shown("sealed", server.address, "--codec-endpoint", endpoint)
        await page.goto(f"{origin}/namespaces/default/workflows/sealed")
        await expect(page.get_by_text(re.compile("Quillon")).first).to_be_visible(timeout=20_000)
        nothing: dict[str, list[str]] = {"payloads": []}
        from_elsewhere = httpx2.post(f"{endpoint}/decode", json=nothing, headers={"Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in from_elsewhere.headers
        plain = httpx2.post(f"{endpoint}/decode", content="{}", headers={"Content-Type": "text/plain"})
        assert plain.status_code == 415
        assert httpx2.post(f"{endpoint}/decode", json=nothing, headers={"Host": "evil.example"}).status_code == 400
        broken = {"payloads": [{"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}, "data": "AAAA"}]}
        told = httpx2.post(f"{endpoint}/decode", json=broken)
        assert (told.status_code, "PAYLOAD_KEYS" in told.text) == (400, True)

        refused = starter("codec-server", "--host", "0.0.0.0", env=env)
        assert (refused.returncode, "--behind-proxy" in refused.stderr) == (2, True)
        without = starter("codec-server", env=env | {"PAYLOAD_KEYS": ""})
        assert (without.returncode, "PAYLOAD_KEYS is not set" in without.stderr) == (2, True)

"""What is for us alone: the state directory's modes, and the environments of the programs that we start."""

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from outlast.client import Settings
from outlast.devstack.parts import Part, model_part, server_part, worker_part
from outlast.devstack.process import Process, rotate
from outlast.devstack.state import StackState, take_lock, write_state
from outlast.private_files import PRIVATE, private_folder
from outlast.processes.environment import bare_environment
from outlast.storage.activities import ContentStore
from outlast.tools.mcp.config import McpConfig, StdioServer
from outlast.tools.mcp.servers import McpServers
from tests.real_process import PROJECT

SECRETS = {
    name: f"hidden-{name.lower()}"
    for name in (
        *(name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)),
        *("ANTHROPIC_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "PGPASSWORD"),
        *("OTEL_EXPORTER_OTLP_HEADERS", "TEMPORAL_API_KEY", "SOMETHING_NEW_THAT_NOBODY_KNOWS"),
    )
}
PORTS = dict.fromkeys(("server", "ui", "model", "worker health", "metrics"), 1)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def secret_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.mark.usefixtures("secret_environment")
def test_the_server_and_the_model_are_told_no_secret(tmp_path: Path) -> None:
    settings = Settings.model_construct(state_dir=tmp_path)
    for part in (server_part(Path("temporal"), tmp_path, PORTS), model_part(tmp_path, PORTS)):
        assert not set(SECRETS) & set(part.environment), part.name
        assert not [value for value in part.environment.values() if "hidden-" in value], part.name
        assert part.environment["PATH"] == os.environ["PATH"]
        assert part.environment["HTTPS_PROXY"] == "http://127.0.0.1:1"
        assert part.environment["LC_ALL"] == "C.UTF-8"
    assert worker_part(settings, PORTS).environment["ANTHROPIC_API_KEY"] == "hidden-anthropic_api_key"


@pytest.mark.usefixtures("secret_environment")
async def test_an_mcp_server_is_told_what_its_entry_names_and_no_more(tmp_path: Path) -> None:
    """On a real process: it writes its environment down, and is no MCP server at all."""
    told = tmp_path / "told"
    noted = f"import os, sys; open({str(told)!r}, 'w').write(repr(dict(os.environ)))"
    code = f"{noted}; sys.exit('my key is ' + os.environ['OWN_TOKEN'])"
    own = StdioServer(command=sys.executable, args=("-c", code), env={"OWN_TOKEN": "tok-5f6g7h8j9k"})
    servers = McpServers(McpConfig({"own": own}))
    try:
        with pytest.raises(ConnectionError) as caught:
            await servers.tools("own")
    finally:
        await servers.aclose()
    environment = await asyncio.to_thread(told.read_text)
    assert "hidden-" not in environment
    assert "tok-5f6g7h8j9k" in environment
    assert "HTTPS_PROXY" in environment
    assert "tok-5f6g7h8j9k" not in str(caught.value)
    assert "tok-5f6g" not in str(caught.value)
    assert "my key is [redacted mcpServers.own.env.OWN_TOKEN]" in str(caught.value)


def test_what_programs_need_passes_and_prefixes_add_to_it() -> None:
    given = {
        "PATH": "/bin",
        "LOCAL_MODEL_GGUF": "x",
        "LC_TIME": "C",
        "PYTHONPATH": "y",
        "LD_PRELOAD": "z",
        "TMPDIR": "/t",
    }
    assert bare_environment(given) == {"PATH": "/bin", "LC_TIME": "C", "TMPDIR": "/t"}
    assert set(bare_environment(given, "LOCAL_MODEL_")) == {"PATH", "LC_TIME", "TMPDIR", "LOCAL_MODEL_GGUF"}


async def test_all_that_is_written_to_the_state_directory_is_for_its_user_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    before = os.umask(PRIVATE)
    try:
        lock = take_lock(state)
        assert lock is not None
        write_state(state, StackState(address="a", ui="b", pid=1))
        log = state / "logs" / "x.log"
        rotate(log)
        code = f"open({str(state / 'temporal.db')!r}, 'w').write('x')"
        part = Part("x", (sys.executable, "-I", "-S", "-c", code), bare_environment(os.environ), log, {}, 1.0)
        process = Process(part)
        await process.ended()
        store = ContentStore.open((state / "content").as_uri())
        await store.put(b"x")
        lock.close()
    finally:
        os.umask(before)
    found = {path.relative_to(state): mode(path) for path in state.rglob("*")}
    assert {Path("up.lock"), Path("up.json"), Path("logs/x.log"), Path("temporal.db"), Path("content")} <= set(found)
    assert mode(state) == 0o700
    assert {path: oct(one) for path, one in found.items() if one & PRIVATE} == {}


def test_a_directory_that_others_could_read_so_far_is_closed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "logs").mkdir(parents=True)
    for file in ("temporal.db", "logs/worker.log"):
        (state / file).touch()
        (state / file).chmod(0o644)
    (state / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").touch(0o644)
    state.chmod(0o755)
    private_folder(state)
    assert [mode(state), mode(state / "temporal.db"), mode(state / "logs" / "worker.log")] == [0o700, 0o600, 0o600]
    assert mode(tmp_path / "elsewhere") & 0o044


@pytest.mark.parametrize("sticky", [False, True], ids=["the current directory", "one that many share"])
def test_a_directory_that_serves_other_ends_too_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sticky: bool
) -> None:
    tmp_path.chmod(0o1755 if sticky else 0o755)
    if not sticky:
        monkeypatch.chdir(tmp_path)
    private_folder(tmp_path)
    assert mode(tmp_path) & 0o777 == 0o755


@pytest.mark.parametrize("program", ["starter.py", "worker.py"])
def test_both_programs_refuse_a_broken_key_at_once_and_show_nothing_of_it(tmp_path: Path, program: str) -> None:
    key = "sk-ant-api03-first8ch\nsecond9chars-of-it"
    environment = bare_environment(os.environ) | {"ANTHROPIC_API_KEY": key, "STATE_DIR": str(tmp_path)}
    command = [sys.executable, str(PROJECT / program), *(["list"] if program == "starter.py" else [])]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "ANTHROPIC_API_KEY: holds a line break" in done.stderr
    assert "sk-ant" not in done.stdout + done.stderr
    assert "second9" not in done.stdout + done.stderr


def test_settings_show_no_secret_in_their_own_words() -> None:
    settings = Settings(anthropic_api_key=SecretStr("sk-ant-api03-first8ch"), _env_file=None)
    assert "first8ch" not in repr(settings) + str(settings) + settings.model_dump_json()

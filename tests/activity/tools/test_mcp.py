"""Tools of real MCP servers, over stdio and over HTTP: what agents see of them, and what a crash costs."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.contracts import Effect, Part, ToolRequest, Toolset
from outlast.errors import ErrorKind
from outlast.tools.activities import ToolActivities
from outlast.tools.mcp import servers as mcp_servers
from outlast.tools.mcp import session as mcp_session
from tests.activity.tools.mcp_calling import Making, Mcp, listening, making, processes
from tests.approving import approved
from tests.processes import PROJECT, RealProcess, clean_environment, free_port, wait_for
from tests.real_process import command_of

__all__ = ["making"]

DOUBLE = [sys.executable, "-m", "tests.doubles.mcp_server"]


@pytest.fixture
def stdio(making: Making) -> Mcp:
    command = {"command": DOUBLE[0], "args": [*DOUBLE[1:], "stdio"], "env": {"PYTHONPATH": str(PROJECT)}}
    return making({"double": command})


@pytest.fixture
async def http_server(making: Making, tmp_path: Path) -> AsyncIterator[RealProcess]:
    port = free_port()
    process = RealProcess([*DOUBLE, "http", str(port)], tmp_path / "http.log", clean_environment(PORT=str(port)))
    process.start()
    await listening(port)
    yield process
    with suppress(ProcessLookupError):
        process.kill()


def over_http(making: Making, process: RealProcess) -> Mcp:
    return making({"double": {"type": "http", "url": f"http://127.0.0.1:{process.env['PORT']}/mcp"}})


async def _holding(path: Path) -> int:
    """Wait until the server works on a call; returns its process's id."""
    await asyncio.to_thread(wait_for, path.exists, "the call to arrive")
    return int(await asyncio.to_thread(path.read_text))


def _servers() -> list[psutil.Process]:
    """Return the double's processes; fixtures of other tests may keep children of this one, too."""
    return [process for process in processes() if "tests.doubles.mcp_server" in command_of(process)]


async def _crashed(
    mcp: Mcp, toolset: Toolset, marker: Path, kill: Callable[[int], object] = lambda pid: os.kill(pid, signal.SIGKILL)
) -> ApplicationError:
    """Kill the server in the middle of a call; returns what the call raised."""
    calling = asyncio.create_task(mcp.call(toolset, "mcp__double__hold", path=str(marker)))
    kill(await _holding(marker))
    with pytest.raises(ApplicationError) as caught:
        await asyncio.wait_for(calling, 20)
    return caught.value


async def test_tools_of_all_pages_are_namespaced_and_rated(stdio: Mcp) -> None:
    toolset = await stdio.toolset("mcp__double__*", "Bash", "mcp__double__absent", "mcp__nobody__x")
    assert {card.name: card.effect for card in toolset.tools} == {
        "mcp__double__add": Effect.READ,
        "mcp__double__note_append": Effect.IRREVERSIBLE,
        "mcp__double__hold": Effect.IRREVERSIBLE,
        "mcp__double__picture": Effect.IRREVERSIBLE,
        "mcp__double__fail": Effect.IRREVERSIBLE,
    }
    assert toolset.missing == (
        "Bash",
        "mcp__double__absent (the MCP server double has no such tool)",
        "mcp__nobody__x (no MCP server 'nobody' is configured)",
    )
    specs = json.loads(await stdio.store.text(Part(ref=toolset.specs.ref)))
    assert specs[0]["description"] == "Add two numbers."
    assert specs[0]["input_schema"]["required"] == ["a", "b"]


async def test_results_are_text_and_a_tools_own_error_is_a_result(stdio: Mcp) -> None:
    toolset = await stdio.toolset("mcp__double")
    assert await stdio.said(toolset, "mcp__double__add", a=2, b=3) == "5"
    assert await stdio.said(toolset, "mcp__double__picture") == (
        "here it is\n[image, image/png, 6 bytes; it cannot be shown]"
    )
    failed = await stdio.call(toolset, "mcp__double__fail")
    assert failed.failed
    assert "the stove is cold" in (failed.content.text or "")
    wrong = await stdio.call(toolset, "mcp__double__add", a=2, b="x")
    assert (wrong.failed, wrong.content.text) == (True, "wrong arguments: $.b: 'x' is not of type 'integer'")


async def test_a_finished_call_is_not_made_again_and_names_may_differ(stdio: Mcp, tmp_path: Path) -> None:
    toolset = await stdio.toolset("mcp__double")
    notes = tmp_path / "notes.txt"
    for attempt in (1, 2):
        said = await stdio.said(toolset, "mcp__double__note_append", attempt, path=str(notes), line="once")
        assert said == "appended"
    assert notes.read_text() == "once\n"


async def test_a_new_worker_calls_by_the_names_that_a_run_recorded(making: Making, stdio: Mcp, tmp_path: Path) -> None:
    toolset = await stdio.toolset("mcp__double")
    await stdio.servers.aclose()
    another = making(json.loads((tmp_path / ".mcp.json").read_text())["mcpServers"])
    notes = tmp_path / "notes.txt"
    assert await another.said(toolset, "mcp__double__note_append", path=str(notes), line="x") == "appended"


async def test_a_server_killed_in_a_call_is_started_again_by_the_next_attempt(stdio: Mcp, tmp_path: Path) -> None:
    toolset = await stdio.toolset("mcp__double")
    error = await _crashed(stdio, toolset, tmp_path / "held")
    assert (error.type, error.non_retryable) == (ErrorKind.TOOL_UNAVAILABLE, False)
    assert "the MCP server double does not answer" in error.message
    assert await stdio.said(toolset, "mcp__double__hold", attempt=2, path=str(tmp_path / "held")) == "answered"


async def test_a_server_killed_while_idle_is_started_again(stdio: Mcp) -> None:
    toolset = await stdio.toolset("mcp__double")
    [server] = _servers()
    server.kill()
    server.wait(10)
    said = ""
    for attempt in (1, 2):
        with suppress(ApplicationError):
            said = await stdio.said(toolset, "mcp__double__add", attempt, a=1, b=1)
    assert said == "2"


async def test_over_http_a_crash_costs_one_attempt(making: Making, http_server: RealProcess, tmp_path: Path) -> None:
    mcp = over_http(making, http_server)
    toolset = await mcp.toolset("mcp__double")
    assert await mcp.said(toolset, "mcp__double__add", a=2, b=3) == "5"
    error = await _crashed(mcp, toolset, tmp_path / "held", lambda _: http_server.kill())
    assert (error.type, error.non_retryable) == (ErrorKind.TOOL_UNAVAILABLE, False)
    with pytest.raises(ApplicationError) as caught:
        await mcp.call(toolset, "mcp__double__add", a=1, b=1)
    assert caught.value.type == ErrorKind.TOOL_UNAVAILABLE
    http_server.start()
    await listening(int(http_server.env["PORT"]))
    assert await mcp.said(toolset, "mcp__double__hold", attempt=2, path=str(tmp_path / "held")) == "answered"


async def test_a_server_that_forgot_the_session_gets_a_new_one(making: Making, http_server: RealProcess) -> None:
    mcp = over_http(making, http_server)
    toolset = await mcp.toolset("mcp__double")
    http_server.kill()
    http_server.start()
    await listening(int(http_server.env["PORT"]))
    said = ""
    for attempt in (1, 2):
        with suppress(ApplicationError):
            said = await mcp.said(toolset, "mcp__double__add", attempt, a=1, b=1)
    assert said == "2"


async def test_calls_side_by_side_share_one_process(stdio: Mcp) -> None:
    toolset = await stdio.toolset("mcp__double")
    said = await asyncio.gather(*(stdio.said(toolset, "mcp__double__add", a=n, b=n) for n in range(10)))
    assert said == [str(2 * n) for n in range(10)]
    assert len(_servers()) == 1


async def test_a_server_that_cannot_start_is_missing_and_says_why(making: Making) -> None:
    broken = [sys.executable, "-c", "import sys; sys.exit('the licence ran out')"]
    mcp = making(
        {
            "broken": {"command": broken[0], "args": broken[1:]},
            "absent": {"command": "/no/such/program"},
            "away": {"type": "http", "url": f"http://127.0.0.1:{free_port()}/mcp"},
        }
    )
    toolset = await mcp.toolset("mcp__broken__x", "mcp__absent", "mcp__away")
    assert toolset.tools == ()
    reasons = dict(zip(("broken", "absent", "away"), toolset.missing, strict=True))
    assert "the licence ran out" in reasons["broken"]
    assert "No such file" in reasons["absent"]
    assert "the MCP server away does not answer" in reasons["away"]


@asynccontextmanager
async def answering(status: int | None) -> AsyncIterator[str]:
    """An HTTP server that answers everything with one status, or nothing at all (None); gives its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(4096)
            if status is None:
                await reader.read()  # until it is given up
            else:
                writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp?key=s3cret"


@pytest.mark.parametrize("kind", ["http", "sse"])
@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "it answers 401; give it a header such as Authorization"), (503, "it answers 503"), (None, "not ready")],
)
async def test_a_server_that_refuses_or_hangs_is_missing_and_the_others_are_there(
    making: Making, kind: str, status: int | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_session, "OPEN_SECONDS", 1.5)
    async with answering(status) as url:
        two = {"command": DOUBLE[0], "args": ["-m", "tests.doubles.mcp_two"], "env": {"PYTHONPATH": str(PROJECT)}}
        unset = {"command": "x", "env": {"K": "${NO_SUCH_VARIABLE}"}}
        mcp = making({"shut": {"type": kind, "url": url}, "two": two, "unset": unset})
        toolset = await mcp.toolset("mcp__shut__x", "mcp__two__lookup", "mcp__unset")
    assert [card.name for card in toolset.tools] == ["mcp__two__lookup"]
    shut, wrong = toolset.missing
    assert said in shut
    assert "s3cret" not in shut
    assert "the variable NO_SUCH_VARIABLE is not set" in wrong


async def test_tools_that_the_api_would_refuse_are_called_as_their_server_wants_it(making: Making) -> None:
    two = {"command": DOUBLE[0], "args": ["-m", "tests.doubles.mcp_two"], "env": {"PYTHONPATH": str(PROJECT)}}
    mcp = making({"two": two})
    toolset = await mcp.toolset("mcp__two")
    assert [card.name.removeprefix("mcp__two__") for card in toolset.tools] == [
        "lookup",
        "find_page",
        "search",
        "look_up",
    ]
    assert toolset.missing == ()
    assert [notice.partition(":")[0] for notice in toolset.notices] == [
        "mcp__two__find_page",
        "mcp__two__search",
        "mcp__two__count is left out",
    ]
    found = await mcp.said(toolset, "mcp__two__find_page", input={"id": "7"})
    assert found == 'find_page found {"id": "7"}'
    assert await mcp.said(toolset, "mcp__two__search", _filter="x") == 'search found {"$filter": "x"}'
    assert await mcp.said(toolset, "mcp__two__look_up") == "look.up found {}"
    wrong = await mcp.call(toolset, "mcp__two__find_page", id="7")
    assert (wrong.failed, "'input' is a required property" in (wrong.content.text or "")) == (True, True)


async def test_a_call_without_an_answer_is_tried_again(
    stdio: Mcp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolset = await stdio.toolset("mcp__double")
    monkeypatch.setattr(mcp_servers, "CALL_SECONDS", 0.5)
    with pytest.raises(ApplicationError) as caught:
        await stdio.call(toolset, "mcp__double__hold", path=str(tmp_path / "held"))
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.TOOL_UNAVAILABLE, False)
    assert "no answer in 0.5 s" in caught.value.message
    assert await stdio.said(toolset, "mcp__double__hold", attempt=2, path=str(tmp_path / "held")) == "answered"


async def test_a_cancelled_call_leaves_the_server_usable(stdio: Mcp, tmp_path: Path) -> None:
    toolset = await stdio.toolset("mcp__double")
    calling = asyncio.create_task(stdio.call(toolset, "mcp__double__hold", path=str(tmp_path / "held")))
    pid = await _holding(tmp_path / "held")
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await stdio.said(toolset, "mcp__double__add", a=1, b=2) == "3"
    assert psutil.pid_exists(pid)


async def test_a_server_that_this_worker_lacks_ends_the_call(stdio: Mcp) -> None:
    toolset = await stdio.toolset("mcp__double")
    other = ToolActivities(stdio.store, [])
    request = approved(ToolRequest(tool="mcp__double__add", key="k", specs=toolset.specs, server="double"))
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(other.call_tool, request)
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.TOOL_UNKNOWN, True)

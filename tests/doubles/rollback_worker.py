"""The product's worker with a scripted model, whose tools stop at one boundary: `python -m tests.doubles.rollback_worker DIR`.

A run named `kill-TOOL-WHERE` stops there once: it leaves a file of its name in DIR and waits to be killed.
"""

import asyncio
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio import activity

import worker
from outlast.client import connect, load_settings
from outlast.contracts import StopReason, ToolCall, Usage
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import ScriptedLLM
from outlast.storage.activities import ContentStore
from outlast.tools.tool import Tool
from outlast.worker import registry as rooms

TURNS = ("write_file", "insert_row", "edit_file")
DIRECTORY = Path(sys.argv[1])


def script(call: ModelCall) -> ModelReply:
    """Write, insert, edit; then refuse, so that the run fails."""
    found = re.search(r"kill-[a-z_-]+", f"{call.history} {call.messages}")
    assert found
    run = found[0]
    given: dict[str, dict[str, Any]] = {
        "write_file": {"path": f"{run}.md", "content": "new"},
        "insert_row": {"table": "tides", "values": {"name": run}},
        "edit_file": {"path": f"{run}.md", "old": "new", "new": "newer"},
    }
    turn = sum(message["role"] == "assistant" for message in call.history)
    if turn == len(TURNS):
        return ModelReply("", StopReason.REFUSAL, Usage(), "m")
    made = ToolCall(id=f"t{turn}", name=TURNS[turn], input=given[TURNS[turn]])
    return ModelReply("", StopReason.TOOL_USE, Usage(), "m", tool_calls=(made,))


async def hold(tool: str, where: str) -> None:
    """Stop here if the run is named after this boundary and has not stopped before."""
    run = activity.info().workflow_id
    if run == f"kill-{tool}-{where}" and not (DIRECTORY / run).exists():
        (DIRECTORY / run).touch()
        await asyncio.Event().wait()


def stopping(inner: Tool) -> Tool:
    async def call(arguments: BaseModel, key: str) -> str:
        tool = TURNS[int(key.rsplit("/t", 1)[1])]
        way = "undo" if inner.name.startswith("restore") else "do"
        file = DIRECTORY / "work" / f"{activity.info().workflow_id}.md"
        await hold(tool, f"before-{way}")
        before = file.read_text()
        said = await inner.run(arguments, key)
        if inner.name.endswith("_file") and file.read_text() != before:
            with (DIRECTORY / "effects.txt").open("a") as log:
                log.write(f"{activity.info().workflow_id} {tool} {way}\n")
        await hold(tool, f"after-{way}")
        return said

    return replace(inner, call=call, keyed=True)


class StoppingStore(ContentStore):
    async def remember(self, name: str, data: bytes, *, anew: bool = False, waits: bool = True) -> None:
        tool = TURNS[int(name.rsplit("/t", 1)[1])] if name.startswith("undo/") else ""
        await hold(tool, "before-record")
        await super().remember(name, data, anew=anew, waits=waits)
        await hold(tool, "after-record")


async def serve() -> None:
    """Work until the process is killed."""
    real = rooms.tools_of
    rooms.tools_of = lambda *given: [stopping(each) for each in real(*given)]
    rooms.ContentStore = StoppingStore  # type: ignore[attr-defined]  # the one place where the worker opens its store
    settings = load_settings()
    async with worker.working(await connect(settings), settings, ScriptedLLM(script)):
        print("worker ready", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())

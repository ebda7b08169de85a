"""AG-UI on the same events: what the published Python models read, and what the client from npm takes."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ag_ui.core import Event, RunAgentInput, UserMessage
from pydantic import TypeAdapter

from tests.parts import AGUI, needed
from tests.processes import wait_for
from tests.resilience.server.serving import Served, parsed

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(120)]

READ: TypeAdapter[Any] = TypeAdapter(Event)


def talk(served: Served, thread: str, run: str, text: str, agent: str = "researcher") -> list[Any]:
    """Send a message as a client does, and read all events with the published models."""
    message = UserMessage(id="m1", role="user", content=text)
    given = RunAgentInput(thread_id=thread, run_id=run, state={}, messages=[message], tools=[], context=[])
    headers = {"Authorization": f"Bearer {served.tokens['start']}", "Accept": "text/event-stream"}
    body = given.model_dump(mode="json", by_alias=True, exclude_none=True)
    url = f"{served.url}/agui/{agent}"
    with served.client.stream("POST", url, json=body, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        return [READ.validate_python(each["data"]) for each in parsed(answer.iter_lines())]


def in_order(events: list[Any]) -> list[str]:
    """Check what clients check: a run encloses all, and what was begun is ended once; returns the kinds."""
    kinds = [str(event.type.value) for event in events]
    assert kinds[0] == "RUN_STARTED"
    assert kinds[-1] in ("RUN_FINISHED", "RUN_ERROR")
    open_messages, open_steps, open_calls = set[str](), set[str](), set[str]()
    for kind, event in zip(kinds, events, strict=True):
        match kind:
            case "TEXT_MESSAGE_START":
                assert event.message_id not in open_messages
                open_messages.add(event.message_id)
            case "TEXT_MESSAGE_CONTENT":
                assert event.message_id in open_messages
                assert event.delta
            case "TEXT_MESSAGE_END":
                open_messages.remove(event.message_id)
            case "STEP_STARTED":
                assert event.step_name not in open_steps
                open_steps.add(event.step_name)
            case "STEP_FINISHED":
                open_steps.remove(event.step_name)
            case "TOOL_CALL_START":
                open_calls.add(event.tool_call_id)
            case "TOOL_CALL_END":
                open_calls.remove(event.tool_call_id)
    assert (open_messages, open_steps, open_calls) == (set(), set(), set())
    return kinds


def texts(events: list[Any]) -> list[str]:
    """Return each message whole."""
    found: dict[str, str] = {}
    for event in events:
        if event.type.value == "TEXT_MESSAGE_CONTENT":
            found[event.message_id] = found.get(event.message_id, "") + event.delta
    return list(found.values())


def test_a_thread_is_a_session(served: Served) -> None:
    first = talk(served, "thread-1", "run-1", "Hello.")
    assert in_order(first)[-1] == "RUN_FINISHED"
    assert texts(first) == ["Answer to: start: Hello."]
    hits = len(served.stack.api.hits())
    again = talk(served, "thread-1", "run-1", "Hello.")
    assert texts(again) == texts(first)
    assert len(served.stack.api.hits()) == hits, "a request that was sent again was paid again"
    second = talk(served, "thread-1", "run-2", "And now?")
    assert second[-1].result == {"id": "agui-thread-1", "number": 2, "state": "answered"}
    assert served.stack.api.hits()[-1]["turn"] == 1


def test_a_message_to_an_agent_that_works_is_queued_and_answered(served: Served) -> None:
    """Each of two runs of the protocol ends with the answer to its own message."""
    served.stack.api.script(hold=True)
    with ThreadPoolExecutor() as clients:
        first = clients.submit(talk, served, "thread-busy", "run-1", "Hello.")
        wait_for(served.stack.api.hits, "the agent works")
        second = clients.submit(talk, served, "thread-busy", "run-2", "And then?")
        number = "/runs/agui-thread-busy/messages"
        wait_for(lambda: len(served.ask("GET", number).json()["messages"]) == 2, "the second message waits")
        served.stack.api.script(hold=False)
        ended = [each.result() for each in (first, second)]
    assert [in_order(each)[-1] for each in ended] == ["RUN_FINISHED"] * 2
    assert [each[-1].result["number"] for each in ended] == [1, 2]
    assert texts(ended[1])[-1] == "Answer to: start: And then?"


def test_a_long_text_comes_piece_by_piece_and_whole_once(served: Served) -> None:
    served.stack.api.script(rules=[{"user": "a long story", "size": 600, "piece": 20, "pace": 0.08}])
    events = talk(served, "thread-2", "run-1", "Tell a long story.")
    assert in_order(events).count("TEXT_MESSAGE_CONTENT") > 1
    (text,) = texts(events)
    assert text.startswith("Answer to: start: Tell a long story.")
    assert len(text) == 600


def test_a_tool_call_is_told_with_its_result(served: Served) -> None:
    served.stack.api.script(
        rules=[{"user": "which files", "tool": "list_files", "input": {"pattern": "**/*"}, "before_turn": 1}]
    )
    events = talk(served, "thread-3", "run-1", "Say which files there are.", agent="file-clerk")
    kinds = in_order(events)
    assert [kind for kind in kinds if kind.startswith("TOOL")] == [
        "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT",
    ]  # fmt: skip
    called = next(event for event in events if event.type.value == "TOOL_CALL_START")
    assert called.tool_call_name == "list_files"


def test_a_run_that_fails_is_an_error(served: Served) -> None:
    served.stack.api.script(rules=[{"user": "impossible", "status": 400, "message": "no such thing"}])
    events = talk(served, "thread-4", "run-1", "Do the impossible.")
    assert in_order(events)[-1] == "RUN_ERROR"
    assert "no such thing" in events[-1].message
    nothing = served.ask("POST", "/agui/researcher", {"threadId": "t", "runId": "r", "messages": []})
    assert nothing.status_code == 422


def test_the_client_from_npm_talks_and_takes_every_event(served: Served) -> None:
    """It checks the order of events itself (`verifyEvents`), and keeps the messages as a chat interface shows them."""
    served.stack.api.script(
        rules=[{"user": "which files", "tool": "list_files", "input": {"pattern": "**/*"}, "before_turn": 1}]
    )
    node = needed(AGUI)
    said = ("Say which files there are.", "And now?")
    command = [node, "talk.js", f"{served.url}/agui/file-clerk", served.tokens["start"], "npm-1", *said]
    done = subprocess.run(command, cwd=AGUI.npm, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    *events, kept = map(json.loads, done.stdout.splitlines())
    assert [event["type"] for event in events].count("RUN_FINISHED") == len(said)
    roles = [message["role"] for message in kept["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert kept["messages"][-1]["content"] == "Answer to: start: And now?"
    assert kept["state"]["steps"][0]["agent"] == "file-clerk"

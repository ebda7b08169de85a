"""Watching real runs: each change told once, through retries, crashes and continue-as-new; texts as they come; saved views."""

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from outlast.contracts import SEARCH_ATTRIBUTES
from outlast.tracing.live_text_activities import BATCH
from tests.conftest import binary
from tests.processes import PROJECT, running_starter
from tests.stacks import Stack, whole_stack

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("watching")]

TEXT = " ".join(f"Sentence {n} is of no weight." + ("\n\n" if n % 4 == 3 else "") for n in range(47))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    options = [part for each in SEARCH_ATTRIBUTES.items() for part in ("--search-attribute", "=".join(each))]
    options += ["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=30"]
    directory = tmp_path_factory.mktemp("stack")
    with whole_stack(directory, options=options, HEARTBEAT_TIMEOUT="3") as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    with whole.lent():
        yield whole


def planned(stack: Stack, run: str, *steps: dict[str, Any]) -> None:
    """Start a plan of one's own and leave."""
    file = stack.directory / f"{run}.json"
    file.write_text(json.dumps(steps))
    stack.done("plan", "--plan", str(file), "--id", run, "--detach")


def written(stack: Stack, run: str) -> tuple[str, float]:
    """Return every event of a run in words, and how many seconds it took; Temporal's own commands show payloads in base64."""

    async def history() -> Sequence[HistoryEvent]:
        client = await Client.connect(stack.server.address)
        return (await client.get_workflow_handle(run).fetch_history()).events

    events = asyncio.run(history())
    took = events[-1].event_time.ToDatetime() - events[0].event_time.ToDatetime()
    return "".join(map(str, events)), took.total_seconds()


def said(lines: list[str], label: str) -> str:
    """Put a text together again from the lines that were shown of it since its last new attempt."""
    told = [line.removeprefix(f"{label} ") for line in lines if line.startswith(f"{label} ")]
    again = [at for at, line in enumerate(told) if line.startswith("↺")]
    text = ""
    for line in told[again[-1] + 1 if again else 0 :]:
        if line.startswith(("│ ", "┆ ")):
            text += ("\n" if line[0] == "│" and text else "") + line[2:]
    return text


def test_texts_are_shown_as_they_come_and_once_also_where_an_attempt_broke_off(stack: Stack, tmp_path: Path) -> None:
    slow = {"text": TEXT, "piece": 25, "pace": 0.01}
    refused = {"user": "Write", "system": "esearch", "status": 400, "error_type": "invalid_request_error", "times": 1}
    stack.api.script(rules=[refused, {**slow, "breaks": "connection", "keeps": "seen", "times": 1}, slow])
    planned(
        stack,
        "streamed",
        {"step": "a", "agent": "researcher", "input": "Find."},
        {"step": "b", "agent": "researcher", "input": "Write.", "depends_on": ["a"]},
    )
    with running_starter(tmp_path, "watch", "streamed", "--stream", env=stack.env, name="watch") as watching:
        watching.wait_until(lambda: "a · researcher │ Sentence 0" in watching.output, "the text begins to be shown")
        assert "done · a" not in watching.output, "it is shown while the call runs"
        stack.api.script(release=["seen"])
        assert watching.wait(90) == 0, watching.output
    lines = watching.output.splitlines()

    again = [line for line in lines if " ↺ " in line]
    assert len(again) == 1
    assert again[0].startswith("a · researcher ↺ attempt 2, what stands above does not count: ")
    assert said(lines, "a · researcher") == TEXT
    assert said(lines, "b · generalist") == TEXT, "the fallback agent's text stands under its own name"
    assert any(line.startswith("b · researcher ✗ ") for line in lines)
    assert [line for line in lines if line.startswith("done · a · researcher · ") and " · 2 attempts · " in line]
    history, _ = written(stack, "streamed")
    assert "Sentence 0 is of" in history, "the summary of the answer, so that words can be found in it"
    assert "signaled" not in history
    assert "Sentence 20 is of" not in history, "what the broken attempt had written is in no event either"


def test_a_run_with_a_stream_shows_texts_whole_and_pays_for_it_in_events(stack: Stack, tmp_path: Path) -> None:
    # Faster than heartbeats can show without a gap.
    fast = {"text": TEXT * 6, "piece": 50, "pace": 0.05}
    stack.api.script(rules=[{**fast, "breaks": "connection", "keeps": "half", "times": 1}, fast])
    file = tmp_path / "plan.json"
    file.write_text(json.dumps([{"step": "a", "agent": "writer", "input": "Write."}]))
    stack.done("plan", "--plan", str(file), "--id", "published", "--stream", "--detach")
    with running_starter(tmp_path, "watch", "published", "--stream", env=stack.env, name="watch") as watching:
        watching.wait_until(lambda: "a · writer │ Sentence 0" in watching.output, "the text begins to be shown")
        stack.api.script(release=["half"])
        assert watching.wait(90) == 0, watching.output
    lines = watching.output.splitlines()

    assert said(lines, "a · writer") == TEXT * 6
    assert " … " not in watching.output
    assert sum(" ↺ attempt 2, what stands above does not count: " in line for line in lines) == 1
    history, seconds = written(stack, "published")
    assert 2 <= history.count("EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED") <= seconds / BATCH
    assert "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE" not in history, "watching it leaves nothing"


def test_a_watched_run_outlasts_worker_and_server_and_shows_what_waits_for_whom(stack: Stack, tmp_path: Path) -> None:
    act = {"step": "act", "agent": "writer", "input": "Act.", "confirm": True, "depends_on": ["look"]}
    planned(stack, "gated", {"step": "look", "agent": "writer", "input": "Look."}, act)
    with running_starter(tmp_path, "watch", "gated", env=stack.env, name="watch") as watching:
        watching.wait_until(lambda: "waits for a person" in watching.output, "the gate is shown")
        stack.worker.kill()
        watching.wait_until(lambda: "no worker answers" in watching.output, "it says so")
        stack.server.kill()
        watching.wait_until(lambda: "the server does not answer" in watching.output, "it says so")
        stack.server.start()
        watching.wait_until(lambda: "the server answers again" in watching.output, "it says so")
        stack.worker.start()
        watching.wait_until(lambda: "a worker answers again" in watching.output, "it says so")
        stack.done("approve", "gated", "--as", "ann")
        assert watching.wait(60) == 0, watching.output
    lines = watching.output.splitlines()

    gate = next(line for line in lines if "waits for a person" in line)
    assert re.search(
        r"· until [0-9: -]+ UTC \((5 min 00|4 min \d\d) s left\) → python starter.py approve gated gate-1$", gate
    ), gate
    assert [line for line in lines if line.startswith("done · look · writer · ") and line.endswith(" · 1 of 2 steps")]
    assert "gate-1 is over" in lines
    assert lines[-1].startswith("gated is done (completed · 2 of 2 steps · 2 calls · ")
    assert len(lines) == len(set(lines)), "nothing is said twice"


def test_a_run_that_continues_as_new_is_one_run(stack: Stack, tmp_path: Path) -> None:
    stack.api.script(hold=True, rules=[{"tool": "Glob", "input": {"pattern": "*"}, "before_turn": 12}, {"text": TEXT}])
    stack.done("agent", "file-clerk", "Look.", "--id", "session", "--detach")

    with running_starter(tmp_path, "watch", "session", "--stream", env=stack.env, name="watch") as watching:
        watching.wait_until(lambda: "running · session" in watching.output, "its first part is watched")
        stack.api.script(hold=False)
        assert watching.wait(90) == 0, watching.output
    lines = watching.output.splitlines()
    first = stack.temporal("workflow", "list", "--query", "WorkflowId = 'session'", "-o", "json")
    assert len(json.loads(first)) > 1, "it did continue as new"
    assert sum("→ calls " in line for line in lines) == 12, watching.output
    assert said([line for line in lines if "→" not in line], "session · file-clerk").endswith(TEXT)
    assert lines[-1].startswith("session is done (completed · 1 of 1 steps · ")


def test_all_runs_are_watched_at_once_and_found_by_the_saved_views(stack: Stack, tmp_path: Path) -> None:
    look = {"step": "look", "agent": "writer", "input": "Look."}
    with running_starter(tmp_path, "watch", "--all", env=stack.env, name="all") as watching:
        planned(stack, "waiting", look | {"confirm": True})
        watching.wait_until(lambda: "waiting: gate-1 waits for a person" in watching.output, "its gate is shown")
        refused = {"user": "Bad", "status": 400, "error_type": "invalid_request_error"}
        dear = {"user": "Dear", "text": "Gold.", "usage": {"output_tokens": 10_000_000}}
        stack.api.script(rules=[refused, dear])
        planned(stack, "broken", look | {"input": "Bad."})
        planned(stack, "half", look, {"step": "bad", "agent": "writer", "input": "Bad."})
        planned(stack, "dear", look | {"input": "Dear."})
        for run, outcome in {"broken": "failed", "half": "partial", "dear": "completed"}.items():
            ended = f"{outcome} · {run} · PlanAndExecute · "
            watching.wait_until(lambda ended=ended: ended in watching.output, f"{run} has ended")  # type: ignore[misc]
        watching.send(signal.SIGINT)
        assert watching.wait() == 130
    told = watching.output.splitlines()
    assert len(told) == len(set(told)), "nothing is said twice"
    assert sum(line.endswith("→ python starter.py result broken") for line in told) == 1
    assert stack.json("status", "waiting")["state"] == "running", "Ctrl-C leaves the runs alone"

    found = views(stack)
    assert "waiting" in found["waits for people"]
    assert "waiting" in found["must be decided within the hour"]
    assert "broken" in found["failed within a week"]
    assert "half" in found["ended with a part missing"]
    assert "dear" in found["cost more than a dollar"]
    assert {"waiting", "broken", "half", "dear"} <= found["plans of the last hour"]
    assert "waiting" not in found["failed within a week"] | found["cost more than a dollar"]
    assert "dear" not in found["waits for people"] | found["must be decided within the hour"]


def views(stack: Stack) -> dict[str, set[str]]:
    """Run every query of the guide in a shell, as it stands there; returns the runs that each finds, by its name."""
    block = re.search(r"## Saved views.*?```sh\n(# .*?)```", (PROJECT / "docs/watching.md").read_text(), re.DOTALL)
    assert block is not None
    found = {}
    for name, command in re.findall(r"# (.*)\n(temporal .*)", block[1]):
        path = f"{Path(binary('temporal')).parent}:{stack.env['PATH']}"
        asked = ["bash", "-c", f"{command} -o json"]
        shown = subprocess.run(asked, env=stack.env | {"PATH": path}, capture_output=True, text=True, check=True).stdout
        found[name] = {run["execution"]["workflowId"] for run in json.loads(shown or "[]")}
    assert len(found) >= 6
    return found

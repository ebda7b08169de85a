"""An agent without a tool that its file names: every pattern says so in its result and is `partial`, and nothing else changes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.search.contracts import SourceKind
from outlast.agents.files import DEFAULTS
from outlast.agents.sessions import AgentSessionRequest
from outlast.consensus.votes import ConsensusRequest, Voter
from outlast.contracts import Part, Plan, PlanRequest, PlanResult, PlanStep, RunState, RunStatus
from outlast.documents.contracts import DocumentSource
from outlast.errors import ErrorKind, kind_of, non_retryable, retryable
from outlast.llm.base import ModelCall
from outlast.routing.requests import RequestText, RouteRequest
from outlast.stages.contracts import Stage, StagedRequest
from outlast.testing.messages_api.bodies import smallest
from outlast.tools.activities import ToolActivities
from tests.real_process import PROJECT
from tests.workflow.choosing.researching import Given, citing, hit
from tests.workflow.conftest import Runner
from tests.workflow.talking.test_agent_session import calls, in_turn, task
from workflows.agent_session import AgentSessionWorkflow
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.contracts.documents import DocumentAnalysisRequest
from workflows.contracts.research import ResearchRequest, SourcePlan
from workflows.document_analysis import DocumentAnalysisWorkflow
from workflows.parallel_research import ParallelResearchWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.request_handling import RequestHandlingWorkflow
from workflows.staged_delivery import StagedDeliveryWorkflow

GONE = "mcp__gone__search"
LACKS = f"{GONE} (no MCP server 'gone' is configured)"


def lacking(runner: Runner, directory: Path, agent: str, tools: str) -> Runner:
    """Give one agent of ours tools."""
    shutil.copytree(PROJECT / "agents", directory)
    file = directory / f"{agent}.md"
    base = file if file.exists() else DEFAULTS / file.name
    kept = "\n".join(line for line in base.read_text().split("\n") if not line.startswith("tools:"))
    file.write_text(kept.replace(f"name: {agent}\n", f"name: {agent}\ntools: {tools}\n", 1))
    return Runner(runner.env, runner.settings.model_copy(update={"agents_dir": directory}), runner.store)


def smallest_answer(call: ModelCall) -> str:
    """Answer with the least that fits; plans have one step for the writer."""
    schema = call.output_schema
    if schema is None:
        return "Done."
    plan = {"steps": [{"step": "1", "agent": "writer", "input": "go", "depends_on": []}]}
    return json.dumps(plan if "steps" in schema["properties"] else smallest(schema))


def plan(agent: str) -> Plan:
    return Plan(steps=(PlanStep(step="1", agent=agent, input="go"),))


PATTERNS: dict[str, tuple[Callable[..., Any], Any, str]] = {
    "session": (AgentSessionWorkflow.run, AgentSessionRequest(agent="writer", task="Write"), "writer"),
    "given plan": (PlanAndExecuteWorkflow.run, PlanRequest(plan=plan("writer")), "writer"),
    "planned": (PlanAndExecuteWorkflow.run, PlanRequest(task="Write"), "writer"),
    "planner": (PlanAndExecuteWorkflow.run, PlanRequest(task="Write"), "planner"),
    "staged": (
        StagedDeliveryWorkflow.run,
        StagedRequest(task="Write", stages=(Stage(name="draft", goal="a text", agents=("writer",)),)),
        "writer",
    ),
    "route": (
        RequestHandlingWorkflow.run,
        RouteRequest(requests=(RequestText(name="r", text=Part(text="I was charged twice")),)),
        "general-inquiry",
    ),
    "consensus": (
        ConsensusAnalysisWorkflow.run,
        ConsensusRequest(
            question="Is it so?",
            options=("yes", "no"),
            voters=tuple(Voter(agent=name) for name in ("analyst", "sceptic")),
        ),
        "sceptic",
    ),
}


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_a_tool_that_an_agent_names_and_lacks_makes_the_run_partial(
    runner: Runner, tmp_path: Path, pattern: str
) -> None:
    workflow, request, agent = PATTERNS[pattern]
    whole, _ = await runner.run(smallest_answer, workflow, request)
    assert (whole.state, whole.tools_missing) == (RunState.COMPLETED, ())
    ours = lacking(runner, tmp_path / "agents", agent, f"Read, {GONE}")
    async with ours.worker(smallest_answer) as llm:
        handle = await ours.start(workflow, request)
        result = await handle.result()
        status = await handle.query("status", result_type=RunStatus)
    assert (result.state, result.tools_missing) == (RunState.PARTIAL, (f"{agent}: {LACKS}",))
    assert (status.state, status.tools_missing, status.notices) == (RunState.PARTIAL, result.tools_missing, ())
    assert any(tool.name == "read_file" for call in llm.calls for tool in call.tools)


async def test_documents_and_research_say_so_as_well(runner: Runner, tmp_path: Path) -> None:
    ours = lacking(runner, tmp_path / "agents", "summariser", GONE)
    text = b"# Lease\n\nThe tenant shall pay rent.\n"
    document = DocumentSource(name="lease.md", ref=await runner.store.put(text), size=len(text))
    result, _ = await ours.run(
        smallest_answer, DocumentAnalysisWorkflow.run, DocumentAnalysisRequest(documents=(document,))
    )
    assert (result.state, result.tools_missing) == (RunState.PARTIAL, (f"summariser: {LACKS}",))
    ours = lacking(runner, tmp_path / "others", "synthesiser", GONE)
    asked = ResearchRequest(topic="tides", sources=(SourcePlan(source=SourceKind.WEB),), more_rounds=0)
    async with ours.worker(citing, {SourceKind.WEB: Given(hits=(hit("Tides"),))}):
        found = await (await ours.start(ParallelResearchWorkflow.run, asked)).result()
    assert (found.state, found.tools_missing) == (RunState.PARTIAL, (f"synthesiser: {LACKS}",))


@pytest.mark.parametrize(
    ("tools", "missing"),
    [
        ("Read, TodoWrite, Task", ()),
        ("TodoWrite", ("writer: TodoWrite (nothing of it can be used here)",)),
        ("Read, Bash", ("writer: Bash",)),
        ("WebFetch", ("writer: WebFetch (the worker has no FETCH_ALLOW)",)),
        ("*", ()),
    ],
)
async def test_only_what_an_agent_needs_counts(
    runner: Runner, tmp_path: Path, tools: str, missing: tuple[str, ...]
) -> None:
    ours = lacking(runner, tmp_path / "agents", "writer", tools)
    result, _ = await ours.run(smallest_answer, PlanAndExecuteWorkflow.run, PlanRequest(plan=plan("writer")))
    assert result.tools_missing == missing
    assert result.state is (RunState.PARTIAL if missing else RunState.COMPLETED)


async def test_a_failed_run_says_so_as_well(runner: Runner, tmp_path: Path) -> None:
    ours = lacking(runner, tmp_path / "agents", "summariser", f"Read, {GONE}")

    def refusing(call: ModelCall) -> str:
        raise non_retryable(ErrorKind.MODEL_REJECTED, "not today")

    with pytest.raises(WorkflowFailureError) as caught:
        await ours.run(refusing, PlanAndExecuteWorkflow.run, PlanRequest(plan=plan("summariser")))
    assert kind_of(caught.value.cause) is ErrorKind.MODEL_REJECTED
    assert isinstance(caught.value.cause, ApplicationError)
    left = PlanResult.model_validate(caught.value.cause.details[0])
    assert (left.state, left.tools_missing) == (RunState.FAILED, (f"summariser: {LACKS}",))


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_server_that_is_lost_in_the_middle_counts_until_it_answers_again(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    away = [True]
    reading, calling = ToolActivities.read_toolset, ToolActivities._call

    async def call(self: ToolActivities, request: Any) -> Any:
        if away[0]:
            raise retryable(ErrorKind.TOOL_UNAVAILABLE, "the MCP server files does not answer")
        return await calling(self, request.model_copy(update={"server": "", "effect": None}))

    async def toolset(self: ToolActivities, request: Any) -> Any:
        found = await reading(self, request)
        cards = tuple(card.model_copy(update={"server": "files"}) for card in found.tools)
        return found.model_copy(update={"tools": cards})

    monkeypatch.setattr(ToolActivities, "_call", call)
    toolset.__annotations__ = reading.__annotations__

    monkeypatch.setattr(ToolActivities, "read_toolset", activity.defn(name="read_toolset")(toolset))

    def script(model: ModelCall) -> Any:
        turn = sum(message["role"] == "assistant" for message in model.history)
        away[0] = away[0] and not (comes_back and turn)
        return in_turn(calls(("list_files", {}), turn=1), calls(("list_files", {}), turn=2), "Done.")(model)

    result, _ = await runner.run(script, AgentSessionWorkflow.run, task())
    assert result.state is (RunState.COMPLETED if comes_back else RunState.PARTIAL)
    missing = () if comes_back else ("file-clerk: list_files (the MCP server files does not answer)",)
    assert result.tools_missing == missing

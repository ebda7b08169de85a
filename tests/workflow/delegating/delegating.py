"""Agents that ask one another, scripted: a lead, a clerk with tools of its own, and a thinker."""

from pathlib import Path
from typing import Any

from outlast.agents.sessions import AgentSessionRequest
from outlast.contracts import Plan, PlanRequest, PlanStep
from outlast.llm.base import ModelCall, ModelReply
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.people.steering import status_when
from tests.workflow.talking.test_agent_session import calls, results
from workflows.agent_session import AgentSessionWorkflow

SESSION = AgentSessionWorkflow.run

FILES = "tools: [Write, Read]"

AGENTS = {"lead": "agents: [clerk, thinker]", "clerk": FILES, "thinker": "model: opus"}


def who(call: ModelCall) -> str:
    return call.system.removeprefix("You are ").removesuffix(".")


def turn(call: ModelCall) -> int:
    return sum(message["role"] == "assistant" for message in call.history)


def asks(*tasks: tuple[str, str], at: int = 0) -> ModelReply:
    return calls(*((f"ask_{agent}", {"task": text}) for agent, text in tasks), turn=at)


def writes(name: str, at: int = 5) -> ModelReply:
    return calls(("write_file", {"path": f"{name}.md", "content": name}), turn=at)


def scripted(first: ModelReply, clerk: Any = None, *more: Any) -> Any:
    """Let the lead ask, and then say what it was answered; a clerk writes a file named by its task."""

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            said = [block["content"] for block in results(call)]
            replies = (first, *more, " | ".join(map(str, said)))
            return replies[turn(call)]
        if who(call) == "clerk":
            if clerk is not None:
                return clerk(call)
            name = str(call.messages[0][1]).split()[-1] if not call.history else "x"
            return writes(name) if turn(call) == 0 else "written"
        return f"{who(call)} thinks"

    return script


def session(**fields: Any) -> AgentSessionRequest:
    return AgentSessionRequest(agent="lead", task="Lead", **fields)


def ours(runner: Runner, tmp_path: Path, agents: Any = None) -> Runner:
    return with_agents(runner, tmp_path / "agents", agents or AGENTS)


def plan(*agents: str, **fields: Any) -> PlanRequest:
    steps = tuple(PlanStep(step=f"s{at}", agent=agent, input="Go") for at, agent in enumerate(agents))
    return PlanRequest(plan=Plan(steps=steps), **fields)


SHOUT = ("shout", {"text": "hello"})


def shouts(call: ModelCall) -> Any:
    return calls(SHOUT, turn=7) if not call.history else str(results(call)[-1]["content"])


async def at_gate(handle: Any) -> None:
    await status_when(handle, lambda status: status.gates)


async def waits_below(handle: Any) -> Any:
    return (await status_when(handle, lambda status: status.below)).below[0]

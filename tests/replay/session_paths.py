"""The paths of sessions: tools, their errors, limits, summing up, cancelling, going on; and of fallback chains."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle

from outlast.agents.sessions import SessionLimits, SessionProgress
from outlast.contracts import ROLL_BACK_ALL, Extent, Plan, PlanRequest, PlanStep, RollbackPolicy, StopReason, Usage
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import Script
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.people.steering import status_when
from tests.workflow.talking.chats import Chat, Chatting, pay, talk
from tests.workflow.talking.test_agent_session import SESSION, WRITING, calls, failing, in_turn, task
from tests.workflow.undo.test_rollback_asked import files_plan, writing_step
from workflows.plan_and_execute import PlanAndExecuteWorkflow

PLAN = PlanAndExecuteWorkflow.run
LISTING = calls(("list_files", {}))


def session(script: Callable[[], Script], *, cancel: bool = False, **fields: Any) -> Path:
    async def request(runner: Runner) -> Any:
        return task(**fields)

    return Path(SESSION, request, script, cancel)


def conversation(*kinds: str, **fields: Any) -> Path:
    """Let people talk to an agent: a turn of each kind, then the end."""
    agent = Chatting()

    async def people(handle: "WorkflowHandle[Any, Any]") -> None:
        chat = Chat(handle, agent)
        for kind in kinds:
            await chat.turn(kind)
        await handle.execute_update("end")

    async def request(runner: Runner) -> Any:
        return talk(agent="clerk", **fields)

    agents = {"clerk": "tools: list_files, pay, ask_person"}
    return Path(SESSION, request, lambda: agent, people=people, agents=agents, tools=(pay,))


def chain(script: Callable[[], Script], *, local: bool = True, **agents: str) -> Path:
    """Ask agent `a` in a plan of one step."""

    async def request(runner: Runner) -> PlanRequest:
        return PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent="a", input="Hello?"),)))

    return Path(PLAN, request, script, local=local, agents=agents)


async def _in_plan(runner: Runner) -> PlanRequest:
    return PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent="file-clerk", input="Write"),)))


async def _undone_in_part(runner: Runner) -> PlanRequest:
    return PlanRequest(plan=files_plan(("one", ()), ("bad", ())), on_failure=ROLL_BACK_ALL)


async def _back_to_one(runner: Runner) -> PlanRequest:
    policy = RollbackPolicy(extent=Extent.TO_CHECKPOINT, checkpoint="one")
    return PlanRequest(plan=files_plan(("one", ()), ("two", ("one",)), ("bad", ("two",))), on_failure=policy)


def filling(call: ModelCall) -> ModelReply | str:
    """Fill the window, sum up, and end."""
    if "Sum up for yourself" in str(call.history[-1:]):
        return "Nothing there."
    if "what you have done so far" in " ".join(text for _, text in call.messages):
        return "Done."
    return calls(("list_files", {}), tokens=4096)


def overflowing(call: ModelCall) -> ModelReply | str:
    """Refuse a conversation that does not fit, until it is summed up."""
    if "Sum up for yourself" in str(call.history[-1:]):
        return "Nothing there."
    if call.history:
        raise non_retryable(ErrorKind.CONTEXT_EXCEEDED, "prompt is too long")
    return "Done." if "what you have done so far" in " ".join(text for _, text in call.messages) else LISTING


def holding(call: ModelCall) -> Any:
    return WRITING[0] if not call.history else asyncio.sleep(3600, "never")


def asking_back(send: Callable[["WorkflowHandle[Any, Any]"], Awaitable[Any]]) -> Script:
    """Change a file, then have a person ask for the rollback while the model is still at its next turn."""

    async def hold() -> str:
        await send(activity.client().get_workflow_handle(activity.info().workflow_id or ""))
        await asyncio.sleep(3600)
        return "never"

    return lambda call: hold() if call.history else WRITING[0]


def refusing(call: ModelCall) -> ModelReply:
    if not call.history:
        return LISTING
    return ModelReply("", StopReason.REFUSAL, Usage(input_tokens=5), call.model)


def leading(call: ModelCall) -> Any:
    """Ask an agent with tools and one without, side by side, and hand the conversation over."""
    who = call.system.removeprefix("You are ").removesuffix(".")
    if who == "b":
        return in_turn(*WRITING)(call)
    if who != "a":
        return "Thought."
    asked = calls(("ask_b", {"task": "Write"}), ("ask_c", {"task": "Think"}), turn=7)
    return calls(("hand_over_to_d", {"reason": "it knows"}), turn=8) if call.history else asked


def paying(call: ModelCall) -> Any:
    """Have two agents pay side by side, and pay as well."""
    if "You are b" in call.system:
        return calls(("pay", {"amount": 5})) if not call.history else "Paid."
    turn = sum(message["role"] == "assistant" for message in call.history)
    both = calls(("ask_b", {"task": "Pay"}), ("ask_b", {"task": "Pay too"}), turn=7)
    return (both, calls(("pay", {"amount": 6}), turn=8), "Done.")[turn]


async def approving_for_all(handle: "WorkflowHandle[Any, Any]") -> None:
    """Approve at the gate of one of them, within bounds, what the other and the one that asks may do as well."""
    status = await status_when(handle, lambda status: len(status.below) == 2)
    one = handle._client.get_workflow_handle(status.below[0].run)
    await one.signal("approve", {"by": "ann", "stop_asking": {"at_most": {"amount": 10}}})


REFUSED = ModelReply("", StopReason.REFUSAL, Usage(input_tokens=5), "m")
SESSION_PATHS: dict[str, Path] = {
    "session-tools": session(lambda: in_turn(*WRITING)),
    "session-tool-errors": session(
        lambda: in_turn(
            calls(("read_file", {"path": "no.md"}), ("read_file", {"file": 1}), ("launch_rocket", {}), turn=1),
            "It is not there.",
        )
    ),
    "session-turns-used-up": session(lambda: lambda _: LISTING, limits=SessionLimits(turns=2)),
    "session-tokens-used-up": session(lambda: lambda _: LISTING, limits=SessionLimits(tokens=20)),
    "session-summed-up": session(lambda: filling),
    "session-overflows": session(lambda: overflowing),
    "session-cancelled-in-a-call": session(lambda: holding, cancel=True),
    "session-refused": session(lambda: refusing),
    "session-goes-on": session(
        lambda: in_turn("Gone on."), text="And now?", continues=SessionProgress(turns=3, tool_calls=2)
    ),
    "session-rolled-back": session(lambda: in_turn(WRITING[0], REFUSED), on_failure=ROLL_BACK_ALL),
    "session-cancelled-and-rolled-back": session(lambda: holding, cancel=True, on_failure=ROLL_BACK_ALL),
    "session-stopped-and-rolled-back": session(
        lambda: in_turn(*WRITING), on_failure=ROLL_BACK_ALL, limits=SessionLimits(turns=2)
    ),
    "session-rolled-back-by-signal": session(lambda: asking_back(lambda run: run.signal("rollback"))),
    "session-rolled-back-by-update": session(lambda: asking_back(lambda run: run.execute_update("rollback"))),
    "plan-rolled-back-in-part": Path(PLAN, _undone_in_part, lambda: writing_step),
    "plan-back-to-a-checkpoint": Path(PLAN, _back_to_one, lambda: writing_step),
    "session-conversation": conversation("plain", "slow", "hold", "pay", "plain"),
    "session-conversation-asks-a-person": conversation("plain", "ask", "wrong", "plain"),
    "session-conversation-answered-at-once": conversation("ask at once", "hold", "plain"),
    "session-unknown-agent": session(lambda: in_turn("never"), agent="nobody"),
    "plan-with-tools": Path(PLAN, _in_plan, lambda: in_turn(*WRITING)),
    "plan-delegating": chain(
        lambda: leading, a="agents: [b, c]\nhandoff: d", b="tools: Write, Glob", c="color: red", d="color: blue"
    ),
    "plan-deciding-together": replace(
        chain(lambda: paying, a="agents: b\ntools: pay", b="tools: pay"), tools=(pay,), people=approving_for_all
    ),
    "plan-fallback-model": chain(lambda: failing("claude-sonnet-5-5"), local=False, a="fallback: 'model:opus'"),
    "plan-fallback-canned": chain(lambda: failing("a"), a="fallback: 'say: We will write to you.'"),
    "plan-fallback-person": chain(lambda: failing("a"), a="fallback: person"),
    "plan-person-told": replace(chain(lambda: failing("a"), a="fallback: person"), answers=("It is me.",)),
}

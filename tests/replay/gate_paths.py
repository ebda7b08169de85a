"""The paths of gates where agents act: tool calls, confirmed steps, ties and stuck undos, decided in every way."""

from collections.abc import Callable
from typing import Any

from outlast.consensus.votes import OnTie
from outlast.contracts import ROLL_BACK_ALL, Effect, GatePolicy, OnTimeout, PlanRequest
from outlast.llm.scripted import Script
from outlast.tools.tool import ToolError, Undo, tool
from tests.replay.consensus_paths import consensus, divided
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.people.gating import waiting
from tests.workflow.people.test_gated_actions import confirmed
from tests.workflow.talking.test_agent_session import calls, in_turn, task
from tests.workflow.undo.rolling_back import PLAN, REFUSAL, SESSION, Words, shout

AGENT = {"a": "tools: Write, shout, paint"}
TWO_OF_THREE = GatePolicy(needed=2, eligible=("ann", "bob", "eve"))
ESCALATED = GatePolicy(
    eligible=("ann",), escalate_after=100, escalate_to=("boss",), remind_every=60, on_timeout=OnTimeout.ESCALATE
)
SEEN = {"by": "ann"}


@tool(effect=Effect.WRITE, undo="unpaint", prepare=lambda arguments, _: Undo({"text": arguments.text}))
def paint(arguments: Words) -> str:
    """Paint a text."""
    return "painted"


@tool()
def unpaint(arguments: Words) -> str:
    """Take the paint off: it never comes off."""
    raise ToolError("the paint is dry")


def shouting() -> Script:
    return in_turn(calls(("shout", {"text": "fire"}), turn=1), "Done.")


def session(
    *decisions: tuple[str, Any], script: Callable[[], Script] = shouting, cancel: Any = None, **fields: Any
) -> Path:
    async def request(runner: Runner) -> Any:
        return task(agent="a", **fields)

    return Path(
        SESSION, request, script, agents=AGENT, tools=(shout, paint, unpaint), decisions=decisions, people=cancel
    )


def plan(*decisions: tuple[str, Any], **fields: Any) -> Path:
    async def request(runner: Runner) -> PlanRequest:
        return confirmed(**fields)

    return Path(PLAN, request, lambda: lambda _: "said", decisions=decisions)


async def _cancelled(handle: Any) -> None:
    await waiting(handle)
    await handle.cancel()


def _painting() -> Script:
    return in_turn(calls(("paint", {"text": "x"}), turn=1), REFUSAL)


GATE_PATHS: dict[str, Path] = {
    "gate-tool-approved": session(("approve", {"by": "ann"})),
    "gate-tool-denied": session(("deny", "bob")),
    "gate-tool-denied-rolls-back": session(("deny", "bob"), on_denied=ROLL_BACK_ALL),
    "gate-tool-timed-out": session(),
    "gate-tool-edited": session(("approve", SEEN | {"edit": {"text": "hush"}}), ("approve", {"by": "bob"})),
    "gate-tool-two-approvers": session(("approve", {"by": "eve"}), ("approve", {"by": "bob"}), gate=TWO_OF_THREE),
    "gate-tool-escalated": session(gate=ESCALATED),
    "gate-tool-halts": session(gate=GatePolicy(on_timeout=OnTimeout.HALT)),
    "gate-tool-impossible": session(gate=GatePolicy(eligible=("ann",)), requester="ann"),
    "gate-tool-allowed": session(allowed=("shout",)),
    "gate-tool-cancelled": session(cancel=_cancelled),
    "gate-step-approved": plan(("approve", {"by": "ann"})),
    "gate-step-denied": plan(("deny", "bob"), on_failure=ROLL_BACK_ALL),
    "gate-step-edited": plan(("approve", SEEN | {"edit": {"input": "Act later."}}), ("approve", {"by": "bob"})),
    "gate-tie-chosen": consensus(divided(), on_tie=OnTie.PERSON, answers=("maybe", "no")),
    "gate-tie-silence": consensus(divided(), on_tie=OnTie.PERSON),
    "gate-undo-given-up": session(("deny", "bob"), script=_painting, on_failure=ROLL_BACK_ALL),
    "gate-undo-silence": session(script=_painting, on_failure=ROLL_BACK_ALL),
}

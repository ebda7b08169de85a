"""The paths of policy: halted whole, denied for good, planned around other failures only, and fallbacks that repeat nothing."""

from collections.abc import Callable
from typing import Any

from outlast.contracts import GatePolicy, OnFallback, OnStepFailure, OnTimeout, Plan, PlanRequest, PlanStep
from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.people.test_denials import MAIL, planned
from tests.workflow.talking.test_agent_session import calls, in_turn, task
from tests.workflow.undo.rolling_back import PLAN, REFUSAL, SESSION, shout
from tests.workflow.undo.test_repeated_acts import SHOUT, WRITE, each_says, one_step

TOOLS = "tools: Write, shout"
PAIR = {"a": f"{TOOLS}\nfallback: b", "b": TOOLS}
AGENTS = {"c": "", "d": "", "planner": ""}


def session(*decisions: tuple[str, Any], script: Callable[[], Script], **fields: Any) -> Path:
    async def request(runner: Runner) -> Any:
        return task(agent="b", **fields)

    return Path(SESSION, request, script, agents=PAIR, tools=(shout,), decisions=decisions)


def falling_back(*decisions: tuple[str, Any], **fields: Any) -> Path:
    async def request(runner: Runner) -> PlanRequest:
        return one_step(**fields)

    def script() -> Script:
        return each_says(
            a=[calls(WRITE, turn=1), calls(SHOUT, turn=2), REFUSAL], b=[calls(WRITE, SHOUT, turn=1), "All told."]
        )

    return Path(PLAN, request, script, agents=PAIR, tools=(shout,), decisions=decisions)


async def _denied_beside_a_failure(runner: Runner) -> PlanRequest:
    steps = (
        PlanStep(step="1", agent="c", input=MAIL, confirm=True),
        PlanStep(step="2", agent="c", input="And then?", depends_on=("1",)),
        PlanStep(step="3", agent="d", input="Write."),
    )
    return PlanRequest(task="t", plan=Plan(steps=steps), on_step_failure=OnStepFailure.REPLAN)


def _replanning() -> Script:
    asked: list[str] = []

    def script(call: ModelCall) -> Any:
        if call.system.startswith("You are planner"):
            asked.append(call.system)
            again = {"agent": "c", "input": MAIL, "confirm": True}
            return planned(again, {"agent": "d", "input": f"Please, {MAIL}"}, {"agent": "d", "input": "Write anew."})
        return REFUSAL if call.system.startswith("You are d") and not asked else "Done."

    return script


POLICY_PATHS: dict[str, Path] = {
    "policy-halted": session(script=lambda: in_turn(calls(SHOUT, turn=1)), gate=GatePolicy(on_timeout=OnTimeout.HALT)),
    "policy-denied-again": session(
        ("deny", "bob"), script=lambda: in_turn(calls(SHOUT, turn=1), calls(SHOUT, turn=2), "Quiet.")
    ),
    "policy-standing-approval": session(
        ("approve", {"by": "ann", "stop_asking": {"same": ["text"]}}),
        script=lambda: in_turn(*(calls(SHOUT, turn=turn) for turn in (1, 2, 3)), "Thrice."),
    ),
    "policy-fallback-told": falling_back(("approve", {"by": "ann"})),
    "policy-fallback-rolled-back": falling_back(("approve", {"by": "ann"}), on_fallback=OnFallback.ROLL_BACK),
    "policy-denied-and-replanned": Path(
        PLAN, _denied_beside_a_failure, _replanning, agents=AGENTS, decisions=(("deny", "bob"),)
    ),
}

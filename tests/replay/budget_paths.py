"""The paths of budgets: kept, raised, edited, denied, timed out; attempts that were paid, and prompts longer than guessed."""

from collections.abc import Callable
from typing import Any

from outlast.consensus.votes import ConsensusRequest, OnTie, Voter
from outlast.contracts import ROLL_BACK_ALL, Budget, Part, PlanRequest
from outlast.llm.scripted import Script
from tests.replay.path import Path
from tests.workflow.budget.budgeting import DEAR, FITS_SEVEN, breaking_once, chain, dear, fan_out
from tests.workflow.conftest import Runner
from tests.workflow.talking.test_agent_session import SESSION, WRITING, calls, in_turn, task
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow

PLAN = PlanAndExecuteWorkflow.run
ONE_CALL = Budget(calls=1)
WIDTH = 9


def plan(
    request: PlanRequest, *decisions: tuple[str, Any], script: Callable[[], Script] = lambda: dear, agent: str = DEAR
) -> Path:
    async def asked(runner: Runner) -> PlanRequest:
        return request

    return Path(PLAN, asked, script, local=False, agents={"a": agent}, decisions=decisions)


async def _session(runner: Runner) -> Any:
    return task(budget=ONE_CALL)


async def _rolled_back(runner: Runner) -> Any:
    return task(budget=ONE_CALL, on_failure=ROLL_BACK_ALL)


async def _long_material(runner: Runner) -> ConsensusRequest:
    kept = await runner.store.keep("word " * 8000)
    voters = (Voter(agent="analyst"), Voter(agent="sceptic"))
    budget = Budget(tokens=100_000, usd=1)
    material = Part(ref=kept.ref)
    return ConsensusRequest(question="Is it?", voters=voters, material=material, on_tie=OnTie.FLAG, budget=budget)


def _edited(more: dict[str, Any]) -> tuple[str, Any]:
    return "decide", {"verdict": "approve", "by": "alice", "edit": more}


BUDGET_PATHS: dict[str, Path] = {
    "budget-kept": plan(fan_out(2, Budget(usd=1))),
    "budget-raised": plan(fan_out(WIDTH, FITS_SEVEN), ("approve", {"by": "alice"})),
    "budget-denied": plan(fan_out(WIDTH, FITS_SEVEN), ("deny", "bob")),
    "budget-timed-out": plan(fan_out(WIDTH, FITS_SEVEN)),
    "budget-edited-twice": plan(chain(3, ONE_CALL), _edited({"calls": "many"}), _edited({"calls": 2})),
    "budget-attempt-paid": plan(fan_out(1, Budget(usd=1)), script=breaking_once),
    "budget-saves": plan(chain(3, Budget(usd=0.3, soft=0.5)), agent=f"{DEAR}\nfallback: 'model:haiku'"),
    "budget-prompt-longer": Path(ConsensusAnalysisWorkflow.run, _long_material, lambda: lambda _: '{"verdict": "yes"}'),
    "budget-likely": plan(fan_out(5, Budget(usd=0.1)), ("deny", "bob")),
    "budget-for-no-call": plan(fan_out(3, Budget(usd=0.001))),
    "budget-rolled-back": Path(SESSION, _rolled_back, lambda: in_turn(*WRITING), decisions=(("deny", "bob"),)),
    "budget-session-denied": Path(
        SESSION, _session, lambda: in_turn(calls(("list_files", {})), "never"), decisions=(("deny", "bob"),)
    ),
}

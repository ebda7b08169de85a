"""The paths of staged delivery and of its reviews."""

import asyncio
from collections.abc import Callable
from typing import Any

from outlast.contracts import Content
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from outlast.stages.contracts import Stage, StagedRequest, StageOutput
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.plans.staging import PRICES, RUN, asked, plan_json, refusing, scripted, stage
from tests.workflow.talking.test_agent_session import calls

DRAFT = StageOutput(stage="draft", content=Content(text="first draft"))
NO_CRITIC = non_retryable(ErrorKind.MODEL_REJECTED, "no critic today")
SIDE_BY_SIDE = plan_json((1, "writer", "do left", []), (2, "writer", "do right", []))
IN_TURN = plan_json((1, "writer", "do one", []), (2, "writer", "do two", [1]))
CIRCLE = plan_json((1, "writer", "do one", [2]), (2, "writer", "do two", [1]))


def staged(script: Callable[[], Script], *stages: Stage, cancel: bool = False, **fields: Any) -> Path:
    async def request(runner: Runner) -> StagedRequest:
        return StagedRequest.model_validate({"task": "Write about tides.", "stages": stages} | fields)

    return Path(RUN, request, script, cancel)


def reviewed(*scores: Any, revision: Any = None, **rubric: Any) -> Path:
    given = {"criteria": ("clear",), "good_enough": 80, "rounds": 2} | rubric
    return staged(
        lambda: scripted(scores=scores, revision=revision), stage("draft"), stage("review", rubric=given), done=(DRAFT,)
    )


def in_turn(*plans: str) -> Callable[[ModelCall], str]:
    left = list(plans)
    return lambda call: left.pop(0)


def refused(call: ModelCall) -> str:
    raise non_retryable(ErrorKind.MODEL_REJECTED, "not today")


def once(words: str) -> Callable[[ModelCall], str]:
    """Refuse the first two calls for this, the agent's and its fallback's."""
    left = [0, 0]

    def answer(call: ModelCall) -> str:
        if words in asked(call) and left:
            left.pop()
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not yet")
        return "at last"

    return answer


def typing(*answers: str) -> Callable[[ModelCall], str]:
    left = list(answers)
    return lambda call: left.pop(0) if call.output_schema else "prose"


def exhausted(call: ModelCall) -> Any:
    return calls(("list_files", {}), tokens=2_000_000)


STAGED_PATHS: dict[str, Path] = {
    "staged-default": staged(scripted),
    "staged-side-by-side": staged(lambda: scripted(lambda call: SIDE_BY_SIDE), stage("draft", max_steps=3)),
    "staged-sent-back": staged(lambda: scripted(in_turn(CIRCLE, IN_TURN)), stage("draft", max_steps=3)),
    "staged-fallback": staged(lambda: scripted(lambda call: CIRCLE), stage("draft", max_steps=3)),
    "staged-planner-fails": staged(lambda: scripted(refused), stage("draft", max_steps=3), stage("final")),
    "staged-typed": staged(
        lambda: scripted(lambda call: IN_TURN, typing('{"price": 59}')),
        stage("facts", max_steps=3, output_schema=PRICES),
        stage("final"),
    ),
    "staged-typed-mended": staged(
        lambda: scripted(work=typing('{"price": "dear"}', '{"price": 59}')), stage("facts", output_schema=PRICES)
    ),
    "staged-typed-never": staged(
        lambda: scripted(work=typing(*["{}"] * 3)), stage("facts", "generalist", output_schema=PRICES)
    ),
    "staged-typed-stopped": staged(lambda: exhausted, stage("facts", "file-clerk", output_schema=PRICES)),
    "staged-replanned": staged(
        lambda: scripted(in_turn(IN_TURN, plan_json((3, "writer", "do three", [1]))), refusing("do two")),
        stage("draft", max_steps=4, attempts=2),
    ),
    "staged-replan-fails": staged(
        lambda: scripted(in_turn(IN_TURN, CIRCLE, CIRCLE, CIRCLE), once("do two")),
        stage("draft", max_steps=4, attempts=2),
    ),
    "staged-tried-again": staged(lambda: scripted(work=once("'draft'")), stage("draft", attempts=2)),
    "staged-tried-again-after-fallback": staged(
        lambda: scripted(lambda call: CIRCLE, once("'draft'")), stage("draft", max_steps=3, attempts=2)
    ),
    "staged-fails": staged(
        lambda: scripted(work=refusing("'draft'")), stage("facts"), stage("draft", attempts=2), stage("final")
    ),
    "staged-fails-at-once": staged(
        scripted, stage("draft", attempts=2, output_schema={"type": "object", "properties": 3})
    ),
    "staged-goes-on": staged(scripted, stage("draft"), stage("final"), done=(DRAFT,)),
    "staged-nothing-left": staged(scripted, stage("draft"), done=(DRAFT,)),
    "staged-refused": staged(scripted, stage("draft", "nobody")),
    "staged-long-task": staged(scripted, stage("draft"), task="Write about tides. " * 100),
    "staged-cancelled": staged(
        lambda: scripted(work=lambda call: asyncio.sleep(3600, "late")), stage("draft"), stage("final"), cancel=True
    ),
    "review-good-enough": reviewed(80),
    "review-revised": reviewed(40, 85),
    "review-best-kept": reviewed(60, 30, 50, rounds=3),
    "review-unreviewed": reviewed(NO_CRITIC, NO_CRITIC),
    "review-critic-fails-later": reviewed(40, NO_CRITIC, NO_CRITIC),
    "review-writer-fails": reviewed(40, revision=refused),
    "review-own-draft": staged(
        lambda: scripted(scores=[70]), stage("brief", rubric={"criteria": ("clear",), "rounds": 1})
    ),
    "review-typed": staged(
        lambda: scripted(work=typing('{"price": 50}'), scores=[10, 95], revision=lambda call: '{"price": 60}'),
        stage("facts", rubric={"criteria": ("clear",), "rounds": 2}, output_schema=PRICES),
    ),
}

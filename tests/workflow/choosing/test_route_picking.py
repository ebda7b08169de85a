"""The primary model as router: it picks a tool for each route and fills it in; several, alone, none, wrong, and away."""

import asyncio
import json
from typing import Any

import pytest

from outlast.contracts import RunReport, RunState, StopReason, Usage
from outlast.llm.base import ModelCall, ModelReply
from tests.workflow.choosing.routing import (
    BILLING,
    GRAVE,
    TECHNICAL,
    TEXTS,
    asking,
    calls,
    handling,
    is_escalation,
    is_router,
    one,
    out_of_order,
    picking,
    route,
    said,
)
from tests.workflow.conftest import Runner

MATTER = {"matter": "charged twice"}
PROBLEM = {"problem": "it crashes"}


async def test_a_pick_reaches_its_handler_with_what_was_filled_in(runner: Runner) -> None:
    outcome, made = await one(runner, picking(calls(("billing", MATTER))), BILLING, router="llm")
    assert (outcome.category, outcome.confidence, outcome.notes) == ("billing", None, ())
    assert json.loads(await runner.text(outcome.answers[0].filled)) == MATTER
    assert made[0].tool_choice == "any"
    assert [tool.name for tool in made[0].tools] == [*TEXTS, "no_route_fits"]
    assert "charged twice" in said(made[1])
    assert len(made) == 2


async def test_several_picks_run_in_parallel(runner: Runner) -> None:
    both = asyncio.Barrier(2)

    def handler(call: ModelCall) -> Any:
        async def together() -> str:
            async with asyncio.timeout(20):
                await both.wait()
            return "fine"

        return together()

    script = picking(calls(("billing", MATTER), ("technical_support", PROBLEM)), handler=handler)
    outcome, _ = await one(runner, script, f"{BILLING} {TECHNICAL}", router="llm")
    assert [answer.category for answer in outcome.answers] == ["billing", "technical_support"]
    assert [answer.error for answer in outcome.answers] == ["", ""]


async def test_one_of_several_handlers_fails_alone(runner: Runner) -> None:
    def handler(call: ModelCall) -> str:
        return out_of_order(call) if call.system.startswith("You help customers") else handling(call)

    script = picking(calls(("billing", MATTER), ("technical_support", PROBLEM)), handler=handler)
    result, _ = await route(runner, script, asking(BILLING, router="llm"))
    assert result.state is RunState.PARTIAL
    assert result.outcomes[0].error == ""
    assert [bool(answer.error) for answer in result.outcomes[0].answers] == [False, True]


async def test_a_route_that_goes_alone_leaves_out_the_others(runner: Runner) -> None:
    script = picking(calls(("billing", MATTER), ("escalation_required", {"reason": "a threat"})))
    outcome, made = await one(runner, script, GRAVE, router="llm")
    assert [answer.category for answer in outcome.answers] == ["escalation_required"]
    assert outcome.answers[0].ticket is not None
    assert outcome.notes == ("escalation_required goes alone, so billing was left out",)
    assert [is_escalation(call) for call in made] == [False, True]


async def test_no_route_fits_is_a_pick_too(runner: Runner) -> None:
    outcome, _ = await one(runner, picking(calls(("no_route_fits", {"reason": "a poem"}))), "a poem", router="llm")
    assert outcome.category == "general_inquiry"
    assert "no route fits" in outcome.notes[0]
    assert "a poem" in outcome.notes[0]


async def test_an_invalid_input_goes_back_once_with_its_errors(runner: Runner) -> None:
    script = picking(calls(("billing", {"amount": 7}), turn=1), calls(("billing", MATTER), turn=2))
    outcome, made = await one(runner, script, BILLING, router="llm")
    assert outcome.category == "billing"
    assert json.loads(await runner.text(outcome.answers[0].filled)) == MATTER
    back = made[1].history[-1]["content"][0]
    assert back["is_error"] is True
    assert "'matter' is a required property" in back["content"]
    assert any("router: picks sent back (billing: " in note for note in outcome.notes)


async def test_a_good_pick_beside_a_bad_one_is_kept(runner: Runner) -> None:
    script = picking(
        calls(("billing", MATTER), ("technical_support", {}), turn=1), calls(("technical_support", PROBLEM), turn=2)
    )
    outcome, made = await one(runner, script, BILLING, router="llm")
    assert [answer.category for answer in outcome.answers] == ["billing", "technical_support"]
    told = made[1].history[-1]["content"]
    assert [block.get("is_error", False) for block in told] == [False, True]


@pytest.mark.parametrize("second", [calls(("billing", {}), turn=2), calls(("gardening", {}), turn=2), "no idea"])
async def test_what_is_wrong_twice_goes_to_the_general_handler(runner: Runner, second: Any) -> None:
    script = picking(calls(("billing", {"amount": 7}), turn=1), second)
    outcome, made = await one(runner, script, BILLING, router="llm")
    assert outcome.category == "general_inquiry"
    assert sum(is_router(call) for call in made) == 2
    assert any("the router picked no route, so it went to general_inquiry" in note for note in outcome.notes)


async def test_words_instead_of_a_pick_are_sent_back(runner: Runner) -> None:
    outcome, made = await one(runner, picking("It is billing.", calls(("billing", MATTER))), BILLING, router="llm")
    assert outcome.category == "billing"
    assert "Pick at least one of the tools" in json.dumps(made[1].history[-1])


async def test_the_routers_fallback_picks_where_it_fails(runner: Runner) -> None:
    failed: list[ModelCall] = []

    def script(call: ModelCall) -> Any:
        if is_router(call) and not failed:
            failed.append(call)
            return ModelReply("", StopReason.REFUSAL, Usage(), call.model)
        return picking(calls(("billing", MATTER)))(call)

    result, made = await route(runner, script, asking(BILLING, router="llm"))
    assert result.outcomes[0].category == "billing"
    report = RunReport.model_validate_json(await runner.text(result.report))
    assert [(hop.origin, hop.target) for hop in report.hops] == [("router", "router@haiku")]
    assert len(made) == 3


async def test_a_router_that_never_answers_costs_no_request(runner: Runner) -> None:
    def script(call: ModelCall) -> str:
        return out_of_order(call) if is_router(call) else handling(call)

    outcome, _ = await one(runner, script, BILLING, router="llm")
    assert outcome.category == "general_inquiry"
    assert any("the router gave no answer" in note for note in outcome.notes)

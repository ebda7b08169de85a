"""Routing: every class, every way in which a router can be wrong, tickets, several routes at once, and failures alone."""

import asyncio
import json
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from activities.contracts import Part, StopReason, Usage
from activities.errors import ErrorKind, final, kind_of, text_of
from activities.llm.base import ModelCall, ModelReply
from activities.llm.scripted import Script
from tests.workflow.conftest import Runner
from tests.workflow.routing import (
    BILLING,
    GENERAL,
    GRAVE,
    TECHNICAL,
    TEXTS,
    asking,
    calls,
    handling,
    is_classifier,
    is_escalation,
    is_router,
    labelling,
    picking,
    said,
    trained,
)
from workflows.contracts import (
    Category,
    RequestText,
    RouteOutcome,
    RouteRequest,
    RouteResult,
    RunReport,
    RunState,
    StepState,
)
from workflows.request_handling import RequestHandlingWorkflow

RUN = RequestHandlingWorkflow.run
MATTER = {"matter": "charged twice"}
PROBLEM = {"problem": "it crashes"}


async def route(runner: Runner, script: Script, request: RouteRequest) -> tuple[RouteResult, list[ModelCall]]:
    result, llm = await runner.run(script, RUN, request)
    assert isinstance(result, RouteResult)
    return result, llm.calls


async def one(runner: Runner, script: Script, text: str, **fields: Any) -> tuple[RouteOutcome, list[ModelCall]]:
    result, made = await route(runner, script, asking(text, **fields))
    return result.outcomes[0], made


async def failure(runner: Runner, script: Script, request: RouteRequest) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await runner.run(script, RUN, request)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


def out_of_order(call: ModelCall) -> str:
    raise final(ErrorKind.MODEL_REJECTED, "out of order")


AGENTS = {
    "billing": "billing",
    "technical_support": "technical-support",
    "general_inquiry": "general-inquiry",
    "escalation_required": "escalation",
}


@pytest.mark.parametrize("router", ["classifier", "trained"])
async def test_each_class_goes_to_its_handler_and_many_requests_run_together(runner: Runner, router: Any) -> None:
    ref = await trained(runner) if router == "trained" else ""
    result, made = await route(runner, labelling(), asking(*TEXTS.values(), router=router, trained=ref))
    assert result.state is RunState.COMPLETED
    assert [outcome.category for outcome in result.outcomes] == list(TEXTS)
    assert [outcome.answers[0].agent for outcome in result.outcomes] == list(AGENTS.values())
    assert all(outcome.confidence is not None and outcome.confidence > 0.5 for outcome in result.outcomes)
    assert [outcome.notes for outcome in result.outcomes] == [()] * 4
    assert await runner.text(result.outcomes[0].answers[0].content) == "Answer of who answer customers on billing"
    # Only the small model costs a call of its own.
    assert len(made) == (8 if router == "classifier" else 4)
    report = RunReport.model_validate_json(await runner.text(result.report))
    assert {row.state for row in report.steps} == {StepState.DONE}
    assert "request-1 · billing" in [row.step for row in report.steps]


async def test_an_escalation_opens_a_ticket(runner: Runner) -> None:
    outcome, _ = await one(runner, labelling(), GRAVE)
    answer = outcome.answers[0]
    assert answer.ticket is not None
    assert (answer.ticket.title, answer.ticket.priority) == ("Charger burned a customer", "urgent")
    assert answer.ticket.category == "escalation_required"
    assert answer.ticket.request.text == GRAVE
    assert await runner.text(answer.content) == "A charger burned a hand."


async def test_a_ticket_opens_even_where_nobody_could_write_it(runner: Runner) -> None:
    result, _ = await route(runner, labelling(handler=out_of_order), asking(GRAVE))
    outcome = result.outcomes[0]
    assert result.state is RunState.PARTIAL
    assert outcome.error == ""
    assert "ModelRejected" in outcome.answers[0].error
    assert outcome.answers[0].ticket is not None
    assert (outcome.answers[0].ticket.title, outcome.answers[0].ticket.priority) == (GRAVE, "high")
    assert any("the ticket is open" in note for note in outcome.notes)


async def test_a_ticket_that_is_badly_written_is_mended(runner: Runner) -> None:
    broken = json.dumps({"title": "", "priority": "panic"})
    outcome, _ = await one(runner, labelling(handler=lambda call: broken), GRAVE)
    ticket = outcome.answers[0].ticket
    assert ticket is not None
    assert (ticket.title, ticket.priority) == (GRAVE, "high")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"category": "gardening", "confidence": 1.0}, "'gardening', which is no category here"),
        ({"category": "  ", "confidence": 1.0}, "named no category"),
        ({"confidence": 1.0}, "named no category"),
        ("I think it is about money", "named no category"),
        ({"category": "billing", "confidence": 0.2}, "billing at 0.20 is below the threshold of 0.5"),
    ],
)
async def test_what_names_no_category_surely_goes_to_the_general_handler(
    runner: Runner, answer: Any, told: str
) -> None:
    outcome, _ = await one(runner, labelling({BILLING: answer}), BILLING)
    assert outcome.category == "general_inquiry"
    assert outcome.answers[0].agent == "general-inquiry"
    assert any(told in note and "it went to general_inquiry" in note for note in outcome.notes)


async def test_a_category_written_otherwise_and_without_confidence_is_understood(runner: Runner) -> None:
    outcome, _ = await one(runner, labelling({TECHNICAL: {"category": "Technical Support"}}), TECHNICAL)
    assert (outcome.category, outcome.confidence, outcome.notes) == ("technical_support", None, ())


async def test_a_classifier_that_is_away_costs_no_request(runner: Runner) -> None:
    def script(call: ModelCall) -> str:
        return out_of_order(call) if is_classifier(call) else handling(call)

    outcome, _ = await one(runner, script, BILLING)
    assert outcome.category == "general_inquiry"
    assert any("the router gave no answer (ModelRejected" in note for note in outcome.notes)


async def test_the_trained_classifier_is_unsure_of_unknown_words(runner: Runner) -> None:
    ref = await trained(runner)
    fields = {"router": "trained", "trained": ref}
    unknown, _ = await one(runner, labelling(), "吾輩は猫である", **fields)
    assert unknown.category == "general_inquiry"
    assert "named no category" in unknown.notes[0]
    mixed, _ = await one(runner, labelling(), f"{BILLING} {TECHNICAL}", threshold=0.9999, **fields)
    assert mixed.category == "general_inquiry"
    assert "below the threshold" in mixed.notes[0]


async def test_a_trained_classifier_that_is_missing_or_none_is_told_and_not_covered_up(runner: Runner) -> None:
    error = await failure(runner, labelling(), asking(BILLING, router="trained"))
    assert kind_of(error) is ErrorKind.INPUT_INVALID
    assert "train-router" in text_of(error)
    ref = await runner.store.put(b"no classifier")
    error = await failure(runner, labelling(), asking(BILLING, GRAVE, router="trained", trained=ref))
    assert kind_of(error) is ErrorKind.CLASSIFIER_INVALID
    error = await failure(runner, labelling(), asking(BILLING, router="trained", trained="A" * 43))
    assert kind_of(error) is ErrorKind.CONTENT_MISSING


async def test_a_failed_request_fails_alone(runner: Runner) -> None:
    def script(call: ModelCall) -> Any:
        if TECHNICAL in said(call) and not is_classifier(call):
            return out_of_order(call)
        return labelling()(call)

    result, _ = await route(runner, script, asking(BILLING, TECHNICAL, " ", GENERAL))
    assert result.state is RunState.PARTIAL
    assert [bool(outcome.error) for outcome in result.outcomes] == [False, True, True, False]
    assert "out of order" in result.outcomes[1].error
    assert result.outcomes[1].category == "technical_support"
    assert "the request is empty" in result.outcomes[2].error


async def test_a_run_fails_where_every_request_did_and_keeps_what_there_is(runner: Runner) -> None:
    error = await failure(runner, labelling(handler=out_of_order), asking(BILLING, TECHNICAL))
    assert kind_of(error) is ErrorKind.MODEL_REJECTED
    assert [outcome.category for outcome in RouteResult.model_validate(error.details[0]).outcomes] == [
        "billing",
        "technical_support",
    ]


async def test_many_requests_keep_to_the_width_and_to_their_order(runner: Runner) -> None:
    running, most = 0, 0

    def script(call: ModelCall) -> Any:
        async def slowly() -> str:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1
            return "fine"

        return labelling()(call) if is_classifier(call) else slowly()

    result, _ = await route(runner, script, asking(*[BILLING, GENERAL] * 15, max_parallel=5))
    assert [outcome.name for outcome in result.outcomes] == [f"request-{number}" for number in range(1, 31)]
    assert 2 <= most <= 5


async def test_requests_of_one_name_are_told_apart(runner: Runner) -> None:
    requests = tuple(RequestText(name="mail", text=Part(text=text)) for text in (BILLING, GENERAL))
    result, _ = await route(runner, labelling(), RouteRequest(requests=requests))
    assert [(each.name, each.category) for each in result.outcomes] == [
        ("mail", "billing"),
        ("mail (2)", "general_inquiry"),
    ]


async def test_a_long_request_travels_by_reference(runner: Runner) -> None:
    async with runner.worker(labelling()) as llm:
        handle = await runner.start(RUN, asking(f"{BILLING} " * 500))
        result = await handle.result()
        history = (await handle.fetch_history()).to_json()
    assert result.outcomes[0].category == "billing"
    assert all(BILLING in said(call) for call in llm.calls)
    assert len(history) < 3 * 500 * len(BILLING)


async def test_own_categories_with_agents_of_the_catalog(runner: Runner) -> None:
    own = (
        Category(name="text", agent="writer", description="Write something."),
        Category(name="other", agent="generalist", description="Anything else."),
    )
    outcome, made = await one(
        runner, labelling({"a poem": {"category": "text", "confidence": 1}}), "a poem", categories=own, general="other"
    )
    assert (outcome.category, outcome.answers[0].agent) == ("text", "writer")
    assert made[0].output_schema is not None
    assert made[0].output_schema["properties"]["category"]["enum"] == ["text", "other"]


async def test_wrong_categories_are_refused_before_anything_is_asked(runner: Runner) -> None:
    twice = (Category(name="a", agent="writer", description="x"),) * 2
    error = await failure(runner, labelling(), asking(BILLING, categories=twice, general="b"))
    assert kind_of(error) is ErrorKind.INPUT_INVALID
    assert "a is there more than once" in text_of(error)
    assert "there is no category 'b'" in text_of(error)
    stranger = (Category(name="a", agent="nobody", description="x"),)
    error = await failure(runner, labelling(), asking(BILLING, categories=stranger, general="a"))
    assert kind_of(error) is ErrorKind.UNKNOWN_AGENT


class TestRouterThatPicksTools:
    """The primary model picks a tool for each route and fills it in."""

    async def test_a_pick_reaches_its_handler_with_what_was_filled_in(self, runner: Runner) -> None:
        outcome, made = await one(runner, picking(calls(("billing", MATTER))), BILLING, router="llm")
        assert (outcome.category, outcome.confidence, outcome.notes) == ("billing", None, ())
        assert json.loads(await runner.text(outcome.answers[0].filled)) == MATTER
        assert made[0].tool_choice == "any"
        assert [tool.name for tool in made[0].tools] == [*TEXTS, "no_route_fits"]
        assert "charged twice" in said(made[1])
        assert len(made) == 2

    async def test_several_picks_run_in_parallel(self, runner: Runner) -> None:
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

    async def test_one_of_several_handlers_fails_alone(self, runner: Runner) -> None:
        def handler(call: ModelCall) -> str:
            return out_of_order(call) if call.system.startswith("You help customers") else handling(call)

        script = picking(calls(("billing", MATTER), ("technical_support", PROBLEM)), handler=handler)
        result, _ = await route(runner, script, asking(BILLING, router="llm"))
        assert result.state is RunState.PARTIAL
        assert result.outcomes[0].error == ""
        assert [bool(answer.error) for answer in result.outcomes[0].answers] == [False, True]

    async def test_a_route_that_goes_alone_leaves_out_the_others(self, runner: Runner) -> None:
        script = picking(calls(("billing", MATTER), ("escalation_required", {"reason": "a threat"})))
        outcome, made = await one(runner, script, GRAVE, router="llm")
        assert [answer.category for answer in outcome.answers] == ["escalation_required"]
        assert outcome.answers[0].ticket is not None
        assert outcome.notes == ("escalation_required goes alone, so billing was left out",)
        assert [is_escalation(call) for call in made] == [False, True]

    async def test_no_route_fits_is_a_pick_too(self, runner: Runner) -> None:
        outcome, _ = await one(runner, picking(calls(("no_route_fits", {"reason": "a poem"}))), "a poem", router="llm")
        assert outcome.category == "general_inquiry"
        assert "no route fits" in outcome.notes[0]
        assert "a poem" in outcome.notes[0]

    async def test_an_invalid_input_goes_back_once_with_its_errors(self, runner: Runner) -> None:
        script = picking(calls(("billing", {"amount": 7}), turn=1), calls(("billing", MATTER), turn=2))
        outcome, made = await one(runner, script, BILLING, router="llm")
        assert outcome.category == "billing"
        assert json.loads(await runner.text(outcome.answers[0].filled)) == MATTER
        back = made[1].history[-1]["content"][0]
        assert back["is_error"] is True
        assert "'matter' is a required property" in back["content"]
        assert any("router: picks sent back (billing: " in note for note in outcome.notes)

    async def test_a_good_pick_beside_a_bad_one_is_kept(self, runner: Runner) -> None:
        script = picking(
            calls(("billing", MATTER), ("technical_support", {}), turn=1), calls(("technical_support", PROBLEM), turn=2)
        )
        outcome, made = await one(runner, script, BILLING, router="llm")
        assert [answer.category for answer in outcome.answers] == ["billing", "technical_support"]
        told = made[1].history[-1]["content"]
        assert [block.get("is_error", False) for block in told] == [False, True]

    @pytest.mark.parametrize("second", [calls(("billing", {}), turn=2), calls(("gardening", {}), turn=2), "no idea"])
    async def test_what_is_wrong_twice_goes_to_the_general_handler(self, runner: Runner, second: Any) -> None:
        script = picking(calls(("billing", {"amount": 7}), turn=1), second)
        outcome, made = await one(runner, script, BILLING, router="llm")
        assert outcome.category == "general_inquiry"
        assert sum(is_router(call) for call in made) == 2
        assert any("the router picked no route, so it went to general_inquiry" in note for note in outcome.notes)

    async def test_words_instead_of_a_pick_are_sent_back(self, runner: Runner) -> None:
        outcome, made = await one(runner, picking("It is billing.", calls(("billing", MATTER))), BILLING, router="llm")
        assert outcome.category == "billing"
        assert "Pick at least one of the tools" in json.dumps(made[1].history[-1])

    async def test_the_routers_fallback_picks_where_it_fails(self, runner: Runner) -> None:
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

    async def test_a_router_that_never_answers_costs_no_request(self, runner: Runner) -> None:
        def script(call: ModelCall) -> str:
            return out_of_order(call) if is_router(call) else handling(call)

        outcome, _ = await one(runner, script, BILLING, router="llm")
        assert outcome.category == "general_inquiry"
        assert any("the router gave no answer" in note for note in outcome.notes)


async def test_cancelling_the_run_ends_it(runner: Runner) -> None:
    asked = asyncio.Event()

    def script(call: ModelCall) -> Any:
        async def never() -> str:
            asked.set()
            await asyncio.sleep(3600)
            return "late"

        return never()

    async with runner.worker(script):
        handle = await runner.start(RUN, asking(BILLING, GENERAL))
        async with asyncio.timeout(30):
            await asked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)

"""Routing: every class, every way in which a router can be wrong, tickets, several routes at once, and failures alone."""

import asyncio
import json
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from outlast.contracts import Part, RunReport, RunState, StepState
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.llm.base import ModelCall
from outlast.routing.requests import Category, RequestText, RouteRequest, RouteResult
from tests.workflow.choosing.routing import (
    BILLING,
    GENERAL,
    GRAVE,
    RUN,
    TECHNICAL,
    TEXTS,
    asking,
    failure,
    handling,
    is_classifier,
    labelling,
    one,
    out_of_order,
    route,
    said,
    trained,
)
from tests.workflow.conftest import Runner

MATTER = {"matter": "charged twice"}
PROBLEM = {"problem": "it crashes"}


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
        ({"category": "gardening", "confidence": 1.0}, "'gardening', which is not a category here"),
        ({"category": "  ", "confidence": 1.0}, "named no category"),
        ({"confidence": 1.0}, "named no category"),
        ("I think it is about money", "named no category"),
        ({"category": "billing", "confidence": 0.2}, "billing at 0.20 is below the threshold of 0.5"),
        ({"category": "billing", "confidence": 30}, "billing at 0.30 is below the threshold of 0.5"),
        ({"category": "billing", "confidence": "low"}, "billing at 0.25 is below the threshold of 0.5"),
        ({"category": "billing", "confidence": "no idea"}, "billing with a confidence of 'no idea' is unsure"),
        ({"category": "billing", "confidence": 300}, "billing with a confidence of '300' is unsure"),
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


async def test_a_confidence_in_percent_is_read_and_said(runner: Runner) -> None:
    outcome, _ = await one(runner, labelling({BILLING: {"category": "billing", "confidence": "95 %"}}), BILLING)
    assert (outcome.category, outcome.confidence) == ("billing", 0.95)
    assert any("confidence '95 %' was read as 0.95" in note for note in outcome.notes)


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

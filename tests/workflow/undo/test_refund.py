"""The worked example: two people agree, real rows and mails follow, and what fails later is taken back."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from werkzeug import Request, Response

from outlast.contracts import ChangeState, GateRecord, RecordKind, RunState
from outlast.errors import ErrorKind, kind_of
from samples.refund.contracts import RefundOutcome, RefundRequest, RefundResult
from samples.refund.workflow import RefundWorkflow
from tests.workflow.conftest import Runner
from tests.workflow.people.steering import at_a_checkpoint, decided, refusal
from tests.workflow.undo.refunding import EDIT, REFUND, Shop, clerk, shop_in, wanted


@dataclass(frozen=True)
class Bench:
    """A runner that may refund, and what is there afterwards."""

    runner: Runner
    inside: Shop

    @property
    def refunds(self) -> list[tuple[str, int, str]]:
        return self.inside.refunds

    @property
    def mails(self) -> list[Message]:
        return self.inside.sink.mails


@pytest.fixture
def shop(runner: Runner, tmp_path: Path, make_httpserver: HTTPServer) -> Iterator[Bench]:
    with shop_in(tmp_path, make_httpserver.url_for("/bookings")) as opened:
        yield Bench(opened.equipped(runner), opened)


async def refunded(shop: Bench, request: RefundRequest, *people: dict[str, Any], script: Any = None) -> RefundResult:
    async with shop.runner.worker(script or clerk()):
        handle = await shop.runner.start(REFUND, request)
        for said in people:
            await at_a_checkpoint(handle)
            await decided(handle, **said)
        result: RefundResult = await handle.result()
        return result


def yes(who: str) -> dict[str, Any]:
    return {"verdict": "approve", "by": who}


async def test_two_people_approve_and_the_row_and_the_mail_follow(shop: Bench) -> None:
    result = await refunded(shop, wanted(requester="carl"), yes("ann"), yes("bob"))
    assert (result.state, result.outcome) == (RunState.COMPLETED, RefundOutcome.REFUNDED)
    assert (result.gate, result.approved_by, result.amount_cents) == ("gate-1", ("ann", "bob"), 18_000)
    assert shop.refunds == [("ORD-1001", 18_000, "broken")]
    assert [mail["To"] for mail in shop.mails] == ["ann@example.org"]
    assert "180.00" in str(shop.mails[0].get_payload())
    assert [change.state for change in result.changes.changes] == [ChangeState.DONE] * 2


async def test_one_of_two_an_edit_and_its_bounds(shop: Bench) -> None:
    """Who changes the amount is none of those who approve it, and nobody can give back more than was paid."""
    async with shop.runner.worker(clerk()):
        handle = await shop.runner.start(REFUND, wanted(requester="carl"))
        await at_a_checkpoint(handle)
        assert "carl" in await refusal(handle, by="carl")
        too_much = {**EDIT, "values": {**EDIT["values"], "amount_cents": 24_001}}
        assert "from 1 to 24000" in await refusal(handle, by="ann", edit=too_much)
        other = {**EDIT, "values": {**EDIT["values"], "order_id": "ORD-1003"}}
        assert "it stays ORD-1001" in await refusal(handle, by="ann", edit=other)
        edited: GateRecord = await decided(handle, "approve", by="ann", edit=EDIT)
        assert edited.kind is RecordKind.EDITED
        await decided(handle, "approve", by="bob")
        assert "ann" in await refusal(handle, by="ann")
        assert shop.refunds == []
        await decided(handle, "approve", by="dora")
        result: RefundResult = await handle.result()
    assert (result.amount_cents, result.approved_by) == (15_000, ("bob", "dora"))
    assert shop.refunds == [("ORD-1001", 15_000, "the shade")]
    assert "150.00" in str(shop.mails[0].get_payload())


@pytest.mark.parametrize(
    ("people", "outcome"),
    [
        ([yes("ann"), {"verdict": "deny", "by": "bob"}], RefundOutcome.DENIED),
        ([yes("ann")], RefundOutcome.TIMED_OUT),
    ],
)
async def test_denied_or_out_of_time_nothing_happens(
    shop: Bench, people: list[dict[str, Any]], outcome: RefundOutcome
) -> None:
    result = await refunded(shop, wanted(), *people)
    assert (result.outcome, result.approved_by, result.changes.changes) == (outcome, (), ())
    assert (shop.refunds, shop.mails) == ([], [])


async def test_below_the_limit_nobody_is_asked_and_elsewhere_nothing_is_done(shop: Bench) -> None:
    result = await refunded(shop, wanted("ORD-1002"), script=clerk(45))
    assert (result.outcome, result.gate, shop.refunds) == (RefundOutcome.REFUNDED, "", [("ORD-1002", 4500, "broken")])
    assert len(shop.mails) == 1
    elsewhere = await refunded(shop, wanted(), script=clerk(category="technical_support"))
    assert (elsewhere.outcome, elsewhere.category) == (RefundOutcome.ELSEWHERE, "technical_support")
    assert len(shop.refunds) == 1


async def test_an_amount_that_cannot_be_puts_people_before_it_whatever_the_limit(shop: Bench) -> None:
    result = await refunded(
        shop, wanted(limit_cents=1_000_000), {"verdict": "deny", "by": "bob"}, script=clerk(amount=9_999_999)
    )
    assert (result.outcome, result.amount_cents) == (RefundOutcome.DENIED, 24_000)
    assert any("cannot be used" in note for note in result.notes)


async def test_a_ledger_that_fails_takes_the_row_back_and_names_the_mail(shop: Bench, httpserver: HTTPServer) -> None:
    sent: list[str] = []

    def ledger(request: Request) -> Response:
        sent.append(f"{request.method} {request.path}")
        return Response("broken", status=500 if request.method == "PUT" else 404)

    httpserver.expect_request("/bookings/ORD-1001").respond_with_handler(ledger)
    request = wanted(ledger_url=httpserver.url_for("/bookings"))
    with pytest.raises(WorkflowFailureError) as caught:
        await refunded(shop, request, yes("ann"), yes("bob"))
    error = caught.value.cause
    assert isinstance(error, ApplicationError)
    assert kind_of(error) is ErrorKind.TOOL_UNAVAILABLE
    assert "answered 500" in str(error)
    assert "rolled back" in str(error)
    # After 0, 1, 3, 7, 15 and 31 seconds, and at the end of TOOL_WAIT.
    assert sent == ["PUT /bookings/ORD-1001"] * 7 + ["DELETE /bookings/ORD-1001"]
    result = RefundResult.model_validate(error.details[0])
    became = {change.tool: change.state for change in result.changes.changes}
    assert became == {
        "insert_row": ChangeState.UNDONE,
        "send_mail": ChangeState.NOT_UNDOABLE,
        "http_call": ChangeState.NOT_HAPPENED,
    }
    assert (result.outcome, result.state) == (RefundOutcome.FAILED, RunState.FAILED)
    assert (shop.refunds, len(shop.mails)) == ([], 1)


async def test_a_run_cancelled_at_the_gate_never_acts(shop: Bench) -> None:
    async with shop.runner.worker(clerk()):
        handle = await shop.runner.start(REFUND, wanted())
        await at_a_checkpoint(handle)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        log = await handle.query(RefundWorkflow.decisions)
    assert log.records[-1].kind is RecordKind.CANCELLED
    assert (shop.refunds, shop.mails) == ([], [])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"order": "ORD-9"}, "there is no order 'ORD-9'"),
        ({"amount_cents": 24_001}, "amount_cents: 240.01 is more than the 240.00"),
    ],
)
async def test_what_cannot_be_refunded_is_refused_by_name(shop: Bench, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await refunded(shop, wanted(**fields))
    assert said in str(caught.value.cause)
    assert kind_of(caught.value.cause) is ErrorKind.INPUT_INVALID


async def test_a_ledger_whose_bookings_nobody_can_take_back_begins_nothing(shop: Bench) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await shop.runner.run(clerk(), REFUND, wanted(ledger_url="http://127.0.0.1:1/other/"))
    assert kind_of(caught.value.cause) is ErrorKind.INPUT_INVALID
    template = "http://127.0.0.1:1/other/{order}"
    assert f"HTTP_CALL_UNDO declares no way to undo a booking: add 'PUT {template} => DELETE {template}'" in str(
        caught.value.cause
    )
    assert (shop.refunds, shop.mails) == ([], [])


async def test_a_worker_that_lacks_a_tool_begins_nothing(runner: Runner) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await runner.run(clerk(), REFUND, wanted(ledger_url="https://ledger.example/x"))
    assert "send_mail (SMTP_URL), http_call (HTTP_CALL_ALLOW)" in str(caught.value.cause)

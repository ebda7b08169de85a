"""What attempts cost, over the real wire: nothing is sent for which no room is reserved, and no paid attempt is forgotten."""

import socket
from dataclasses import replace

import pytest

from outlast.contracts import ModelFailure, ModelTurn, Usage
from outlast.errors import ErrorKind, kind_of
from outlast.llm.activities import AgentActivities
from outlast.llm.claude import ClaudeLLM, make_client
from tests.activity.conftest import TABLE, Caller, asking
from tests.doubles.wire import Reply, Wire, answer, error, message_start, text_block

SHORT = ErrorKind.RESERVATION_SHORT


async def made(caller: Caller, attempt: int, reserved: int | None) -> ModelTurn:
    """Make one attempt of the same call, as a worker does."""
    caller.env.info = replace(caller.env.info, attempt=attempt)
    return await caller.call(asking(reserved=reserved))


async def failed(caller: Caller, attempt: int, reserved: int | None) -> tuple[ErrorKind, ModelFailure]:
    caller.env.info = replace(caller.env.info, attempt=attempt)
    error, said = await caller.fail(asking(reserved=reserved))
    return kind_of(error), said


async def test_a_prompt_longer_than_reserved_is_not_sent(caller: Caller, wire: Wire) -> None:
    wire.replies = [answer("High.")]
    kind, said = await failed(caller, 1, 10)
    assert (kind, said.usage, len(wire.hits)) == (SHORT, Usage(), 0)
    assert said.needed > 10
    turn = await made(caller, 1, said.needed)
    assert (len(wire.hits), turn.prompt_bound) == (1, said.needed)
    assert turn.usage.input_tokens <= turn.prompt_bound


@pytest.mark.parametrize("reserved", [None, 5000], ids=["no budget", "budget"])
async def test_a_broken_attempt_is_counted_by_the_next(caller: Caller, wire: Wire, reserved: int | None) -> None:
    wire.replies = [Reply(events=[message_start(), *text_block("Hal")[:2]], ending="close"), answer("Half.")]
    kind, broken = await failed(caller, 1, reserved)
    assert kind is ErrorKind.MODEL_UNAVAILABLE
    assert broken.usage.input_tokens > 0
    if reserved is None:
        turn = await made(caller, 2, reserved)
        assert (turn.wasted, turn.wasted_usd) == (broken.usage, broken.usd)
        return
    kind, said = await failed(caller, 2, reserved)
    assert (kind, said.usage, said.usd) == (SHORT, broken.usage, broken.usd)
    assert len(wire.hits) == 1


async def test_an_attempt_whose_worker_died_counts_as_paid_in_full(caller: Caller, wire: Wire) -> None:
    kind, said = await failed(caller, 2, 5000)
    assert kind is SHORT
    assert said.usage == Usage(input_tokens=5000, output_tokens=50)
    assert said.usd == pytest.approx((5000 * 2 + 50 * 10) / 1_000_000)
    assert wire.hits == []


async def test_an_outage_is_told_from_a_broken_answer_by_its_own_attempt_alone(caller: Caller, wire: Wire) -> None:
    """The provider goes away in the middle of an answer that was paid; what comes then is an outage all the same."""
    wire.replies = [
        Reply(events=[message_start(), *text_block("Hal")[:2]], ending="close"),
        error(529, "overloaded_error"),
    ]
    _, broken = await failed(caller, 1, None)
    _, overloaded = await failed(caller, 2, None)
    assert (broken.away, overloaded.away) == (False, True)
    assert overloaded.usage == broken.usage
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening, so that nobody else takes the port
        async with make_client("key", f"http://127.0.0.1:{closed.getsockname()[1]}", timeout=10) as client:
            caller.agent = AgentActivities(ClaudeLLM(client), caller.agent._store, TABLE)
            _, refused = await failed(caller, 3, None)
    assert (refused.away, refused.usage) == (True, broken.usage)

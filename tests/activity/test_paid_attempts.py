"""What attempts cost, over the real wire: nothing is sent for which no room is reserved, and no paid attempt is forgotten."""

from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from activities.contracts import ModelFailure, ModelTurn, Usage
from activities.errors import ErrorKind, kind_of
from tests.activity.conftest import Caller, asking
from tests.doubles.wire import Reply, Wire, answer, message_start, text_block


async def attempt(caller: Caller, number: int, reserved: int | None) -> ModelTurn | tuple[ErrorKind, ModelFailure]:
    """Make one attempt of the same call, as a worker does."""
    caller.env.info = replace(caller.env.info, attempt=number)
    try:
        return await caller.call(asking(reserved=reserved))
    except ApplicationError as error:
        said = error.details[0] if error.details else ModelFailure()
        assert isinstance(said, ModelFailure)
        return kind_of(error), said


async def test_a_prompt_longer_than_reserved_is_not_sent(caller: Caller, wire: Wire) -> None:
    wire.replies = [answer("High.")]
    kind, said = await attempt(caller, 1, reserved=10)  # type: ignore[misc]
    assert (kind, said.usage, len(wire.hits)) == (ErrorKind.RESERVATION_SHORT, Usage(), 0)
    assert said.needed > 10
    turn = await attempt(caller, 1, reserved=said.needed)
    assert isinstance(turn, ModelTurn)
    assert len(wire.hits) == 1
    assert turn.prompt_bound == said.needed
    assert turn.usage.input_tokens <= turn.prompt_bound


@pytest.mark.parametrize("reserved", [None, 5000], ids=["no budget", "budget"])
async def test_a_broken_attempt_is_counted_by_the_next(caller: Caller, wire: Wire, reserved: int | None) -> None:
    wire.replies = [Reply(events=[message_start(), *text_block("Hal")[:2]], ending="close"), answer("Half.")]
    kind, broken = await attempt(caller, 1, reserved)  # type: ignore[misc]
    assert kind is ErrorKind.MODEL_UNAVAILABLE
    assert broken.usage.input_tokens > 0
    second = await attempt(caller, 2, reserved)
    if reserved is None:
        assert isinstance(second, ModelTurn)
        assert (second.wasted, second.wasted_usd) == (broken.usage, broken.usd)
        return
    assert isinstance(second, tuple)
    assert second[0] is ErrorKind.RESERVATION_SHORT
    assert (second[1].usage, second[1].usd) == (broken.usage, broken.usd)
    assert len(wire.hits) == 1


async def test_an_attempt_whose_worker_died_counts_as_paid_in_full(caller: Caller, wire: Wire) -> None:
    kind, said = await attempt(caller, 2, reserved=5000)  # type: ignore[misc]
    assert kind is ErrorKind.RESERVATION_SHORT
    assert said.usage == Usage(input_tokens=5000, output_tokens=50)
    assert said.usd == pytest.approx((5000 * 2 + 50 * 10) / 1_000_000)
    assert wire.hits == []

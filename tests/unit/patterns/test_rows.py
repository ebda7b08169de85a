"""Which steps fit into an answer and onto a screen: what failed, runs or waits before what is done, and all of them by pages."""

import time

from outlast.cli.rendering import places_shown
from outlast.contracts import RunState, RunStatus, StepOutcomes, StepRow, StepState
from outlast.tracing.rows import page, that_fit, with_all

DONE, FAILED, PENDING, RUNNING = StepState.DONE, StepState.FAILED, StepState.PENDING, StepState.RUNNING


def rows(states: list[StepState]) -> list[StepRow]:
    return [StepRow(step=str(number), input="ü" * 100, state=state) for number, state in enumerate(states)]


def test_what_failed_runs_and_waits_fits_first_and_of_what_is_done_the_last() -> None:
    made = rows([DONE, DONE, FAILED, DONE, PENDING, RUNNING])
    size = len(made[2].model_dump_json().encode())
    assert that_fit(made, 10**6) == tuple(made)
    assert [row.step for row in that_fit(made, size * 4 + 60)] == ["2", "3", "4", "5"]
    assert [row.step for row in that_fit(made, size + 10)] == ["2"]


async def test_the_pages_of_all_steps_are_the_steps() -> None:
    made = rows([DONE] * 50)
    asked: list[int] = []

    async def ask(first: int) -> StepOutcomes:
        asked.append(first)
        return page(made, (first,), 5000)

    status = RunStatus(workflow_id="x", pattern="plan", state=RunState.RUNNING, steps=tuple(made[:3]), left_out=47)
    whole = await with_all(status, ask)
    assert (whole.steps, whole.left_out) == (tuple(made), 0)
    assert 2 < len(asked) < 20
    assert page(made, ("nonsense",), 10**6).rows == tuple(made)
    assert await with_all(whole, ask) is whole


def test_a_screen_shows_what_failed_and_runs_of_thousands_at_once() -> None:
    states = [DONE] * 3000 + [FAILED, RUNNING] + [PENDING] * 3000
    began = time.process_time()
    shown = places_shown(states, 20)
    assert time.process_time() - began < 0.5
    assert len(shown) == 20
    assert shown == list(range(3000, 3020))
    assert places_shown([DONE, FAILED], 20) == [0, 1]

"""From which turn of a session another one can go on: read from its history, where each turn names the conversation before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from outlast.agents.sessions import SessionProgress
from outlast.contracts import Message, ModelRequest, ModelTurn, Part, Transcript
from outlast.forks.reading import EarlierRun, ForkError, Made, history

STEP = "session"
GO_ON = "Go on with the task."
CALL = "call_model"


@dataclass(frozen=True)
class SessionStart:
    """Where a session goes on: `progress` is what it continues, as JSON data; `turns` name what is taken over.

    `repeated` are changes that the earlier session made from that turn on, and that still stand.
    """

    progress: Mapping[str, Any]
    turns: tuple[str, ...]
    repeated: tuple[Made, ...] = ()
    step: str = STEP


@dataclass(frozen=True)
class Turn:
    """One model turn of a session: what it was asked, and what it answered if it did."""

    asked: ModelRequest
    answer: ModelTurn | None = None


async def session_from(client: Client, earlier: EarlierRun, number: int | None, text: str) -> SessionStart:
    """Find where to go on: before the turn of that number, or where the earlier session ended (None).

    `text` is said there in addition. Raises ForkError where there is no such turn, or the session cannot go on there.
    """
    turns = await _turns(client, earlier)
    if number is None:
        progress = SessionProgress.model_validate(earlier.progress or {}).resumable
        return _start(progress, progress.turns, (), text)
    taken = SessionProgress.model_validate(earlier.request.get("continues") or {})
    first, last = taken.turns + 1, taken.turns + len(turns)
    if not first <= number <= last:
        others = (
            f"; it goes on from another session, whose turns 1 to {taken.turns} are forked there" if taken.turns else ""
        )
        raise ForkError(
            f"--from-turn {number}: session {earlier.id} has had {len(turns)} turns; choose from {first} to {last}{others}"
        )
    asked = turns[number - first].asked
    before = turns[: number - first]
    there = taken.transcript.messages if taken.transcript else 0
    transcript = (
        None if asked.transcript is None else Transcript(ref=asked.transcript, messages=_messages(before, there))
    )
    progress = SessionProgress(
        transcript=transcript,
        left=asked.messages,
        turns=number - 1,
        tool_calls=taken.tool_calls + sum(len(turn.answer.tool_calls) for turn in before if turn.answer),
    )
    return _start(progress, number - 1, _changed_by(earlier, turns[number - first :]), text)


def _start(progress: SessionProgress, turns: int, repeated: tuple[Made, ...], text: str) -> SessionStart:
    if not text and progress.turns and not progress.left:
        text = GO_ON  # a model goes on only from what somebody has said
    if text:
        progress = progress.model_copy(update={"left": (*progress.left, Message(parts=(Part(text=text),)))})
    taken = tuple(f"turn {number}" for number in range(1, turns + 1))
    return SessionStart(progress.model_dump(mode="json"), taken, repeated)


def _messages(turns: list[Turn], count: int) -> int:
    """Count the messages of a conversation of so many after these turns; one that was summed up began anew."""
    for turn in turns:
        count = (count if turn.asked.transcript else 0) + len(turn.asked.messages) + 1
    return count


def _changed_by(earlier: EarlierRun, turns: list[Turn]) -> tuple[Made, ...]:
    """Return what the tools changed that these turns called, as far as it still stands."""
    calls = {call.id for turn in turns if turn.answer for call in turn.answer.tool_calls}
    keys = {f"{earlier.id}/{STEP}/{call}" for call in calls}
    return tuple(one for one in earlier.changes if one.stands and _is_of(one.change.key, keys))


def _is_of(key: str, keys: set[str]) -> bool:
    """Whether a change has one of these keys; a key that was used before has a number behind it."""
    return key in keys or key.rpartition("/")[0] in keys


async def _turns(client: Client, earlier: EarlierRun) -> list[Turn]:
    """Read the turns of all parts of a session, oldest first."""
    parts: list[list[Turn]] = []
    run_id = earlier.found.run_id
    while run_id:
        scheduled: dict[int, Turn] = {}
        before = ""
        async for event in history(client, earlier.id, run_id):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                before = event.workflow_execution_started_event_attributes.continued_execution_run_id
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                wanted = event.activity_task_scheduled_event_attributes
                if wanted.activity_type.name == CALL:
                    scheduled[event.event_id] = Turn(await _read(client, wanted.input.payloads[0], ModelRequest))
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                done = event.activity_task_completed_event_attributes
                if (turn := scheduled.get(done.scheduled_event_id)) is not None:
                    answer = await _read(client, done.result.payloads[0], ModelTurn)
                    scheduled[done.scheduled_event_id] = Turn(turn.asked, answer)
        parts.insert(0, list(scheduled.values()))
        run_id = before
    turns = [turn for part in parts for turn in part]
    # A call that failed is no turn, unless the session ended with it.
    return [turn for number, turn in enumerate(turns) if turn.answer is not None or number == len(turns) - 1]


async def _read(client: Client, payload: Payload, kind: type[Any]) -> Any:
    (value,) = await client.data_converter.decode([payload], [kind])
    return value

"""From which turn of a session another one can go on: read from its history, where each turn names the conversation before it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from outlast.agents.sessions import SessionProgress
from outlast.agents.tool_calls import BROKEN_OFF, unanswered
from outlast.contracts import Message, ModelRequest, ModelTurn, Part, StopReason, Transcript
from outlast.forks.reading import EarlierRun, ForkError, Made, history

STEP = "session"
GO_ON = "Go on with the task."
CALL = "call_model"


@dataclass(frozen=True)
class SessionStart:
    """Where a session goes on: `progress` is what it continues, as JSON data; `turns` name what is taken over.

    `repeated` are changes that the earlier session made from that turn on, and that still stand; `agent` is who had the
    conversation there, empty where no turn tells.
    """

    progress: Mapping[str, Any]
    turns: tuple[str, ...]
    repeated: tuple[Made, ...] = ()
    agent: str = ""
    step: str = STEP


@dataclass(frozen=True)
class Turn:
    """One model turn of a session: what it was asked, what it answered if it did, and the runs of agents that it asked."""

    asked: ModelRequest
    answer: ModelTurn | None = None
    below: list[str] = field(default_factory=list)


async def session_from(client: Client, earlier: EarlierRun, number: int | None, text: str) -> SessionStart:
    """Find where to go on: before the turn of that number, or where the earlier session ended (None).

    `text` is said there in addition. Raises ForkError where there is no such turn, or the session cannot go on there.
    """
    turns = await _turns(client, earlier)
    if number is None:
        found = SessionProgress.model_validate(earlier.progress or {})
        progress = _closed(found.resumable, turns[-1:])
        return _start(progress, progress.turns, (), text, found.agent.partition("@")[0])
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
    repeated = _changed_by(earlier, turns[number - first :])
    return _start(progress, number - 1, repeated, text, asked.agent.partition("@")[0])


def _closed(progress: SessionProgress, last: Iterable[Turn]) -> SessionProgress:
    """Answer the calls of a turn that were at work when the session was left: no model goes on after open ones."""
    for turn in last:
        answer, there = turn.answer, progress.transcript
        if answer is None or there is None or answer.transcript != there.ref or progress.left:
            continue
        if answer.stop_reason is StopReason.TOOL_USE and answer.tool_calls:
            answers = tuple(unanswered(call, BROKEN_OFF) for call in answer.tool_calls)
            return progress.model_copy(update={"left": (Message(answers=answers),)})
    return progress


def _start(progress: SessionProgress, turns: int, repeated: tuple[Made, ...], text: str, agent: str) -> SessionStart:
    if not text and progress.turns and not progress.left:
        text = GO_ON  # a model goes on only from what somebody has said
    if text:
        progress = progress.model_copy(update={"left": (*progress.left, Message(parts=(Part(text=text),)))})
    taken = tuple(f"turn {number}" for number in range(1, turns + 1))
    return SessionStart(progress.model_dump(mode="json"), taken, repeated, agent)


def _messages(turns: list[Turn], count: int) -> int:
    """Count the messages of a conversation of so many after these turns; one that was summed up began anew."""
    for turn in turns:
        count = (count if turn.asked.transcript else 0) + len(turn.asked.messages) + 1
    return count


def _changed_by(earlier: EarlierRun, turns: list[Turn]) -> tuple[Made, ...]:
    """Return what the tools changed that these turns called, as far as it still stands."""
    calls = {call.id for turn in turns if turn.answer for call in turn.answer.tool_calls}
    keys = {f"{earlier.id}/{STEP}/{call}" for call in calls}
    below = tuple(f"{run}/" for turn in turns for run in turn.below)
    made = (one for one in earlier.changes if one.stands)
    return tuple(one for one in made if _is_of(one.change.key, keys) or one.change.key.startswith(below))


def _is_of(key: str, keys: set[str]) -> bool:
    """Whether a change has one of these keys; a key that was used before has a number behind it."""
    return key in keys or key.rpartition("/")[0] in keys


async def _turns(client: Client, earlier: EarlierRun) -> list[Turn]:
    """Read the turns of all parts of a session, oldest first."""
    parts: list[list[Turn]] = []
    run_id = earlier.found.run_id
    while run_id:
        scheduled: dict[int, Turn] = {}
        begun, before = list[str](), ""
        async for event in history(client, earlier.id, run_id):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                before = event.workflow_execution_started_event_attributes.continued_execution_run_id
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                wanted = event.activity_task_scheduled_event_attributes
                if wanted.activity_type.name == CALL:
                    asked = await _read(client, wanted.input.payloads[0], ModelRequest)
                    if asked.step in ("", STEP):  # not that of an agent that was asked and answers in the same run
                        scheduled[event.event_id] = turn = Turn(asked)
                        begun = turn.below
            elif event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
                begun.append(event.start_child_workflow_execution_initiated_event_attributes.workflow_id)
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                done = event.activity_task_completed_event_attributes
                if (waiting := scheduled.get(done.scheduled_event_id)) is not None:
                    answer = await _read(client, done.result.payloads[0], ModelTurn)
                    scheduled[done.scheduled_event_id] = replace(waiting, answer=answer)
        parts.insert(0, list(scheduled.values()))
        run_id = before
    turns = [turn for part in parts for turn in part]
    # A call that failed is no turn, unless the session ended with it.
    return [turn for number, turn in enumerate(turns) if turn.answer is not None or number == len(turns) - 1]


async def _read(client: Client, payload: Payload, kind: type[Any]) -> Any:
    (value,) = await client.data_converter.decode([payload], [kind])
    return value

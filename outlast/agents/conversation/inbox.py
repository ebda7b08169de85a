"""The messages of one session: numbered as they come, each known by its key, and each answered or accounted for.

People send anything, at any time, also before the session has begun. So a message is read leniently and never disturbs the
run: what cannot be taken is answered with the reason and an example.
"""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow

from outlast.agents.conversation.reading import Said, read_end, read_message
from outlast.agents.sessions import (
    MESSAGES_MEMO,
    ConversationCarried,
    ConversationView,
    EndAnswer,
    MessageLog,
    MessageState,
    SaidMessage,
    SayAnswer,
)
from outlast.approvals.questions.keys import Keys
from outlast.contracts import SUMMARY_LENGTH, Content
from outlast.tracing.trace import RunTrace
from outlast.workflow.activity_calls import is_recent
from outlast.workflow.keeping import SHORT, keep_report, keep_text

MOST_WAITING = 100
"""Messages that may wait at the same time."""
PEOPLE_KEPT = 100
"""Names of people that are remembered, those who have spoken last; each message says by whom it is."""
SHOWN = 50
"""Messages that the query answers with."""
CARRIED = 20
"""Messages that are done and travel to the next part of the session; older ones go to the content store."""
CARRIED_TEXT = 200
"""Bytes of a text that may travel to the next part; a longer one travels by reference."""
TOLD_AT_ONCE = 16
"""Messages that one write to the memo holds."""

GO_ON = "(goes on from an earlier session)"
OPEN = (MessageState.WAITING, MessageState.WORKING)
NOT_OPEN = "this session takes one task and no messages; start it with conversation: true"
HAS_ENDED = "the session has been ended; go on from it with a new one"


class Inbox:
    """The messages of one session."""

    def __init__(self, trace: RunTrace, carried: ConversationCarried, *, takes: bool) -> None:
        self._trace = trace
        self._takes = takes
        self._messages = {each.number: each for each in carried.messages}
        self._texts: dict[int, str] = {}
        self.keys = Keys(carried.keys, carried.texts)
        self._changed: dict[int, None] = {}
        self.earlier = carried.earlier
        self.total = carried.total
        self.people = list(carried.people)[-PEOPLE_KEPT:]
        self.ended = carried.ended
        self.interrupting = False
        """Whether what the agent does is to be broken off."""
        self.interrupted_by = ""

    @property
    def waiting(self) -> list[SaidMessage]:
        """The messages that the agent has not seen."""
        return self._in(MessageState.WAITING)

    @property
    def working(self) -> list[SaidMessage]:
        """The messages that the agent works on."""
        return self._in(MessageState.WORKING)

    def asking(self) -> list[str]:
        """Return the names of those whose messages the agent works on."""
        return list(dict.fromkeys(each.by for each in self.working))

    @property
    def view(self) -> ConversationView:
        """The conversation as people see it."""
        return ConversationView(
            messages=tuple(self._messages.values())[-SHOWN:],
            total=self.total,
            earlier=self.earlier,
            working=bool(self.working),
            ended=self.ended,
            people=tuple(self.people),
            answers=self.keys.of_answers[-SHOWN:],
        )

    def say(self, arguments: Sequence[Any]) -> SayAnswer:
        """Take a message: a text, or `{text, by, interrupt, key}`; never raises."""
        said = read_message(arguments) if self._takes else NOT_OPEN
        if isinstance(said, str):
            return self._refused(said)
        if why := self.keys.conflict(said.key, said.text, said.ref):
            return self._refused(why)
        if (before := self.keys.number(said.key)) is not None:
            return SayAnswer(accepted=True, number=before, repeated=True)
        if self.ended:
            return self._refused(HAS_ENDED)
        interrupts = said.interrupt and bool(self.working)
        # Whoever interrupts is heard though many wait: nothing else would get the agent to stop.
        if said.says and len(self.waiting) >= MOST_WAITING and (not interrupts or self.interrupting):
            return self._refused(f"{MOST_WAITING} messages wait already; send it again when some are answered")
        if interrupts:
            self._interrupt(said.by)
        if not said.says:
            return SayAnswer(accepted=True, interrupted=interrupts)
        return SayAnswer(accepted=True, number=self._add(said), interrupted=interrupts)

    def say_later(self, arguments: Sequence[Any]) -> None:
        """Take a message whose sender hears no answer; one that comes after the end is accounted for where messages are read."""
        answer = self.say(arguments)
        said = read_message(arguments) if self._takes else NOT_OPEN
        if answer.reason == HAS_ENDED and isinstance(said, Said) and said.says and is_recent():
            self._update(self._add(said), state=MessageState.FAILED, reason=HAS_ENDED, ended=workflow.now())
            self.publish()

    def mistaken(self, arguments: Sequence[Any]) -> str:
        """Say why a message has the key of another one; "" where it has not. Changes nothing."""
        said = read_message(arguments) if self._takes else NOT_OPEN
        return "" if isinstance(said, str) else self.keys.conflict(said.key, said.text, said.ref)

    def end(self, arguments: Sequence[Any]) -> EndAnswer:
        """End the session: nothing, a name, or `{by, now}`; never raises."""
        read = read_end(arguments) if self._takes else NOT_OPEN
        if isinstance(read, str):
            self._trace.notice(f"end: {read}"[:500])
            return EndAnswer(accepted=False, reason=read)
        by, now = read
        self.ended = True
        if now:
            self.settle(MessageState.FAILED, "the session was ended" + (f" by {by}" if by else ""), waiting=True)
            if self.working:
                self._interrupt(by)
        return EndAnswer(accepted=True)

    def begin(self, task: str, by: str, *, heard: bool = False) -> None:
        """Take what the session was started with as its first message, which the agent may have `heard` already."""
        if self.total or not (heard or task.strip()):
            return
        number = self._add(Said(text=task or GO_ON, by=by))
        if heard:
            self._update(number, state=MessageState.WORKING)

    async def keep_texts(self, least: int = SHORT) -> None:
        """Put the long texts of messages that are not done into the content store."""
        for number in [number for number, each in self._messages.items() if each.state in OPEN]:
            text = self._texts.get(number, self._messages[number].text.text or "")
            if len(text.encode()) > least:
                kept = await keep_text(text, f"keep message {number}", by_reference=True)
                self._texts.pop(number, None)
                self._messages[number] = self._messages[number].model_copy(update={"text": kept})

    def take(self) -> list[SaidMessage]:
        """Give the agent the messages that wait; their texts have been kept, those that came since then wait on."""
        taken = [each for each in self.waiting if each.number not in self._texts]
        for each in taken:
            self._update(each.number, state=MessageState.WORKING)
        self.publish()
        return taken

    def settle(
        self, state: MessageState, reason: str = "", answer: Content | None = None, *, waiting: bool = False
    ) -> None:
        """End the messages that are worked on, or those that wait."""
        for each in self.waiting if waiting else self.working:
            fields = {"state": state, "answer": answer, "reason": reason[:500], "ended": workflow.now()}
            self._update(each.number, **fields)

    def give_up(self, why: str) -> None:
        """Account for all that is left where the session ends otherwise."""
        self.settle(MessageState.FAILED, why)
        self.settle(MessageState.FAILED, why, waiting=True)
        self.ended = True
        self.publish()

    def publish(self) -> None:
        """Write the messages that have changed into history."""
        changed = [self._messages[number] for number in self._changed]
        self._changed.clear()
        for at in range(0, len(changed), TOLD_AT_ONCE):
            workflow.upsert_memo({MESSAGES_MEMO: MessageLog(messages=tuple(changed[at : at + TOLD_AT_ONCE]))})

    async def keep_older(self) -> None:
        """Put messages that were done long ago into the content store."""
        done = [number for number, each in self._messages.items() if each.state not in OPEN]
        if old := done[:-CARRIED]:
            log = MessageLog(messages=tuple(self._messages[number] for number in old))
            kept = await keep_report(log, "keep older messages", "older messages of a session")
            self.earlier = (*self.earlier, kept.ref or "")
            for number in old:
                del self._messages[number]

    @property
    def carried(self) -> ConversationCarried:
        """The messages for the next part of the session, older ones by reference."""
        return ConversationCarried(
            messages=tuple(self._messages.values()),
            total=self.total,
            earlier=self.earlier,
            **self.keys.carried,
            people=tuple(self.people),
            ended=self.ended,
        )

    @property
    def is_kept(self) -> bool:
        """Whether no long text is left in memory alone."""
        return not self._texts

    def _in(self, state: MessageState) -> list[SaidMessage]:
        return [each for each in self._messages.values() if each.state is state]

    def _add(self, said: Said) -> int:
        self.total += 1
        size = len(said.text.encode())
        content = Content(text=said.text, size=size)
        if said.ref:
            content = Content(ref=said.ref, size=said.size, summary=said.text[:SUMMARY_LENGTH])
        elif size > SHORT:
            self._texts[self.total] = said.text
            content = Content(size=size, summary=" ".join(said.text.split())[:SUMMARY_LENGTH])
        self._messages[self.total] = SaidMessage(
            number=self.total, text=content, by=said.by, key=said.key, at=workflow.now()
        )
        self.keys.remember(said.key, self.total, said.text, said.ref)
        if said.by:
            self.people = [*(name for name in self.people if name != said.by), said.by][-PEOPLE_KEPT:]
        return self.total

    def _interrupt(self, by: str) -> None:
        self.interrupting, self.interrupted_by = True, by

    def _update(self, number: int, **fields: Any) -> None:
        self._messages[number] = self._messages[number].model_copy(update=fields)
        self._changed[number] = None

    def _refused(self, why: str) -> SayAnswer:
        self._trace.notice(f"say: {why}"[:500])
        return SayAnswer(accepted=False, reason=why)


def shown(messages: Sequence[SaidMessage]) -> str:
    """Name messages in words."""
    numbers = [str(each.number) for each in messages]
    return f"message {numbers[0]}" if len(numbers) == 1 else f"messages {', '.join(numbers)}"

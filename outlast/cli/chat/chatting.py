"""A chat: what is typed goes to the session, what happens there is printed, until the person leaves or the session ends.

Leaving ends nothing. Whoever comes back is shown what was said since.
"""

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import Priority
from temporalio.service import RPCError

from outlast.agents.sessions import AgentSessionRequest
from outlast.cli.chat.acting import Acting
from outlast.cli.chat.commands import Meant, meant, not_utf8
from outlast.cli.chat.ended import NoAgentError
from outlast.cli.chat.outbox import Outbox, Typed
from outlast.cli.chat.sessions import Said, newest, say
from outlast.cli.chat.talk import Line, Talk
from outlast.cli.chat.terminal import Terminal
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import PASSING, Reach
from outlast.cli.rendering import safe
from outlast.client import ServerUnavailableError
from outlast.server.events.feed import Feed, Feeds
from outlast.server.events.stream import stream_events
from outlast.storage.activities import encodable

AGAIN = 2.0
"""Seconds before a message that could not be sent is sent again."""
KEYED = ("line", "say", "interrupt", "answer")
"""What the session knows by a key, should the line be read again."""
SHOWN = 20
"""Messages that somebody is shown who has read none of them."""


@dataclass(frozen=True)
class Opening:
    """What a chat needs to know: how its session begins where it does not exist, and how keys of messages begin."""

    session: str
    agent: str
    who: str
    request: AgentSessionRequest | None = None
    priority: Priority = Priority.default
    key: str = ""


class Chat:
    """One person's chat with one session."""

    def __init__(self, reach: Reach, opening: Opening, terminal: Terminal, outbox: Outbox) -> None:
        self._reach = reach
        self._opening = opening
        self._terminal = terminal
        self._outbox = outbox
        self._talk = Talk(opening.agent, draws=terminal.draws)
        self._acting = Acting(reach, opening.who, self._talk, terminal.note)
        self._unsent: asyncio.Queue[Typed] = asyncio.Queue()
        self._sending = 0
        self._away = False
        self._run: WorkflowExecutionDescription | None = None
        self._changed = asyncio.Condition()
        self._typed = 0

    async def run(self) -> str:
        """Chat until there is nothing more to read, or the session has ended; returns what was not done, "" where all was."""
        self._run, _ = await newest(self._reach, self._opening.session)
        for typed in self._outbox.left():
            if not self._opening.key or not typed.key.startswith(f"{self._opening.key}-"):  # else it is read again
                self._put(typed)
        with self._terminal.opened():
            if self._terminal.draws:
                with suppress(NotImplementedError):
                    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._break_off)
            working = [asyncio.create_task(each()) for each in (self._send, self._follow, self._read)]
            try:
                done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
            finally:
                for each in working:
                    each.cancel()
                await asyncio.gather(*working, return_exceptions=True)
        piped = not self._terminal.draws  # whoever sits at a terminal has seen what was refused, and knows what waits
        if self._talk.failed or (piped and self._talk.unanswered):
            return "not every message was answered"
        return "not every line could be carried out" if piped and self._acting.failed else ""

    async def _read(self) -> None:
        """Take what is typed; where it is piped in, the next line once the one before is answered, or a person is asked."""
        while (line := await self._terminal.read()) is not None:
            what, key = meant(line), ""
            if what.word in KEYED:
                self._typed += 1
                key = f"{self._opening.key}-{self._typed}" if self._opening.key else ""
            if wrong := not_utf8(
                line
            ):  # it has its number: once it is corrected, the lines after it have the same keys
                self._acting.fail(
                    f"✗ {wrong} of {safe(encodable(line))!r}; nothing of this line was sent, write it in UTF-8"
                )
                continue
            if what.word == "line":  # one that is read again was a message, whatever is asked now
                question = "" if self._talk.knows(key) else self._talk.question
                what = Meant("answer", f"{question} {what.text}") if question else Meant("say", what.text)
            if what.word in ("say", "interrupt"):
                await self._say(what.text, key, interrupt=what.word == "interrupt")
            elif what.word:
                if what.word == "end":  # it must not overtake what was said before, which would be refused then
                    await self._until(lambda: not self._sending)
                await self._acting.do(what, self._run, key)
            if not self._terminal.draws:
                await self._answered()
        await self._until(lambda: not self._sending or (self._away and self._terminal.draws))
        if self._sending:
            self._terminal.note("what was not sent is kept, and sent when you come back")

    async def _say(self, text: str, key: str, *, interrupt: bool = False) -> None:
        if not text and not interrupt:
            return
        typed = self._outbox.keep(encodable(text), interrupt=interrupt, key=key)
        if not self._outbox.keeps:
            self._terminal.note("what you type cannot be written down here (STATE_DIR), so a crash would lose it")
            self._outbox.keeps = True
        self._put(typed)

    def _put(self, typed: Typed) -> None:
        self._talk.mine.add(typed.key)
        self._sending += 1
        self._unsent.put_nowait(typed)

    def _break_off(self) -> None:
        """Ctrl-C: break off what the agent does; where it does nothing, say how one leaves."""
        if self._talk.works:
            self._put(self._outbox.keep("", interrupt=True))
        else:
            self._terminal.note("Ctrl-D leaves, and the session goes on; /end ends it; /help")

    async def _send(self) -> None:
        """Send what was typed, in its order, however long the server is away; what is refused is said and dropped."""
        while True:
            typed = await self._unsent.get()
            await self._deliver(typed)
            self._outbox.drop(typed)
            self._sending -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _deliver(self, typed: Typed) -> None:
        told = False
        opening = self._opening
        said = Said(typed.text, opening.who, typed.interrupt, typed.key)
        while True:
            try:
                taken = await say(self._reach, opening.session, said, opening.request, opening.priority)
            except NoAgentError:
                raise  # nobody is there to talk to
            except LeavingError as error:
                self._terminal.note(safe(f"✗ {error}"))
                self._talk.failed = True
                return
            except (RPCError, ServerUnavailableError) as error:
                if isinstance(error, RPCError) and error.status not in PASSING:
                    raise
                if not told:
                    self._terminal.note("the server does not answer; your message is kept, and sent once it does")
                told = self._away = True
                async with self._changed:
                    self._changed.notify_all()
                await asyncio.sleep(AGAIN)
            else:
                self._away = False
                self._talk.begin(taken.run)
                if typed.text.strip() and (taken.number or not taken.answered):  # else it was an answer to a question
                    self._print(await self._talk.sent(self._reach, typed.key, taken.number))
                if self._talk.works and taken.number and not typed.interrupt:
                    self._terminal.note(f"  message {taken.number} waits for the agent's next turn")
                if not taken.answered:
                    self._terminal.note("no worker answers now: your message waits, and is answered once one does")
                await self._look(taken.run)
                return

    async def _look(self, run: str) -> None:
        """Take note of the run that a message went to."""
        if self._run is None or self._run.id != run:
            self._run = await self._reach.client.get_workflow_handle(run).describe()

    async def _follow(self) -> None:
        """Show what happens in the session's runs, one after the other, until the last one has ended."""
        feeds = Feeds(self._reach)
        first = True
        try:
            while True:
                await self._until(lambda: self._run is not None)
                run = self._run
                assert run is not None
                over = run.status is not WorkflowExecutionStatus.RUNNING
                self._talk.begin(run.id)
                async with feeds.of(run) as feed:
                    await self._show(feed, run.id, old=first)
                first = False
                self._run, _ = await newest(self._reach, self._opening.session)
                if over:  # it had ended before: whoever comes may go on from it
                    await self._until(lambda ended=run: self._run is not None and self._run.id != ended.id)  # type: ignore[misc]
                elif self._run is not None and self._run.id == run.id:
                    return
        finally:
            await feeds.aclose()

    async def _show(self, feed: Feed, run: str, *, old: bool) -> None:
        after = ""
        if old:
            await feed.caught_up.wait()
            self._print(await self._talk.since(self._reach, feed.events, self._outbox.read_to(run), SHOWN))
            after = feed.events[-1].id if feed.events else ""
        async for event in stream_events(self._reach, feed, after):
            self._print(self._talk.lines(event))
            if self._talk.read_to > self._outbox.read_to(run):
                self._outbox.has_read(run, self._talk.read_to)
            async with self._changed:
                self._changed.notify_all()

    def _print(self, lines: Iterable[Line]) -> None:
        for line in lines:
            (self._terminal.note if line.aside else self._terminal.print)(line.text)

    async def _answered(self) -> None:
        """Wait until all that was said is answered, or something waits for a person."""
        await self._until(lambda: not self._sending and self._talk.settled)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

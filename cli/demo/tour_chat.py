"""The conversation of the tour: two people in one session, the second speaks up while the agent works, and both are answered."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from outlast.agents.sessions import AgentSessionRequest, ConversationView, MessageState, SaidMessage
from outlast.cli.chat.sessions import Said, end, find, say
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import Reach, open_store
from outlast.client import Settings
from outlast.devstack.board import Board
from outlast.devstack.state import StackState

TITLE = "conversation, two people in one session"
COMMAND = "chat writer"
AGENT = "writer"
SAID = (
    ("Ann", "Write one sentence for the box of a rechargeable bicycle light."),
    ("Bob", "Say that it holds in the rain."),
)
SHOWN = 150
"""Characters of a line that are shown."""
AT_MOST = timedelta(minutes=5)
"""How long the tour waits for the answers."""
DONE = (MessageState.ANSWERED, MessageState.STOPPED, MessageState.FAILED, MessageState.INTERRUPTED)


class ChatStop:
    """One conversation on a task queue."""

    def __init__(self, settings: Settings, client: Client, state: StackState, board: Board, task_queue: str) -> None:
        self._reach = Reach(settings.model_copy(update={"task_queue": task_queue}), client)
        self._state = state
        self._board = board

    async def run(self) -> bool:
        """Show it; returns whether every message was answered."""
        began = datetime.now(UTC)
        session = f"tour-chat-{began:%Y%m%d-%H%M%S}"
        opening = AgentSessionRequest(agent=AGENT, requester=SAID[0][0], conversation=True)
        try:
            async with asyncio.timeout(AT_MOST.total_seconds()):
                for number, (who, text) in enumerate(SAID, 1):
                    await say(self._reach, session, Said(text, who), opening)
                    await self._until(session, number, lambda each: each.state is not MessageState.WAITING)
                messages = await self._until(session, len(SAID), lambda each: each.state in DONE)
            if (found := await find(self._reach, session)) is not None:
                await end(self._reach, found, SAID[0][0])
        except (LeavingError, RPCError, TimeoutError) as error:
            self._board.say(f"✗ {TITLE}: {error}", "bold red")
            return False
        good = all(each.state is MessageState.ANSWERED for each in messages)
        seconds = (datetime.now(UTC) - began).total_seconds()
        self._board.say(f"{'✓' if good else '✗'} {TITLE} ({seconds:.0f} s):", "green" if good else "bold red")
        for line in await self._lines(messages):
            self._board.say(f"    {line}"[:SHOWN])
        self._board.say(f"    python starter.py {COMMAND}\n    {self._state.run_url(session)}")
        return good

    async def _until(self, session: str, count: int, holds: Callable[[SaidMessage], bool]) -> tuple[SaidMessage, ...]:
        """Wait until so many messages are where they shall be."""
        handle: WorkflowHandle[object, object] = self._reach.client.get_workflow_handle(session)
        while True:
            try:
                view: ConversationView = await handle.query("conversation", result_type=ConversationView)
                if len(view.messages) == count and all(map(holds, view.messages)):
                    return view.messages
            except (RPCError, WorkflowQueryFailedError):
                pass  # no worker answers at this moment
            await asyncio.sleep(0.3)

    async def _lines(self, messages: tuple[SaidMessage, ...]) -> list[str]:
        """Write what was said, an answer to several messages once."""
        store, lines = open_store(self._reach.settings), list[str]()
        for number, each in enumerate(messages):
            lines.append(f"{each.by} │ {' '.join((await store.text(each.text)).split())}")
            last = number + 1 == len(messages) or messages[number + 1].answer != each.answer
            if each.answer is not None and last:
                lines.append(f"{AGENT} │ {' '.join((await store.text(each.answer)).split())}")
            elif each.reason:
                lines.append(f"({each.state}: {each.reason})")
        return lines

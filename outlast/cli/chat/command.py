"""Begins a chat: in a session that goes on, or in a new one, perhaps with the conversation of another."""

import secrets

from temporalio.client import WorkflowExecutionStatus
from temporalio.common import Priority

from outlast.agents.catalog_activities import MOST_NAMES
from outlast.agents.files import DEFAULTS, read_agents, slug
from outlast.agents.sessions import AgentSessionRequest, SessionProgress
from outlast.cli.chat.chatting import Chat, Opening
from outlast.cli.chat.ended import asked_of, left_by, never_began
from outlast.cli.chat.outbox import Outbox
from outlast.cli.chat.sessions import newest, session_of
from outlast.cli.chat.terminal import Terminal
from outlast.cli.kinds import SESSION
from outlast.cli.leaving import FAILED, WRONG, LeavingError, say
from outlast.cli.reaching import Reach
from outlast.command_line import command
from outlast.display import quoted
from outlast.file_names import readable


async def talk(
    reach: Reach,
    request: AgentSessionRequest,
    who: str,
    *,
    session: str | None = None,
    continues: str = "",
    key: str = "",
    priority: Priority = Priority.default,
) -> None:
    """Chat in the name of `who`; raises LeavingError where a message is not answered, or nobody serves sessions."""
    if session == "":
        raise LeavingError(WRONG, "--id is empty; name the session, or leave --id out")
    session = session_of(session) if session else f"chat-{secrets.token_hex(4)}"
    reach.store()  # a store that cannot be opened must not be found out after the agent was paid
    found, _ = await newest(reach, session)
    if found is not None and found.workflow_type != SESSION:
        raise LeavingError(
            WRONG, f"--id {session}: that is of type {found.workflow_type}, no session; choose another id"
        )
    if found is None or found.status is not WorkflowExecutionStatus.RUNNING:
        queue = reach.settings.task_queue
        if not await reach.served_soon(queue):
            raise await reach.no_worker(queue, "nothing was started", SESSION)
    if found is None:
        _look_up(reach, request.agent)
    elif not await never_began(reach, found):
        theirs = (await asked_of(reach, found)).agent
        if request.agent not in (theirs, slug(theirs)):
            raise LeavingError(
                WRONG, f"--id {session}: that session is {theirs}'s; chat with {theirs} there, or choose another --id"
            )
    if continues:
        if found is not None:
            raise LeavingError(WRONG, f"--continues {continues}: session {session} exists already; choose another --id")
        request = request.model_copy(update={"continues": await _taken_from(reach, continues)})
    outbox = Outbox(
        reach.settings.state_dir, reach.client.service_client.config.target_host, reach.client.namespace, session, who
    )
    say(
        f"{'back in' if found else 'a new session:'} {session}, with {request.agent}, as {who or 'nobody'}; /help tells more"
    )
    chat = Chat(reach, Opening(session, request.agent, who, request, priority, key), Terminal(), outbox)
    try:
        failed = await chat.run()
    finally:
        say(f"come back: {command('chat', request.agent)} --id {quoted(session)}")
    if failed:
        raise LeavingError(FAILED, failed)


def _look_up(reach: Reach, agent: str) -> None:
    """Say at once where there is no such agent here. A worker elsewhere may have others, so it has the last word."""
    folder = reach.settings.agents_dir
    names = [each.front.name for each in read_agents(folder, DEFAULTS)[0]]
    if agent not in names and slug(agent) not in names:
        say(f"{readable(str(folder))} has no agent {agent!r}; there are {', '.join(names[:MOST_NAMES])}")


async def _taken_from(reach: Reach, session: str) -> SessionProgress:
    found, _ = await newest(reach, session_of(session))
    if found is None or found.workflow_type != SESSION:
        raise LeavingError(WRONG, f"--continues {session}: there is no session of an agent under that id")
    progress = await left_by(reach, found)
    if progress is None:
        raise LeavingError(WRONG, f"--continues {session}: nothing was said there yet")
    return progress

"""`starter.py chat`: a conversation with an agent, for as long as people talk."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.start.begin import StartOptions, starts_run
from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach


@starts_run(without=("on_fallback", "result_schema", "requester", "delay", "detach", "as_json"))
def chat(
    name: Annotated[str, typer.Argument(help="Which agent: see 'python starter.py agents'.", metavar="AGENT")],
    who: Annotated[
        str, typer.Option("--as", help="Your name. Default: APPROVER, or your user name.", metavar="WHO")
    ] = "",
    continues: Annotated[
        str, typer.Option(help="Go on from the conversation of this session, in a session of its own.", metavar="RUN")
    ] = "",
    allow: Annotated[
        list[str] | None, typer.Option(help="Approve this irreversible tool beforehand; may be given again.")
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            help="For lines that are piped in: the same lines under the same key are said once.", metavar="KEY"
        ),
    ] = "",
    *,
    options: StartOptions,
) -> None:
    """Talk with AGENT: each line is a message, also while it works. Ctrl-C interrupts it, Ctrl-D leaves it, /help tells more.

    The same --id again comes back to it. Without a terminal each line of stdin is a message, and stdout has the answers; exit
    code 1 if one is not answered, or a /command is not carried out.
    """
    from outlast.agents.files import slug
    from outlast.agents.sessions import AgentSessionRequest
    from outlast.cli.chat.command import talk
    from outlast.cli.decisions.sending import who_decides
    from outlast.cli.reaching import reaching

    if not name.strip():
        raise LeavingError(WRONG, "AGENT: name the agent")

    async def command(reach: "Reach") -> None:
        person = who_decides(reach.settings, who)
        request = options.requested(
            AgentSessionRequest(
                agent=slug(name) or name,
                allowed=tuple(allow or ()),
                conversation=True,
                **options.request_fields(),
            ),
            person,
        )
        await talk(
            reach, request, person, session=options.run_id, continues=continues, key=key, priority=options.order()
        )

    reaching(command)

"""The commands that steer a running run: `pause` and `resume`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach

Run = Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")]
Who = Annotated[str, typer.Option("--as", help="Your name. Default: APPROVER, or your user name.", metavar="WHO")]
Reason = Annotated[str, typer.Option(help="Why, for whoever looks at the run.")]


def pause(run_id: Run, reason: Reason = "", who: Who = "") -> None:
    """Pause a run: nothing new starts until it is resumed; what runs finishes. Exit code 2 if it changes nothing."""
    _steer(run_id, "pause", reason, who)


def resume(run_id: Run, reason: Reason = "", who: Who = "") -> None:
    """Resume a paused run. Exit code 2 if it is not paused."""
    _steer(run_id, "resume", reason, who)


def _steer(run_id: str, what: str, reason: str, who: str) -> None:
    from outlast.cli.decisions.messaging import open_run, send_message
    from outlast.cli.decisions.sending import who_decides
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.reaching import reaching
    from outlast.cli.rendering import safe
    from outlast.contracts import PauseAnswer

    async def command(reach: "Reach") -> PauseAnswer | None:
        message = {"by": who_decides(reach.settings, who), "reason": reason}
        return await send_message(reach, await open_run(reach, run_id), what, message, PauseAnswer)

    answer = reaching(command)
    if answer is None:
        print(f"{what} of {run_id}: sent; no worker answers now, so it counts once one is back")
    elif not answer.accepted:
        raise LeavingError(WRONG, f"{run_id} changes nothing: {answer.reason}")
    else:
        print(safe(f"{run_id} is {answer.paused.description}" if answer.paused else f"{run_id} goes on"))

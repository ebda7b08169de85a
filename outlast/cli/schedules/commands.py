"""`schedule`: add, list, pause, resume, trigger, backfill and delete schedules. They are Temporal's own."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach

schedule = typer.Typer(
    help="Start runs at set times, by Temporal's schedules.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(help="Name of the schedule.", metavar="NAME")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Overlap = Literal["skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"]
"""What happens where a run of the schedule still goes on; Temporal's own words."""


@schedule.command()
def add(
    context: typer.Context,
    name: Name,
    words: Annotated[
        list[str], typer.Argument(help="A command that starts a run, as you would type it.", metavar="-- COMMAND")
    ],
    cron: Annotated[
        list[str],
        typer.Option(
            help="When: minute hour day month weekday ('0 9 * * 1-5'), @daily, '@every 6h'; repeatable.",
            metavar="TIMES",
        ),
    ],
    timezone: Annotated[
        str | None, typer.Option(help="Where these times are: Europe/Berlin. Default: UTC.", metavar="ZONE")
    ] = None,
    overlap: Annotated[
        Overlap, typer.Option(help="What happens at a time at which the run before still goes on.")
    ] = "skip",
    as_json: Json = False,
) -> None:
    """Start at set times what the command after -- would start; ids of its runs are NAME-TIME.

    Files that it names are read now, and their content is used every time. Who adds it is the requester of its runs.
    """
    from outlast.cli.schedules.adding import Times, add_schedule

    add_schedule(context, name, words, Times(tuple(cron), timezone, overlap), as_json=as_json)


@schedule.command("list")
def list_schedules(as_json: Json = False) -> None:
    """List schedules: when and what they start, the next run and the last one."""
    from outlast.cli.printing import print_json
    from outlast.cli.reaching import reaching
    from outlast.cli.rendering import show
    from outlast.cli.schedules.operating import found_schedules, schedules_page

    found = reaching(found_schedules)
    if as_json:
        print_json(found)
    else:
        show(schedules_page(found))


@schedule.command()
def pause(name: Name, reason: Annotated[str, typer.Option(help="Why, for whoever lists it.")] = "") -> None:
    """Start nothing more until it is resumed; a run that goes on is left alone."""
    from outlast.cli.decisions.users import user_name
    from outlast.cli.reaching import reaching
    from outlast.cli.schedules.operating import the_schedule

    async def command(reach: "Reach") -> None:
        async with the_schedule(reach, name) as handle:
            await handle.pause(note=": ".join(filter(None, (f"paused by {user_name() or 'somebody'}", reason))))

    reaching(command)
    print(f"{name} is paused")


@schedule.command()
def resume(name: Name) -> None:
    """Let a paused schedule go on with its next time."""
    from outlast.cli.decisions.users import user_name
    from outlast.cli.reaching import reaching
    from outlast.cli.schedules.operating import the_schedule

    async def command(reach: "Reach") -> None:
        async with the_schedule(reach, name) as handle:
            await handle.unpause(note=f"resumed by {user_name() or 'somebody'}")

    reaching(command)
    print(f"{name} goes on")


@schedule.command()
def trigger(
    name: Name,
    overlap: Annotated[
        Overlap | None, typer.Option(help="What happens if a run still goes on. Default: what it was added with.")
    ] = None,
) -> None:
    """Start a run of it now, also while it is paused. Exit code 1 if one still goes on and this one is skipped."""
    from outlast.cli.reaching import reaching
    from outlast.cli.schedules.operating import trigger_now

    print(reaching(lambda reach: trigger_now(reach, name, overlap)))


@schedule.command()
def backfill(
    name: Name,
    start: Annotated[str, typer.Option("--from", help="First time: 2026-11-25 or 2026-11-25T09:00.", metavar="WHEN")],
    end: Annotated[
        str, typer.Option("--to", help="Last time; a time without a zone is your local one.", metavar="WHEN")
    ],
    overlap: Annotated[
        Overlap, typer.Option(help="buffer-all: one run after the other; allow-all: all at once.")
    ] = "buffer-all",
    again: Annotated[
        bool, typer.Option("--again", help="Also those that have been started before: they run once more.")
    ] = False,
) -> None:
    """Start now the runs of a time that has gone by, for instance before the schedule was there."""
    from outlast.cli.reaching import reaching
    from outlast.cli.schedules.operating import fill, read_when

    first, last = read_when(start, "--from"), read_when(end, "--to")
    print(reaching(lambda reach: fill(reach, name, first, last, overlap, again=again)))


@schedule.command()
def delete(name: Name) -> None:
    """Delete a schedule; its runs stay, and one that goes on is left alone."""
    from outlast.cli.reaching import reaching
    from outlast.cli.schedules.operating import the_schedule

    async def command(reach: "Reach") -> None:
        async with the_schedule(reach, name) as handle:
            await handle.delete()

    reaching(command)
    print(f"{name} is deleted")

"""`gc`: what lies in the content store although no run refers to it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError

from outlast.cli.leaving import WRONG, LeavingError, say
from outlast.cli.printing import counted, print_json
from outlast.cli.reaching import Reach
from outlast.cli.rendering import row, show, table
from outlast.cli.runs.listing import AGO, UNITS
from outlast.command_line import command
from outlast.storage.garbage.collecting import AGES, LEAST_GRACE, Collector, Report, Tally
from outlast.storage.garbage.references import Histories, UnreadableError
from outlast.storage.garbage.users import UnlistedError, User, users
from outlast.storage.objects import Objects

LONGEST_GRACE = timedelta(days=3650)
TOLD_EVERY = 500
"""After how many runs it says how far it is."""


@dataclass(frozen=True)
class Wanted:
    """What a person asked for; `namespaces` empty: the configured one alone."""

    delete: bool = False
    older_than: str = "1d"
    namespaces: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()

    @property
    def grace(self) -> timedelta:
        """How old what is taken away must be; raises LeavingError."""
        ago = AGO.fullmatch(self.older_than.strip())
        grace = timedelta(**{UNITS[ago[2]]: int(ago[1])}) if ago else timedelta()
        if not LEAST_GRACE <= grace <= LONGEST_GRACE:
            raise LeavingError(
                WRONG,
                f"--older-than {self.older_than}: write an age of at least an hour, longer than any activity runs, and at most "
                "3650d (12h, 1d, 2w)",
            )
        return grace


async def run_gc(reach: Reach, wanted: Wanted, *, as_json: bool) -> None:
    """Look, do it where it is wanted, and say what came of it."""
    report = await collected(reach, wanted)
    if as_json:
        print_json(asdict(report))
        return
    show(page(report, reach.settings.store_url, wanted))


async def collected(reach: Reach, wanted: Wanted) -> Report:
    """Collect what nothing refers to; raises LeavingError where it is not known what refers to what."""
    grace, objects = wanted.grace, reach.store().objects
    clients = [_of(reach.client, name) for name in wanted.namespaces or (reach.client.namespace,)]
    collector = Collector(objects, [each.namespace for each in clients], grace, delete=wanted.delete)
    try:
        await _check_users(objects, clients, wanted.forgotten)
        return await collector.collect(Histories(each, _progress) for each in clients)
    except UnlistedError as error:
        raise LeavingError(
            WRONG,
            f"{error}; nothing was deleted. Take away what is not ours there, such as links and files with odd names",
        ) from error
    except UnreadableError as error:
        raise LeavingError(
            WRONG,
            f"{error}; it may refer to anything, so nothing was deleted. Set all keys in PAYLOAD_KEYS that still count",
        ) from error


def _of(client: Client, namespace: str) -> Client:
    return (
        client
        if client.namespace == namespace
        else Client(client.service_client, namespace=namespace, data_converter=client.data_converter)
    )


async def _check_users(objects: Objects, clients: list[Client], forgotten: tuple[str, ...]) -> None:
    """Refuse where another namespace uses the store too: its runs would lose their texts."""
    try:
        given = {(await User.of(each)).id for each in clients}
        others = [each for each in await users(objects) if each.id not in {*given, *forgotten}]
    except RPCError as error:
        raise LeavingError(WRONG, f"--namespace: {error.message}") from error
    except ValueError as error:
        raise LeavingError(
            WRONG, f"a note of who uses the store cannot be read: {error}; nothing was deleted"
        ) from error
    if others:
        named = ", ".join(f"{each.namespace!r} (id {each.id})" for each in others)
        raise LeavingError(
            WRONG,
            f"the content store is used by {named} as well. Name all namespaces with --namespace; one that is no more, "
            "or has another server, with --forget and its id (the texts of its runs are then taken away)",
        )


def _progress(runs: int) -> None:
    if runs % TOLD_EVERY == 0:
        say(f"{runs} histories read …")


def page(report: Report, url: str, wanted: Wanted) -> Iterator[RenderableType]:
    """Show what was found, and what was done or would be."""
    yield Text(
        f"{url}: {counted(report.objects, 'object')}, {sized(report.size)}; read for {counted(report.runs, 'run')}"
    )
    yield Text(f"{report.referred} are referred to or younger than {wanted.older_than}")
    if report.unknown:
        unknown = counted(report.unknown, "object")
        yield Text(f"{unknown} {'is' if report.unknown == 1 else 'are'} of no kind that is known here, and will stay")
    if report.unreferenced:
        yield _garbage(report.unreferenced)
    for tally, said in (
        (_sum(report.unreferenced), ("would go to the trash", "went to the trash")),
        (report.emptied, ("would be deleted from the trash", "were deleted from the trash")),
        (report.waiting, (f"are in the trash for less than {wanted.older_than}",) * 2),
    ):
        yield Text(f"{counted(tally.objects, 'object')}, {sized(tally.size)}, {said[report.deleted]}")
    if report.restored:
        yield Text(
            f"{report.restored} {('would come', 'came')[report.deleted]} back from the trash: they are referred to again"
        )
    if not report.deleted:
        yield Text(f"a dry run: '{command('gc')} --delete' does it", style="bold")


def _sum(tallies: dict[str, Tally]) -> Tally:
    return Tally(sum(each.objects for each in tallies.values()), sum(each.size for each in tallies.values()))


def _garbage(kinds: dict[str, Tally]) -> RenderableType:
    made = table("nothing refers to", "objects", "bytes", *(name for name, _ in AGES))
    for kind, tally in sorted(kinds.items()):
        ages: list[Any] = [str(tally.ages.get(name, 0)) for name, _ in AGES]
        row(made, kind, str(tally.objects), sized(tally.size), *ages)
    return made


def sized(size: int) -> str:
    """Write bytes as people read them."""
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size} bytes"

"""`replay`: the deploy gate. Histories of real runs go through the code of this folder, before any worker of it starts."""

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Annotated

import typer


def replay(
    histories: Annotated[
        list[str],
        typer.Argument(
            help="Files of 'temporal workflow show -o json', folders of them, ids of runs, or 'open': all open runs.",
            metavar="HISTORY...",
        ),
    ],
    modules: Annotated[
        list[str] | None,
        typer.Option(
            "--module",
            help="A module or package with workflow classes of yours; repeatable.",
            metavar="my.workflows",
        ),
    ] = None,
    pinned: Annotated[
        bool, typer.Option("--pinned", help="With 'open': also runs that are pinned to the build that began them.")
    ] = False,
) -> None:
    """Replay histories with this code, as a check before a deploy; changes nothing. Exit code 1 if one does not replay.

    Each history is named with its workflow, the first event that differs, and why; the last line counts. Exit code 2 for a
    history asked for by name whose workflow this code does not have.
    """
    import asyncio

    from outlast.client import load_settings
    from outlast.command_line import command_line
    from outlast.undo.workflow import RollbackWorkflow
    from outlast.worker.replay import check
    from outlast.worker.serving import runner_of

    found = workflows_of([*command_line().workflows, *(modules or ())])
    settings = load_settings()
    classes = [RollbackWorkflow, *(each for each in found if each is not RollbackWorkflow)]
    raise typer.Exit(asyncio.run(check(settings, histories, classes, runner_of(settings), pinned=pinned)))


def workflows_of(modules: Iterable[str]) -> list[type]:
    """Import modules, and of packages all modules, and return the workflow classes that they have; raises LeavingError."""
    import sys
    from importlib import import_module

    from temporalio import workflow

    from outlast.cli.leaving import WRONG, LeavingError

    if "" not in sys.path:
        sys.path.insert(0, "")  # as for `python -m`: the installed command does not look into the working folder
    found: dict[str, type] = {}
    for name in modules:
        try:
            module = import_module(name)
            before = len(found)
            for each in [module, *_submodules(module)]:
                for value in vars(each).values():
                    definition = workflow._Definition.from_class(value) if isinstance(value, type) else None
                    if definition is not None and definition.name:
                        found.setdefault(definition.name, value)
        except ImportError as error:
            raise LeavingError(WRONG, f"--module {name}: cannot be imported: {error}") from error
        if len(found) == before:
            raise LeavingError(WRONG, f"--module {name}: holds no class with @workflow.defn")
    return list(found.values())


def _submodules(module: ModuleType) -> Iterator[ModuleType]:
    from importlib import import_module
    from pkgutil import walk_packages

    for each in walk_packages(getattr(module, "__path__", ()), f"{module.__name__}."):
        if not each.name.endswith(".__main__"):
            yield import_module(each.name)

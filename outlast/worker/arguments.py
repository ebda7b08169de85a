"""Checks what an application gives a worker, before anything starts: every message names the argument and the fix."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from temporalio import activity, workflow

from outlast.contracts import Effect
from outlast.settings import Settings, SettingsError
from outlast.tools.names import SETTINGS, mcp_name, our_name
from outlast.tools.tool import Tool

MOST = 100_000
"""Most activities at the same time, and most runs kept in memory."""


class WorkerArgumentError(ValueError):
    """An argument of a worker is wrong; the message names it and the fix."""


def check_workflows(workflows: Sequence[type]) -> None:
    """Check workflow classes: each has `@workflow.defn`, and no two have one name.

    Raises:
        WorkerArgumentError: `workflows` is wrong.
    """
    names = []
    for each in workflows:
        if not isinstance(each, type):
            raise WorkerArgumentError(
                f"workflows: {_named(each)} is not a class; give the class, not an instance or a method"
            )
        definition = workflow._Definition.from_class(each)
        if definition is None:
            raise WorkerArgumentError(
                f"workflows: {_named(each)} is not a workflow; put @workflow.defn above the class"
            )
        names.append(definition.name or each.__name__)
    for name in _twice(names):
        raise WorkerArgumentError(
            f"workflows: two are named {name!r}; give one another name, @workflow.defn(name=…), or leave it out"
        )


def check_limits(max_activities: int, max_cached_workflows: int) -> None:
    """Check how much a worker does at the same time.

    Raises:
        WorkerArgumentError: One of them is wrong.
    """
    for name, given, lowest in (
        ("max_activities", max_activities, 1),
        ("max_cached_workflows", max_cached_workflows, 0),
    ):
        if not lowest <= given <= MOST:
            raise WorkerArgumentError(f"{name}={given}: give a number from {lowest} to {MOST}")


def check_activities(activities: Sequence[Callable[..., Any]], standard: Sequence[Callable[..., Any]] = ()) -> None:
    """Check activities: each has `@activity.defn`, is bound if it is a method, and has a name of its own.

    Raises:
        WorkerArgumentError: `activities` is wrong.
    """
    taken = {activity_name(each) for each in standard}
    names: list[str | None] = []
    for each in activities:
        if not callable(each) or activity._Definition.from_callable(each) is None:
            raise WorkerArgumentError(
                f"activities: {_named(each)} is not an activity; put @activity.defn above the function, and give a method of an "
                "object as Pager(…).page, not the object or its class"
            )
        if isinstance(each, type) or _unbound(each):
            raise WorkerArgumentError(
                f"activities: {_named(each)} is a method without its object; make the object and give its method"
            )
        name = activity_name(each)
        if name in taken:
            raise WorkerArgumentError(
                f"activities: {name!r} is an activity of outlast; give yours another name: @activity.defn(name=…)"
            )
        names.append(name)
    for name in _twice(names):
        raise WorkerArgumentError(f"activities: two are named {name!r}; give one another name: @activity.defn(name=…)")


def check_tools(tools: Sequence[Tool], standard: Sequence[Tool] = ()) -> None:
    """Check tools: each is made by `@tool`, has a name of its own, and its undo is there.

    Raises:
        WorkerArgumentError: `tools` is wrong.
    """
    for each in tools:
        if not isinstance(each, Tool):
            raise WorkerArgumentError(
                f"tools: {_named(each)} is not a tool; put @tool(effect=…) of outlast above the function"
            )
    for name in _twice(each.name for each in tools):
        raise WorkerArgumentError(f"tools: two are named {name!r}; a tool is named after its function: rename one")
    taken = {each.name for each in standard} | set(SETTINGS)
    undoing = {each.name for each in (*tools, *standard)}
    for each in tools:
        if each.name in taken:
            raise WorkerArgumentError(
                f"tools: {each.name!r} is the name of a standard tool; rename the function of yours"
            )
        if (meant := our_name(each.name)) != each.name:
            raise WorkerArgumentError(
                f"tools: in agent files, {each.name!r} means the standard tool {meant!r}; rename the function of yours"
            )
        if each.undo and each.undo not in undoing:
            raise WorkerArgumentError(
                f"tools: {each.name!r} is undone by {each.undo!r}, which is not among the tools; add it to them"
            )


def not_undoable(tools: Sequence[Tool]) -> list[str]:
    """Say which tools change something that nothing undoes, and that nobody is asked about before."""
    undoing = {each.undo for each in tools}
    return [
        f"tools: {each.name!r} is Effect.WRITE without {'undo' if not each.undo else 'prepare'}, so its calls wait for nobody "
        "and cannot be undone; give it undo=… and prepare=…, or make it Effect.IRREVERSIBLE"
        for each in tools
        if each.effect is Effect.WRITE and not (each.undo and each.prepare) and each.name not in undoing
    ]


def check_model_classes(names: Sequence[str], known: Iterable[str]) -> None:
    """Check classes of models: the settings have each.

    Raises:
        WorkerArgumentError: `model_classes` is wrong.
    """
    there = sorted(known)
    for name in names:
        if name not in there:
            which = f"there are {', '.join(there)}" if there else "there are none"
            raise WorkerArgumentError(
                f"model_classes: there is no class {name!r}, {which}; make it in models.toml ([classes.{name}]) or MODEL_CLASSES"
            )


def unknown_gate_tools(named: Iterable[str], tools: Sequence[Tool]) -> list[str]:
    """Say which entries `[tools.NAME]` of gates.toml hold for no tool that this worker could have; another worker may have it."""
    known = {each.name for each in tools} | set(SETTINGS)
    found = []
    for name in named:
        if name in known or mcp_name(name):
            continue
        close = [our_name(name)] if our_name(name) != name else get_close_matches(name, known, 1)
        meant = f"; did you mean {close[0]}?" if close else ""
        found.append(
            f"gates.toml (GATES_FILE): this worker has no tool {name!r}, so [tools.{name}] holds for nothing{meant}"
        )
    return found


def with_agents(settings: Settings, agents_dir: str | Path | None) -> Settings:
    """Return the settings with another folder of agents, where one is given.

    Raises:
        WorkerArgumentError: There is no such folder.
        SettingsError: There is none where AGENTS_DIR says, so that agents of the library would answer to the names of others.
    """
    if agents_dir is None:
        if "agents_dir" in settings.model_fields_set and not settings.agents_dir.is_dir():
            raise SettingsError(f"AGENTS_DIR={settings.agents_dir}: there is no such folder")
        return settings
    folder = Path(agents_dir).absolute()
    if not folder.is_dir():
        raise WorkerArgumentError(
            f"agents_dir={str(agents_dir)!r}: there is no folder {folder}; make it, with one Markdown file for each agent, or "
            "name another (a relative path starts at the folder that the program was started in)"
        )
    return settings.model_copy(update={"agents_dir": folder})


def activity_name(function: Callable[..., Any]) -> str | None:
    """Return the name of an activity, None of what is no activity."""
    definition = activity._Definition.from_callable(function)
    return definition.name if definition else None


def runs_in_thread(function: Callable[..., Any]) -> bool:
    """Whether an activity is a plain function, which needs a thread."""
    definition = activity._Definition.from_callable(function)
    return definition is not None and not definition.is_async


def _unbound(function: Callable[..., Any]) -> bool:
    parameters = getattr(getattr(function, "__code__", None), "co_varnames", ())
    return not hasattr(function, "__self__") and parameters[:1] == ("self",)


def _named(value: object) -> str:
    return str(getattr(value, "__qualname__", None) or repr(value))


def _twice(names: Iterable[str | None]) -> list[str | None]:
    return [name for name, times in Counter(names).items() if times > 1]

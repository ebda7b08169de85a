"""Starts a fork for a person: says what it takes over, starts it or attaches to the one of that id, and waits for it."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from socket import gethostname
from typing import Any

from rich.text import Text
from temporalio.exceptions import WorkflowAlreadyStartedError

from outlast.agents.catalog_activities import MOST_NAMES
from outlast.agents.files import DEFAULTS, read_agents, slug
from outlast.cli.decisions.users import user_name
from outlast.cli.kinds import SESSION, page_of, request_of
from outlast.cli.leaving import UNSERVED, WRONG, LeavingError, say
from outlast.cli.printing import print_json
from outlast.cli.reaching import Reach
from outlast.cli.rendering import safe, show
from outlast.cli.runs.running import Handle, attached, finish
from outlast.command_line import command
from outlast.contracts import Contract, problems_in
from outlast.display import quoted
from outlast.file_names import readable
from outlast.forks.forking import check_edit, id_for, start, wrong_by
from outlast.forks.preparing import Prepared, Wanted, prepare
from outlast.forks.reading import ForkError, NoWorkerAnswersError, described

STEPS_SHOWN = 12


async def begin(
    reach: Reach,
    run_id: str,
    wanted: Wanted,
    new_id: str,
    requester: str | None,
    *,
    dry_run: bool,
    detach: bool,
    as_json: bool,
) -> None:
    """Make a fork and wait for it; with `dry_run` only show it."""
    prepared = await _prepared(reach, run_id, wanted)
    found = prepared.earlier.found
    _check_fields(found.workflow_type, prepared.request, wanted.edit)
    edited = str(wanted.edit.get("agent") or "") if found.workflow_type == SESSION else ""
    await _check_agent(reach, found.task_queue, wanted.agent or edited)
    if dry_run:
        _show(prepared, as_json=as_json)
        return
    who = user_name() if requester is None else requester.strip()
    name = new_id or await id_for(reach.client, prepared)
    handle: Handle
    try:
        begun = await start(reach.client, prepared, name, who)
        result = page_of(found.workflow_type).result
        handle = reach.client.get_workflow_handle(name, run_id=begun.result_run_id, result_type=result)
    except WorkflowAlreadyStartedError:
        handle = await attached(reach, found.workflow_type, name)
    else:
        for line in _lines(prepared, handle.id):
            say(line)
    if prepared.request.get("conversation"):  # it stays open for messages, so nobody can wait for its end
        detach = True
        if not as_json:
            print(f"{handle.id} takes messages: {command('chat', prepared.request['agent'])} --id {quoted(handle.id)}")
            return
    if not detach:
        await finish(reach, handle, found.workflow_type, as_json=as_json)
    elif as_json:
        print_json({"id": handle.id, **_data(prepared), "page": reach.page_of(handle.id)})
    else:
        print(f"{handle.id} goes on without you: {command('watch', handle.id)}")


async def _prepared(reach: Reach, run_id: str, wanted: Wanted) -> Prepared:
    try:
        found = await described(reach.client, run_id)
        if not await reach.served(found):
            raise await reach.no_worker(found, f"only a worker knows what {run_id} came to, and nothing was started")
        prepared = await prepare(reach.client, reach.store(), run_id, wanted)
        if not request_of(found.workflow_type):
            await check_edit(reach.client, prepared, wanted.edit)
        return prepared
    except NoWorkerAnswersError as error:
        raise LeavingError(UNSERVED, str(error)) from error
    except ForkError as error:
        raise LeavingError(WRONG, str(error)) from error


async def _check_agent(reach: Reach, task_queue: str, agent: str) -> None:
    """Refuse an agent that there is not. Workers of other machines may have other agents, so there it is only said."""
    folder = reach.settings.agents_dir
    agents, unread = read_agents(folder, DEFAULTS)
    names = [each.front.name for each in agents]
    if not agent or {agent, slug(agent)} & {*names, *(each.agent for each in unread)}:
        return
    why = f"{readable(str(folder))} has no agent {agent!r}; there are {', '.join(names[:MOST_NAMES])}"
    hosts = {worker.rpartition("@")[2] for worker in await reach.workers(task_queue)}
    if hosts == {gethostname()}:
        raise LeavingError(WRONG, why)
    say(why)


def _check_fields(workflow: str, request: Mapping[str, Any], edit: Mapping[str, Any]) -> None:
    """Refuse edits that the workflow's request does not take, where we know what it is; of others, a worker tells."""
    kind = request_of(workflow)
    if not kind:
        return
    module, _, name = kind.partition(":")
    model: type[Contract] = getattr(import_module(module), name)
    unknown = [field for field in edit if field not in model.model_fields]
    if unknown:
        known = ", ".join(field for field in model.model_fields if field not in ("forked", "carried"))
        raise LeavingError(WRONG, f"--edit: a request of this run has no {', '.join(unknown)}; it has {known}")
    if wrong := wrong_by(edit, problems_in(model, request)):
        raise LeavingError(WRONG, f"--edit: {wrong}")


def _data(prepared: Prepared) -> dict[str, Any]:
    return {
        "forked_from": prepared.fork.run,
        "from": prepared.fork.start,
        "taken_over": list(prepared.taken),
        "notes": list(prepared.notes),
    }


def _show(prepared: Prepared, *, as_json: bool) -> None:
    request = {name: value for name, value in prepared.request.items() if name != "forked"}
    if as_json:
        print_json({**_data(prepared), "request": request})
        return
    lines = [Text(safe(line)) for line in _lines(prepared, "")]
    for step in prepared.plan.steps if prepared.plan else ():
        mark = "taken over" if step.step in prepared.taken else "to do"
        text = " ".join(step.input.split())[:100]
        lines.append(Text(safe(f"  {mark:10}  {step.step} · {step.agent} · {text}")))
    show([*lines, Text("nothing was started", style="dim")])


def _lines(prepared: Prepared, new_id: str) -> Iterable[str]:
    where = f"from {prepared.fork.start} on" if prepared.fork.start else "with what had not ended well"
    if new_id:
        yield f"started {new_id}: goes on from {prepared.earlier.id}, {where}"
    names = ", ".join(prepared.taken[:STEPS_SHOWN])
    more = f" and {len(prepared.taken) - STEPS_SHOWN} more" if len(prepared.taken) > STEPS_SHOWN else ""
    yield f"taken over, and not paid again: {names}{more}" if prepared.taken else "nothing is taken over"
    yield from (f"note: {note}" for note in prepared.notes)

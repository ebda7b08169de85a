"""The commands that start work, `document` and `plan`, and the one that shows who does it, `agents`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.leaving import FAILED, WRONG, LeavingError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cli.reaching import Reach

Id = Annotated[
    str | None, typer.Option("--id", help="Id of the run; the same id again attaches to the run that is going.")
]
Detach = Annotated[bool, typer.Option("--detach", help="Start it and leave; it goes on without you.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
OnFailure = Literal["skip_dependents", "fail_fast", "replan"]


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command()(document)
    app.command()(plan)
    app.command()(agent)
    app.command()(agents)


def document(
    files: Annotated[list[Path], typer.Argument(help="PDF, DOCX, HTML, Markdown or text files.", metavar="FILE")],
    run_id: Id = None,
    detach: Detach = False,
    as_json: Json = False,
    max_parallel: Annotated[int | None, typer.Option(help="Documents at the same time.", min=1, max=100)] = None,
) -> None:
    """Analyse documents: type, specialist's analysis, summary.

    Each document fails alone. Exit code 1 if any of them failed.
    """
    from activities.contracts import DocumentSource
    from bootstrap import load_settings
    from cli.inputs import read_files
    from cli.reaching import DOCUMENTS, reaching
    from workflows.contracts import DocumentAnalysisRequest

    read = read_files(files, load_settings().max_document_bytes)

    async def command(reach: "Reach") -> None:
        store = reach.store()
        sources = [DocumentSource(name=name, ref=await store.put(data), size=len(data)) for name, data in read]
        request = DocumentAnalysisRequest(documents=tuple(sources), **_given(max_parallel=max_parallel))
        summary = ", ".join(name for name, _ in read)
        await _begin(reach, DOCUMENTS, request, run_id=run_id, summary=summary, detach=detach, as_json=as_json)

    reaching(command)


def plan(
    task: Annotated[str | None, typer.Argument(help="What shall be done.", metavar="TASK")] = None,
    task_file: Annotated[Path | None, typer.Option(help="Read the task from this file (- for stdin).")] = None,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="Run your own plan: JSON (- for stdin); no model rewrites it.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only make and check the plan, and show its shape.")
    ] = False,
    on_step_failure: Annotated[
        OnFailure | None,
        typer.Option(help="What a failed step does to the rest; by default, what depends on it is skipped."),
    ] = None,
    max_parallel: Annotated[int | None, typer.Option(help="Steps at the same time.", min=1, max=200)] = None,
    max_steps: Annotated[int | None, typer.Option(help="Most steps a plan may have.", min=1, max=500)] = None,
    agents: Annotated[str | None, typer.Option(help="Only these agents, by comma: researcher,writer.")] = None,
    fallback_plan: Annotated[
        Path | None, typer.Option(help="JSON plan that runs if the planner gives no valid one.")
    ] = None,
    run_id: Id = None,
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Break TASK into steps for agents and run them as a graph.

    A planner writes the plan; with --plan FILE it is your own. Exit code 1 if no last step gave an answer.
    """
    from cli.inputs import read_plan_file, read_task
    from cli.reaching import PLAN, reaching
    from workflows.contracts import PlanRequest

    said = read_task(task, task_file)
    if not said.strip() and plan_file is None:
        raise LeavingError(WRONG, "TASK: say what shall be done, or give your own plan with --plan FILE")
    request = PlanRequest(
        task=said,
        plan=read_plan_file(plan_file, "--plan") if plan_file else None,
        fallback_plan=read_plan_file(fallback_plan, "--fallback-plan") if fallback_plan else None,
        agents=tuple(name.strip() for name in (agents or "").split(",") if name.strip()),
        dry_run=dry_run,
        **_given(on_step_failure=on_step_failure, max_parallel=max_parallel, max_steps=max_steps),
    )

    async def command(reach: "Reach") -> None:
        summary = " ".join(said.split()) or f"own plan {plan_file}"
        await _begin(reach, PLAN, request, run_id=run_id, summary=summary, detach=detach, as_json=as_json)

    reaching(command)


def agent(
    name: Annotated[str, typer.Argument(help="Which agent: see 'starter.py agents'.", metavar="NAME")],
    task: Annotated[str, typer.Argument(help="What it shall do.", metavar="TASK")],
    turns: Annotated[int | None, typer.Option(help="Most model turns.", min=1, max=10_000)] = None,
    tokens: Annotated[int | None, typer.Option(help="Most tokens of all calls together.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="Longest time in seconds.", min=0.001)] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="Approve this irreversible tool beforehand; may be given again.")
    ] = None,
    run_id: Id = None,
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Let one agent, with its tools, work on TASK until it answers.

    Exit code 1 if it failed, or if a limit ended it.
    """
    from cli.reaching import SESSION, reaching
    from workflows.contracts import AgentSessionRequest, SessionLimits

    if not task.strip():
        raise LeavingError(WRONG, "TASK: say what the agent shall do")
    limits = SessionLimits(**_given(turns=turns, tokens=tokens, seconds=seconds))
    request = AgentSessionRequest(agent=name, task=task, limits=limits, allowed=tuple(allow or ()))

    async def command(reach: "Reach") -> None:
        summary = f"{name}: {' '.join(task.split())}"
        await _begin(reach, SESSION, request, run_id=run_id, summary=summary, detach=detach, as_json=as_json)

    reaching(command)


async def _begin(
    reach: "Reach",
    workflow: str,
    request: "BaseModel",
    *,
    run_id: str | None,
    summary: str,
    detach: bool,
    as_json: bool,
) -> None:
    from cli.printing import print_json
    from cli.running import finish, start

    handle, attached = await start(reach, workflow, request, workflow_id=run_id, summary=summary, detach=detach)
    if not detach:
        await finish(reach, handle, workflow, as_json=as_json)
    elif as_json:
        print_json({"id": handle.id, "attached": attached, "page": reach.page_of(handle.id)})
    else:
        print(f"{handle.id} goes on without you: starter.py watch {handle.id}")


def agents(as_json: Json = False) -> None:
    """List the agents and check their files. Exit code 1 if any file has a problem."""
    from activities.agent_files import read_agents
    from bootstrap import load_settings
    from cli.agents_page import agents_data, agents_page
    from cli.pages import show
    from cli.printing import print_json
    from cli.results import counted

    settings = load_settings()
    found, problems = read_agents(settings.agents_dir)
    data = agents_data(found, problems, settings.model_table().resolve)
    if as_json:
        print_json(data)
    else:
        show(agents_page(data["agents"]))
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise LeavingError(FAILED, f"{counted(len(problems), 'problem')} in the agent files:\n{listed}")


def _given(**options: Any) -> dict[str, Any]:
    """Leave out what was not given, so that the contract's own default counts."""
    return {name: value for name, value in options.items() if value is not None}

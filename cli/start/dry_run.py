"""`plan --plan FILE --dry-run`: a plan of one's own is checked here, as a run would; no server, worker or model is asked."""

from activities.agent_files import read_agents
from activities.contracts import Content
from activities.errors import ErrorKind
from bootstrap import load_settings
from cli import pages
from cli.leaving import FAILED, LeavingError, say
from cli.printing import print_json
from cli.results.plans import PlanPage
from workflows.contracts import PlanReport, PlanRequest, PlanResult, RunState
from workflows.patterns.planning import problems, repair, shape_of


def dry_run(request: PlanRequest, *, as_json: bool) -> None:
    """Check the request's own plan and show its shape; raises LeavingError with every problem."""
    assert request.plan is not None
    found, broken = read_agents(load_settings().agents_dir)
    for problem in broken:
        say(f"agent file left out: {problem}")
    names = sorted(agent.front.name for agent in found)
    plan, changes = repair(request.plan, names)
    if wrong := problems(plan, names, request.max_steps):
        raise LeavingError(FAILED, f"{ErrorKind.PLAN_INVALID}: the plan cannot run: {'; '.join(wrong)}")
    report = PlanReport(task=request.task, plan=plan, shape=shape_of(plan), changes=tuple(changes))
    page = PlanPage(PlanResult(state=RunState.COMPLETED, report=Content(size=0), changes=len(changes)), report, {})
    if as_json:
        print_json(page.data())
    else:
        pages.show(page.lines())

"""`plan --plan FILE --dry-run`: a plan of one's own is checked here, as a run would; no server, worker or model is asked."""

from outlast.agents.files import DEFAULTS, read_agents
from outlast.cli import rendering as pages
from outlast.cli.leaving import FAILED, LeavingError, say
from outlast.cli.printing import print_json
from outlast.cli.results.plans import PlanPage
from outlast.client import load_settings
from outlast.contracts import MAX_STEPS, Content, PlanReport, PlanRequest, PlanResult, RunState
from outlast.errors import ErrorKind
from outlast.plans.checking import problems, repair, shape_of
from outlast.worker.arguments import with_agents


def dry_run(request: PlanRequest, *, as_json: bool) -> None:
    """Check the request's own plan and show its shape; raises LeavingError with every problem."""
    assert request.plan is not None
    found, broken = read_agents(with_agents(load_settings(), None).agents_dir, DEFAULTS)
    for problem in broken:
        say(f"agent file left out: {problem}")
    names = sorted(agent.front.name for agent in found)
    plan, changes = repair(request.plan, names)
    if wrong := problems(plan, names, MAX_STEPS):
        raise LeavingError(FAILED, f"{ErrorKind.PLAN_INVALID}: the plan cannot run: {'; '.join(wrong)}")
    report = PlanReport(task=request.task, plan=plan, shape=shape_of(plan), changes=tuple(changes))
    page = PlanPage(PlanResult(state=RunState.COMPLETED, report=Content(size=0), changes=len(changes)), report, {})
    if as_json:
        print_json(page.data())
    else:
        pages.show(page.lines())

"""`starter.py agents`: who there is, and whether their files are right."""

from cli.start.begin import Json
from outlast.cli.leaving import FAILED, LeavingError, say


def agents(as_json: Json = False) -> None:
    """List the agents, the library's own among them, and check their files.

    Exit code 1 if any file has a problem; other Markdown is skipped."""
    from outlast.agents.files import DEFAULTS, read_agents
    from outlast.cli.printing import counted, print_json
    from outlast.cli.rendering import console, show
    from outlast.cli.runs.agents_page import agents_data, agents_page
    from outlast.client import load_settings
    from outlast.worker.arguments import with_agents

    settings = with_agents(load_settings(), None)
    found, problems = read_agents(settings.agents_dir, DEFAULTS)
    data = agents_data(found, problems, settings.model_table().resolve)
    if as_json:
        print_json(data)
    else:
        out = console()
        show(agents_page(data["agents"], out.width if out.is_terminal else None))
        for notice in (problem for problem in problems if problem.notice):
            say(f"skipped: {notice}")
    wrong = [problem for problem in problems if not problem.notice]
    if wrong:
        listed = "\n".join(f"  {problem}" for problem in wrong)
        raise LeavingError(FAILED, f"{counted(len(wrong), 'problem')} in the agent files:\n{listed}")

"""`starter.py agents`: who there is, and whether their files are right."""

from cli.leaving import FAILED, LeavingError
from cli.start.begin import Json


def agents(as_json: Json = False) -> None:
    """List the agents and check their files. Exit code 1 if any file has a problem."""
    from activities.agent_files import read_agents
    from bootstrap import load_settings
    from cli.agents_page import agents_data, agents_page
    from cli.pages import console, show
    from cli.printing import counted, print_json

    settings = load_settings()
    found, problems = read_agents(settings.agents_dir)
    data = agents_data(found, problems, settings.model_table().resolve)
    if as_json:
        print_json(data)
    else:
        out = console()
        show(agents_page(data["agents"], out.width if out.is_terminal else None))
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise LeavingError(FAILED, f"{counted(len(problems), 'problem')} in the agent files:\n{listed}")

"""`python -m outlast.testing.chaos`: workflows of yours under chaos, from a shell."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from outlast.testing.chaos.contracts import KINDS, Fault, Scenario
from outlast.testing.chaos.report import Report
from outlast.testing.chaos.running import Plan, chaos, told
from outlast.testing.chaos.stack import Setup
from outlast.testing.messages_api.rules import Rule

HELP = "the faults:\n" + "\n".join(f"  {fault:<16} {kind.what}" for fault, kind in KINDS.items())


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m outlast.testing.chaos",
        description="Run workflows on a real server and two real workers while faults strike. The exit code is 1 where a run "
        "was lost, anything was done twice, or whatever else should not be was seen.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workflow", action="append", required=True, metavar="module:Class", help="what is run; repeatable"
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="JSON",
        help='the request of each --workflow, in their order; "{run}" in it is the id of the run',
    )
    parser.add_argument(
        "--worker", metavar="FILE", help="the program of the worker; without it, one serves each --workflow"
    )
    parser.add_argument("--task-queue", default="agents", help="the task queue that the worker serves")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="what the model answers: a JSON list of rules")
    parser.add_argument("--approve", action="append", default=[], metavar="NAME", help="who approves the gates")
    parser.add_argument("--faults", default="", metavar="NAME,…", help="which faults strike (default: all)")
    parser.add_argument("--count", type=int, default=12, help="how many faults strike in a case")
    parser.add_argument("--cases", type=int, default=1, help="how many cases there are")
    parser.add_argument("--seed", type=int, action="append", default=[], help="run the case of this seed again")
    parser.add_argument("--stacks", type=int, default=1, help="how many stacks work at the same time")
    parser.add_argument("--directory", type=Path, help="where logs and data are kept (default: nowhere)")
    return parser.parse_args(given)


async def _run(arguments: argparse.Namespace) -> Report:
    requests = [json.loads(text) for text in arguments.input]
    if len(requests) != len(arguments.workflow):
        raise ValueError(
            f"--input: give one for each --workflow; there are {len(requests)} of {len(arguments.workflow)}"
        )
    classes = [name.partition(":")[2] for name in arguments.workflow]
    if not all(classes):
        raise ValueError("--workflow: write module:Class, as in triage:Triage")
    scenarios = [
        Scenario(name, workflow=name, request=request, approvers=arguments.approve)
        for name, request in zip(classes, requests, strict=True)
    ]
    answers = json.loads(arguments.answers.read_text()) if arguments.answers else []
    setup = Setup(
        [arguments.worker or ",".join(arguments.workflow)],
        task_queue=arguments.task_queue,
        answers=[Rule.model_validate(rule) for rule in answers],
    )
    faults = [Fault(name) for name in arguments.faults.split(",")] if arguments.faults else list(Fault)
    # A run that no command has started has no starter.
    plan = Plan(faults=[each for each in faults if each is not Fault.STARTER_KILLED], per_case=arguments.count)
    return await chaos(
        scenarios,
        setup,
        plan=plan,
        seeds=arguments.seed,
        cases=arguments.cases,
        stacks=arguments.stacks,
        directory=arguments.directory,
        tell=lambda line: print(line, flush=True),  # noqa: T201
    )


def main(given: list[str] | None = None) -> int:
    """Run it and return the exit code."""
    try:
        report = asyncio.run(_run(_arguments(given)))
    except (ValueError, OSError) as error:
        print(f"chaos: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(report.table())  # noqa: T201
    for case in report.cases:
        if case.wrong():
            print(told(case), file=sys.stderr)  # noqa: T201
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

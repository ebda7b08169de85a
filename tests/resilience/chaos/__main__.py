"""`make chaos`: every fault over every pattern, on two stacks at once, until enough have struck; writes docs/resilience.md.

python -m tests.resilience.chaos [--seeds N,N,…] [--faults N] [--minutes N] [--write] [--only SCENARIO] [--fault NAME,…]
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from outlast.testing.chaos import Fault, Plan, Report, chaos
from outlast.testing.chaos.running import told
from tests.processes import PROJECT
from tests.resilience.chaos.application import ENVIRONMENT, application

PAGE = PROJECT / "docs" / "resilience.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=lambda text: [int(each) for each in text.split(",")], default=None)
    parser.add_argument("--cases", type=int, default=30)
    parser.add_argument("--per-case", type=int, default=14)
    parser.add_argument("--width", type=int, default=5)
    parser.add_argument("--stacks", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--fault", type=lambda text: [Fault(each) for each in text.split(",")], default=list(Fault))
    parser.add_argument("--keep", default="")
    arguments = parser.parse_args()
    seeds = arguments.seeds or [secrets.randbelow(10**6) for _ in range(arguments.cases)]
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)  # noqa: T201

    async def run(directory: Path) -> Report:
        with application(directory) as found:
            scenarios = [each for each in found.scenarios() if arguments.only in each.name]
            return await chaos(
                scenarios,
                found.setup,
                plan=Plan(faults=arguments.fault, per_case=arguments.per_case, width=arguments.width),
                seeds=seeds,
                stacks=arguments.stacks,
                effects=found.effects,
                environment=ENVIRONMENT,
                directory=directory,
                tell=tell,
            )

    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    report = asyncio.run(run(directory))
    print(report.table())  # noqa: T201
    if arguments.write:
        report.write(PAGE)
    for case in report.cases:
        if case.wrong():
            print(told(case), file=sys.stderr)  # noqa: T201
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The workers of the application and of the refund example in one process, for tests that need runs of both at one queue.

Such tests start refunds with `--task-queue`, by which a refund goes to this worker.
"""

from activities.search.feature import Search
from outlast.command_line import CommandLine, use_command_line
from outlast.telemetry import gates
from outlast.worker.running import run_worker
from tests.served import SERVED
from worker import SHARED

if __name__ == "__main__":
    gates.EVERY = 0.5  # tests wait for what it tells
    use_command_line(CommandLine("python starter.py"))
    run_worker(workflows=SERVED, features=[Search()], shared=SHARED)

"""A worker with workflows of a user's own, as `run_worker` serves them."""

from outlast.worker.running import run_worker
from tests.doubles.own_workflows import ForeignWorkflow, LetterWorkflow

if __name__ == "__main__":
    run_worker(workflows=[LetterWorkflow, ForeignWorkflow], task_queue="own")

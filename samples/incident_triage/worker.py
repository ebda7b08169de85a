"""The worker that serves triage: `python worker.py`."""

from pathlib import Path

from triage import Triage

from outlast import run_worker

if __name__ == "__main__":
    run_worker(workflows=[Triage], agents_dir=Path(__file__).with_name("agents"), task_queue="triage")

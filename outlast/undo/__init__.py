"""Side effects are recorded before they happen, and undone in reverse order.

Open `rollback.py` first: what a run undoes, when, and by which policy; `log.py` is the record, `acts.py` keeps
a fallback from repeating what was done.
Others use `Rollback`, `Acts` and `UndoActivities`.
"""


def rollback_id(run_id: str, checkpoint: str = "") -> str:
    """Name the workflow that rolls an ended run back, by the run id, so that it begins once however many ask."""
    return f"rollback-{run_id}" + (f"-to-{checkpoint}" if checkpoint else "")

"""Side effects are recorded before they happen, and undone in reverse order.

Open `rollback.py` first: what a run undoes, when, and by which policy; `log.py` is the record, `acts.py` keeps
a fallback from repeating what was done.
Others use `Rollback`, `Acts` and `UndoActivities`.
"""

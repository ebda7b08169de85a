"""Side effects are recorded before they happen and undone in reverse order. Start with `log.py` and `rollback.py`."""

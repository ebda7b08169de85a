"""Schedules: what a start command would start, started at set times by Temporal. `commands.py` has the commands; start there."""

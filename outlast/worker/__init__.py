"""The worker process: its activities, admission by lag, heartbeats, crash notes, replay. Start with `running.py`."""

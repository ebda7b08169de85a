"""Workers: what runs workflows and activities, and keeps a call from being paid twice.

`running.py` is the worker process (`run_worker`), `serving.py` a worker within a program (`running_worker`), `registry.py` its
activities; `outlast/plugin.py` brings the same into a worker of somebody else's. Around each activity: `attempts.py` (metrics),
`crash_notes.py`, `heartbeat.py`, `outages.py`; `admission.py` takes no more than the event loop can serve.
"""

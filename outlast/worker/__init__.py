"""Workers: what runs workflows and activities.

Open `running.py` first: the worker process (`run_worker`); `serving.py` is one within a program, `registry.py` its activities.
Others use `run_worker`, `running_worker`, `Registry` and `Feature`; `outlast/plugin.py` brings the same into anyone's worker.
`crash_notes.py` hands back the calls of a dead process, `admission.py` takes no more than the event loop can serve, and
`task_order.py` keeps messages in the order that replays have, also where a query comes between two workflow tasks.
"""

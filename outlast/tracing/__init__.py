"""What a run reports of itself: step trace, spans, details for the Web UI, live text.

Open `trace.py` first: the steps and calls of a run, as queries and the report show them.
Others use `RunTrace`; `live_text.py` publishes what a model writes while it writes.
"""

"""What activities are built on: heartbeats, outages that are waited out, the metrics of each attempt.

Open `outages.py` first: which failures are an outage, and how long it is waited out.
Others use `heartbeats` around slow work, and `Patience` around an operation that may be tried again.
"""
